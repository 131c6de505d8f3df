"""Overlap of boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def box_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of xyxy boxes (…, 4), and the union's area, after broadcasting."""
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = _area(a) + _area(b) - overlap
    return overlap / union, union


def generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU (arXiv 1902.09630) of xyxy boxes (…, 4), after broadcasting: IoU less the hull's empty share."""
    iou, union = box_iou(a, b)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    return iou - (hull - union) / hull


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
