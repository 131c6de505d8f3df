"""What was found: masks, boxes and scores of one prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from sam3i_edge.calls import counting
from sam3i_edge.image import RGB, ImageSource, as_image, in_order
from sam3i_edge.overlay import draw
from sam3i_edge.postprocessing import NO_NMS, without_duplicates
from sam3i_edge.prompt import Prompt

ResizeMasks = Callable[[np.ndarray, int, int], np.ndarray]


@counting()  # OpenCV, in a daemon thread, must not be in the middle when the process ends
def resize_masks(logits: np.ndarray, width: int, height: int) -> np.ndarray:
    """Masks (n, height, width) bool of ``logits`` (n, h, w) float32: resized (bilinear), above 0."""
    masks = np.empty((len(logits), height, width), bool)
    for mask, one in zip(masks, logits, strict=True):
        np.greater(cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR), 0, out=mask)
    return masks


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of one prompt, best first: a sequence of them.

    ``len(found)`` is their number. ``found[0]``, ``found[:3]``, ``found[found.scores > 0.8]`` and iteration give
    ``Instances`` again, of one or of several.

    Attributes:
        scores: (n,) float32 in 0..1, descending.
        boxes: (n, 4) float32, x0 y0 x1 y1 in pixels of the image. They are the model's own, not those of the masks,
            and may reach a little beyond the image.
        mask_logits: (n, h, w) float32, as the model made them: above 0 is inside. Masks are made from them when they
            are asked for.
        width: of the image, in pixels.
        height: of the image, in pixels.
        route: the route that ran: ``concept``, ``simple`` or ``complex``.
        prompt: what was asked.
        resize: makes masks of their logits, as ``resize_masks``.
    """

    scores: np.ndarray
    boxes: np.ndarray
    mask_logits: np.ndarray
    width: int
    height: int
    route: str
    prompt: Prompt
    resize: ResizeMasks = field(default=resize_masks, repr=False)

    @cached_property
    def masks(self) -> np.ndarray:
        """(n, H, W) bool, at the image's size. Made at the first use, and kept."""
        return self.resize(self.mask_logits, self.width, self.height)

    @property
    def graph_masks(self) -> np.ndarray:
        """(n, h, w) bool, at the size at which the model makes them: nothing is resized."""
        inside: np.ndarray = self.mask_logits > 0
        return inside

    @property
    def area(self) -> np.ndarray:
        """(n,) int64: the pixels of each mask, at the image's size."""
        return np.array([np.count_nonzero(self._mask(i)) for i in range(len(self))], np.int64)

    def rle(self) -> list[dict[str, Any]]:
        """Each mask as COCO's compressed RLE at the image's size, without holding them all: ``size``, ``counts``."""
        from pycocotools import mask as coco

        found = []
        for i in range(len(self)):
            encoded = coco.encode(np.asfortranarray(self._mask(i).astype(np.uint8)))
            size = [int(side) for side in encoded["size"]]
            found.append({"size": size, "counts": encoded["counts"].decode()})
        return found

    def to_coco(self, image_id: int = 1, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO results, plain values for JSON: ``pycocotools.coco.COCO.loadRes`` takes the list.

        ``bbox`` is the model's box, x y width height in pixels, ``area`` the mask's pixels and ``segmentation`` its
        compressed RLE; ``text`` is the prompt's.

        Args:
            image_id: of the image in your dataset.
            category_id: of the prompt, or of the category that it names.
        """
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "text": self.prompt.text,
                "score": round(float(score), 6),
                "bbox": [round(float(value), 3) for value in (x0, y0, x1 - x0, y1 - y0)],
                "area": int(area),
                "iscrowd": 0,
                "segmentation": rle,
            }
            for score, (x0, y0, x1, y1), area, rle in zip(self.scores, self.boxes, self.area, self.rle(), strict=True)
        ]

    def plot(self, image: ImageSource, *, color: str = RGB) -> np.ndarray:
        """A copy of the image, (H, W, 3) uint8, with masks, outlines, boxes and labels drawn; the best on top.

        Several prompts' results go on one image with ``sam3i_edge.overlay.draw(image, [found, other])``.

        Args:
            image: the one that was segmented.
            color: the order of an array's channels, ``rgb`` or ``bgr``, and of those that are returned.

        Raises:
            ImageError: it cannot be read, or is not of the size of the one that was segmented; or as ``encode`` for
                ``color``.
        """
        return in_order(draw(as_image(image, color), self), color)

    def __repr__(self) -> str:
        best = f", best score {self.scores[0]:.2f}" if len(self) else ""
        return f"<{len(self)} instances of {self.prompt.text!r} on the route {self.route}{best}>"

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: int | slice | Sequence[int] | Sequence[bool] | np.ndarray) -> Instances:
        """Those at an index, a slice, a list of indices or a boolean mask (n,). Raises IndexError for all else."""
        places = np.arange(len(self))[index]
        if places.ndim > 1:
            raise IndexError(f"{index!r} is no index, slice, list of indices or boolean mask ({len(self)},).")
        chosen = index if isinstance(index, slice) else np.atleast_1d(places)
        picked = replace(
            self, scores=self.scores[chosen], boxes=self.boxes[chosen], mask_logits=self.mask_logits[chosen]
        )
        if "masks" in vars(self):
            vars(picked)["masks"] = self.masks[chosen]
        return picked

    def __iter__(self) -> Iterator[Instances]:
        return (self[i] for i in range(len(self)))

    def _mask(self, i: int) -> np.ndarray:
        """(H, W) bool."""
        if "masks" in vars(self):
            made: np.ndarray = self.masks[i]
            return made
        single: np.ndarray = self.resize(self.mask_logits[i : i + 1], self.width, self.height)[0]
        return single


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def postprocess(
    outputs: Mapping[str, np.ndarray],
    *,
    width: int,
    height: int,
    threshold: float,
    route: str,
    prompt: Prompt,
    nms: float = NO_NMS,
    resize: ResizeMasks = resize_masks,
) -> Instances:
    """Turn the grounding graph's outputs for one prompt into instances.

    A score is sigmoid(logit) x sigmoid(presence); what scores above ``threshold`` stays, but for duplicates. A mask is
    its logits resized to the image (bilinear), above 0.

    Args:
        outputs: logits (K,), presence (1,), boxes (K, 4) x0 y0 x1 y1 as fractions of the image, and masks (K, h, w)
            logits, all float32.
        width: of the image, in pixels.
        height: of the image, in pixels.
        threshold: in 0..1.
        route: recorded in the result.
        prompt: recorded in the result.
        nms: see ``Postprocessing``.
        resize: makes masks of their logits.
    """
    logits, presence = outputs["logits"], outputs["presence"]
    scores = (sigmoid(logits) * sigmoid(presence)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    if nms < NO_NMS:
        order = order[without_duplicates(outputs["masks"][order], nms)]
    scale = np.array([width, height, width, height], np.float32)
    return Instances(
        scores=scores[order],
        boxes=outputs["boxes"][order] * scale,
        mask_logits=outputs["masks"][order],
        width=width,
        height=height,
        route=route,
        prompt=prompt,
        resize=resize,
    )
