"""Overlap of masks, as run lengths: nothing is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

Rle = dict[str, Any]
"""Compressed COCO run lengths."""


def overlap(first: Sequence[Rle], second: Sequence[Rle]) -> tuple[int, int]:
    """Pixels of the intersection and of the union of two unions of masks, all of one size; either may be empty."""
    if not first or not second:
        return 0, _area([*first, *second])
    a, b = coco.merge(list(first)), coco.merge(list(second))
    return int(coco.area(coco.merge([a, b], intersect=True))), int(coco.area(coco.merge([a, b])))


def pairwise_iou(found: Sequence[Rle], targets: Sequence[Rle]) -> np.ndarray:
    """IoU (found, targets) float64 of each with each."""
    if not found or not targets:
        return np.zeros((len(found), len(targets)))
    return np.asarray(coco.iou(list(found), list(targets), [0] * len(targets)), np.float64)


def _area(masks: list[Rle]) -> int:
    return int(coco.area(coco.merge(masks))) if masks else 0
