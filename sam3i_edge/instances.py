"""What was found: masks, boxes and scores of one prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from sam3i_edge.errors import BundleError


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of one prompt, best first.

    Attributes:
        masks: (n, H, W) bool, at the image's size.
        boxes: (n, 4) float32, x0 y0 x1 y1 in pixels of the image. They are the model's own, not those of the masks,
            and may reach a little beyond the image.
        scores: (n,) float32 in 0..1, descending.
        route: the route that ran: ``concept``, ``simple`` or ``complex``.
    """

    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    route: str

    def __len__(self) -> int:
        return len(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``segmentation`` is COCO's compressed RLE."""
        from pycocotools import mask as coco

        encoded = coco.encode(np.asfortranarray(self.masks.transpose(1, 2, 0).astype(np.uint8)))
        return {
            "route": self.route,
            "instances": [
                {
                    "score": round(float(score), 6),
                    "box": [round(float(value), 3) for value in box],
                    "segmentation": {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()},
                }
                for score, box, rle in zip(self.scores, self.boxes, encoded, strict=True)
            ],
        }


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def postprocess(
    logits: np.ndarray,
    presence: np.ndarray,
    boxes: np.ndarray,
    masks: np.ndarray,
    *,
    width: int,
    height: int,
    threshold: float,
    route: str,
) -> Instances:
    """Turn the grounding graph's outputs for one prompt into instances.

    A score is sigmoid(logit) x sigmoid(presence); what scores above ``threshold`` stays. A mask is its logits resized
    to the image (bilinear), above 0.

    Args:
        logits: (K,) float32.
        presence: (1,) float32.
        boxes: (K, 4) float32, x0 y0 x1 y1 as fractions of the image.
        masks: (K, h, w) float32 logits.
        width: of the image, in pixels.
        height: of the image, in pixels.
        threshold: in 0..1.
        route: recorded in the result.

    Raises:
        BundleError: the scores come from no finite numbers, which could look as if nothing were there.
    """
    if not (np.isfinite(logits).all() and np.isfinite(presence).all()):
        raise BundleError(
            "The graphs computed values that are not finite on this device. Do not use the bundle here; "
            "sam3i-edge verify BUNDLE shows every output."
        )
    scores = (sigmoid(logits) * sigmoid(presence)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    full = np.zeros((len(order), height, width), bool)
    for mask, i in zip(full, order, strict=True):
        mask[:] = cv2.resize(masks[i], (width, height), interpolation=cv2.INTER_LINEAR) > 0
    scale = np.array([width, height, width, height], np.float32)
    return Instances(full, boxes[order] * scale, scores[order], route)
