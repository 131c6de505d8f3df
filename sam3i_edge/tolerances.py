"""How far a graph's output is from the float model's, and how far it may be.

What is allowed stands in the bundle, resolved at export (``sam3i_edge.tolerance_rules``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sam3i_edge.errors import ConfigError


@dataclass(frozen=True)
class Difference:
    """How far an output is from the float model's: the worst value, and the SQNR over all."""

    max_abs: float
    sqnr_db: float

    def __str__(self) -> str:
        return f"max |diff| {self.max_abs:9.2e}  SQNR {self.sqnr_db:6.1f} dB"


@dataclass(frozen=True)
class Tolerance:
    """Both must hold: the worst value, relative to the larger of 1 and the reference's peak, and the SQNR."""

    max_abs: float
    min_sqnr_db: float

    def allows(self, difference: Difference, peak: float) -> bool:
        """Whether ``difference`` is small enough for a reference whose largest magnitude is ``peak``."""
        limit = self.max_abs * max(1.0, peak)
        return difference.max_abs <= limit and difference.sqnr_db >= self.min_sqnr_db


@dataclass(frozen=True)
class InstanceTolerance:
    """Mask and score must hold for every instance that counts."""

    min_mask_iou: float
    max_score_change: float
    min_score: float
    """Instances that the float model scores lower have no mask compared,"""
    best: int
    """of each prompt so many are compared, the float model's best,"""
    min_pixels: int
    """and smaller masks are not."""

    def __post_init__(self) -> None:
        if self.best < 1:
            raise ConfigError(f"best is {self.best}; it must be 1 or more.")

    def allows(self, mask_iou: float, score_change: float) -> bool:
        """Whether an instance is still the same."""
        return mask_iou >= self.min_mask_iou and score_change <= self.max_score_change


@dataclass(frozen=True)
class Tolerances:
    """All that a bundle may be off by in one precision."""

    outputs: dict[str, Tolerance]
    """By the names of ``sam3i_edge.golden.checked_outputs``."""
    instances: InstanceTolerance


MAX_SQNR_DB = 200.0
"""Stands for "no difference at all"; JSON has no infinity."""


def measure(actual: np.ndarray, reference: np.ndarray) -> Difference:
    """The largest absolute difference, and the signal-to-quantization-noise ratio in dB, within +-``MAX_SQNR_DB``.

    Arrays of different shapes, or values that are not finite, are infinitely far apart.
    """
    if actual.shape != reference.shape:
        return Difference(math.inf, -MAX_SQNR_DB)
    error = actual.astype(np.float64) - reference
    noise, signal = float(np.square(error).sum()), float(np.square(reference, dtype=np.float64).sum())
    if not math.isfinite(noise):
        return Difference(math.inf, -MAX_SQNR_DB)
    if noise == 0:
        return Difference(0.0, MAX_SQNR_DB)
    sqnr = 10 * math.log10(signal / noise) if signal else -MAX_SQNR_DB
    return Difference(float(np.abs(error).max()), min(max(sqnr, -MAX_SQNR_DB), MAX_SQNR_DB))
