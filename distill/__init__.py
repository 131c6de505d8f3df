"""Students, losses and loops of distillation. Empty so far."""
