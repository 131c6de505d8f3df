"""What makes instances of a prompt's candidates: a least score for each route, and suppression of duplicates."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, PromptError
from sam3i_edge.prompt import ROUTES
from sam3i_edge.text_files import read_json

POSTPROCESSING_FILE = "postprocessing.json"
"""Beside a checkpoint: export puts it into the manifest."""
THRESHOLD = 0.5
NO_NMS = 1.0
"""No two masks overlap with a greater IoU."""


@dataclass(frozen=True)
class Postprocessing:
    """The defaults of a model; a ``Segmenter`` may be given others.

    Raises:
        ConfigError: a threshold is missing, unknown or not in 0..1, or ``nms`` is not above 0 and at most 1.
    """

    thresholds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ROUTES, THRESHOLD))
    """By route: instances scoring above it, in 0..1, are returned."""
    nms: float = NO_NMS
    """Greedy non-maximum suppression: of two masks with a greater IoU than this the one that scores lower is left out.
    1 leaves out none, as the published models do on still images."""

    def __post_init__(self) -> None:
        if set(self.thresholds) != set(ROUTES):
            given = ", ".join(sorted(self.thresholds)) or "nothing"
            raise ConfigError(f"thresholds are of {given}; give {', '.join(ROUTES)}.")
        try:
            for route in ROUTES:
                check_threshold(self.thresholds[route])
            check_nms(self.nms)
        except PromptError as error:
            raise ConfigError(str(error)) from error

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path) -> Postprocessing:
        """The ``postprocessing.json`` beside a checkpoint's file, or, where there is none, the defaults. Raises
        ConfigError naming the file."""
        path = Path(checkpoint).parent / POSTPROCESSING_FILE
        if not path.is_file():
            return cls()
        try:
            return schema.parse(cls, read_json(path))
        except (OSError, ValueError, ConfigError) as error:
            raise ConfigError(f"{path}: {error} Make one with `sam3i-edge evaluate thresholds`.") from error

    def with_(self, threshold: float | None, nms: float | None) -> Postprocessing:
        """With another threshold on all routes, and another ``nms``, where they are given. Raises PromptError."""
        thresholds = self.thresholds if threshold is None else dict.fromkeys(ROUTES, check_threshold(threshold))
        return Postprocessing(thresholds, self.nms if nms is None else check_nms(nms))


def check_threshold(value: float) -> float:
    """``value`` as a float. Raises PromptError unless it is a number in 0..1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise PromptError(f"The threshold is {value!r}; it must be a number between 0 and 1.")
    return float(value)


def check_nms(value: float) -> float:
    """``value`` as a float. Raises PromptError unless it is a number above 0 and at most 1."""
    if not _is_number(value) or not 0 < value <= 1:
        raise PromptError(f"nms is {value!r}; it must be a number above 0 and at most 1, which suppresses nothing.")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def without_duplicates(mask_logits: np.ndarray, nms: float) -> np.ndarray:
    """Greedy mask NMS: which masks stay, ascending (m,) int64.

    Args:
        mask_logits: (n, h, w) float32, best first; above 0 is inside. The IoU is that of the masks as they are here,
            not of those resized to the image.
        nms: a mask is left out if its IoU with one that stays is greater.
    """
    count, height, width = mask_logits.shape
    inside = (mask_logits > 0).reshape(count, height * width).astype(np.float32)
    shared = (inside @ inside.T).astype(np.float64)  # counts are exact below 2^24
    areas = np.diagonal(shared)
    # In float64, as C++ does: IoU > nms without a division by the union, which may be nothing.
    is_alike = shared > nms * (areas[:, None] + areas - shared)
    kept: list[int] = []
    for i in range(count):
        if not is_alike[i, kept].any():
            kept.append(i)
    return np.array(kept, np.int64)
