"""The model that a student learns from."""

from __future__ import annotations

import torch

from sam3i_edge.model import Sam3i


class Teacher:
    """A frozen model on the device of its student. Not a module, or it would be trained, shared and saved with it."""

    def __init__(self, model: Sam3i) -> None:
        self._model = model.eval().requires_grad_(False)

    @property
    def image_size(self) -> int:
        """Side of the pictures that it sees; a student may see smaller ones."""
        return self._model.config.image_size

    def on(self, device: torch.device) -> Sam3i:
        """The model, on ``device``."""
        return self._model.to(device)
