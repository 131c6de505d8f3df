"""How long and how fast each stage of distillation runs."""

from __future__ import annotations

import dataclasses

from sam3i_edge.train.recipe import TABLETOP, Book, LearningRates, TrainRecipe

_FULL = TrainRecipe(rate_scale=1.0, images=32, epochs=10.0, warmup_steps=500, cooldown_steps=5000, timescale=20000.0)
_FULL_WHOLE = dataclasses.replace(_FULL, images=16, prompts=4, ema=0.999)
_SMALL = dataclasses.replace(
    TABLETOP,
    rates=LearningRates(vision=4e-4, text=1e-3, detector=4e-4, backbone=1.6e-2, trunk_decay=1.0),
    muon=True,
    precision="bf16",
    warmup_steps=30,
    ema=0.99,
    validate_every=0,
)
_SMALL_WHOLE = dataclasses.replace(
    _SMALL,
    steps=1500,
    images=6,
    prompts=8,
    mask_share=0.25,
    no_target_share=0.25,
    box_prompts=0.05,
    cooldown_steps=1400,
    rates=LearningRates(vision=2e-4, text=3e-4, detector=4e-4, backbone=8e-4, trunk_decay=1.0),
)

RECIPES: dict[str, Book] = {
    "full": {
        "vision": dataclasses.replace(_FULL, least_scale=1.0, dropout=0.0),
        "text": dataclasses.replace(_FULL, images=256, prompts=4, dropout=0.0),
        "whole": _FULL_WHOLE,
        "int8": dataclasses.replace(_FULL_WHOLE, epochs=1.0, rate_scale=0.1, dropout=0.0),
    },
    "tabletop": {
        "vision": dataclasses.replace(_SMALL, steps=800, images=12, cooldown_steps=750),
        "text": dataclasses.replace(_SMALL, steps=1200, images=48, prompts=8, cooldown_steps=1100),
        "whole": _SMALL_WHOLE,
        "int8": dataclasses.replace(_SMALL_WHOLE, steps=600, cooldown_steps=540, rate_scale=0.2),
    },
}
"""``full``: a suggestion for the full-size teacher, never run. ``tabletop``: the student that ships."""
