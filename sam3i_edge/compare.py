"""How far a graph's output is from the float model's, and how far it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sam3i_edge.targets import PRECISIONS, is_int8


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


MAX_SQNR_DB = 200.0
"""Stands for "no difference at all"; JSON has no infinity."""

INT8 = tuple(precision for precision in PRECISIONS if is_int8(precision))

TOLERANCES = {
    "pixels": Tolerance(max_abs=0.0, min_sqnr_db=MAX_SQNR_DB),
    "fp32": Tolerance(max_abs=1e-3, min_sqnr_db=60.0),
    "fp16": Tolerance(max_abs=0.05, min_sqnr_db=40.0),
    "bf16": Tolerance(max_abs=0.25, min_sqnr_db=25.0),
    **dict.fromkeys(INT8, Tolerance(max_abs=1.0, min_sqnr_db=10.0)),
}
"""For the resized image (integer arithmetic: equal everywhere), and per precision for every output of every graph."""


LOSS_DB = {"fp32": 25.0, **dict.fromkeys(INT8, 6.0)}
"""How much of the SQNR reached at export a device may lose. In fp32 it only sums in another order than the one that
checked the bundle; a weight that is 1 % off loses more (of 44 in the small model all, but for one of no effect). With
integers the error is the recipe's, and the same everywhere but for roundings."""


@dataclass(frozen=True)
class AnswerTolerance:
    """Both must hold for every instance that counts."""

    min_mask_iou: float
    max_score_change: float

    def allows(self, mask_iou: float, score_change: float) -> bool:
        """Whether an instance is still the same."""
        return mask_iou >= self.min_mask_iou and score_change <= self.max_score_change


ANSWER_TOLERANCES = {
    "fp32": AnswerTolerance(0.99, 2e-3),
    "fp16": AnswerTolerance(0.95, 0.02),
    "bf16": AnswerTolerance(0.85, 0.1),
    **dict.fromkeys(INT8, AnswerTolerance(0.75, 0.2)),
}
"""Per precision, for masks and scores."""


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
