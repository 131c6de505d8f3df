"""What to look for: a text, the route that reads it, and boxes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam3i_edge.errors import PromptError, unknown_name
from sam3i_edge.text_cleaning import cleans_to, is_blank

ROUTES = ("concept", "simple", "complex")
"""The three levels of text, in the order of the model's gates."""

AUTO = "auto"
BOXES_ALONE = "visual"
"""The text of a prompt whose boxes alone should decide, as SAM 3 learned it."""


@dataclass(frozen=True)
class Box:
    """A box in pixels of the image: x to the right, y down, ``x0 < x1`` and ``y0 < y1``.

    Raises:
        PromptError: a coordinate is not finite, or the corners are inverted.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if not isinstance(value, numbers.Real):
                raise PromptError(f"{self!r}: the coordinates must be numbers, in pixels.")
            try:
                number = float(value)  # kept as such: a NumPy uint8 would overflow in the sums below
            except OverflowError:
                number = math.inf
            if not math.isfinite(number):
                raise PromptError(f"{self!r}: the coordinates must be finite.")
            object.__setattr__(self, name, number)
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise PromptError(f"{self!r} is empty or inverted: Box takes (x0, y0, x1, y1) with x0 < x1 and y0 < y1.")

    def normalized(self, width: int, height: int) -> tuple[float, float, float, float]:
        """(cx, cy, w, h) as fractions of the image.

        Raises:
            PromptError: the box reaches outside the image.
        """
        if self.x0 < 0 or self.y0 < 0 or self.x1 > width or self.y1 > height:
            raise PromptError(
                f"{self!r} reaches outside the image, which is {width} wide and {height} high. "
                f"Clip it to the image, or check that it is in pixels of this image."
            )
        return (
            (self.x0 + self.x1) / 2 / width,
            (self.y0 + self.y1) / 2 / height,
            (self.x1 - self.x0) / width,
            (self.y1 - self.y0) / height,
        )


@dataclass(frozen=True)
class Prompt:
    """One question to the image.

    Attributes:
        text: what to segment, in plain words. The model reads its first 32 tokens.
        route: ``concept`` (a short noun phrase), ``simple`` (a noun with attributes, place, relations), ``complex``
            (no explicit noun: function, action, reasoning), or ``auto`` (the bundle's ``RouteClassifier`` decides).
        boxes: examples of what is meant, in pixels of the image: each a ``Box``, or four numbers x0, y0, x1, y1, as a
            tuple or a row of an array (N, 4). They are kept as ``Box``.
        negative_boxes: examples of what is not meant, likewise.

    Raises:
        PromptError: the text is empty, or says that boxes alone decide and there are none; the route is unknown; a box
            is not four numbers, or is empty.
    """

    text: str
    route: str = AUTO
    boxes: Sequence[Box] = ()
    negative_boxes: Sequence[Box] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise PromptError(f"The prompt's text is a {type(self.text).__name__}; it must be a str.")
        if is_blank(self.text):
            raise PromptError(
                "The prompt's text is empty. Say what to segment, for example 'the red mug'; "
                f"if boxes alone should decide, use the text {BOXES_ALONE!r}."
            )
        if not isinstance(self.route, str) or self.route not in (*ROUTES, AUTO):
            raise PromptError(unknown_name("route", self.route, (*ROUTES, AUTO)))
        for name in ("boxes", "negative_boxes"):
            boxes = getattr(self, name)
            if not isinstance(boxes, Sequence | np.ndarray) or isinstance(boxes, str | bytes | bytearray):
                raise PromptError(f"{name} is {boxes!r}; it must be a list of boxes, each Box(x0, y0, x1, y1).")
            object.__setattr__(self, name, tuple(_box(box, name) for box in boxes))
        if not (self.boxes or self.negative_boxes) and cleans_to(self.text, BOXES_ALONE):
            raise PromptError(
                f"The text {BOXES_ALONE!r} lets boxes alone decide, and the prompt has none. Give it boxes, or say "
                "what to segment, for example 'the red mug'."
            )


def _box(given: object, name: str) -> Box:
    """A ``Box`` of one, or of four numbers."""
    if isinstance(given, Box):
        return given
    if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str | bytes | bytearray) and len(given) == 4:
        return Box(*given)
    raise PromptError(
        f"{name} holds {given!r}; it must be a list of boxes, each Box(x0, y0, x1, y1) or four numbers, in pixels."
    )


def gates(routes: Sequence[str]) -> np.ndarray:
    """The model's one-hot route gates (N, 3) float32."""
    return np.eye(len(ROUTES), dtype=np.float32)[[ROUTES.index(route) for route in routes]]


def pack_boxes(prompts: Sequence[Prompt], width: int, height: int, max_boxes: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, B, 4) float32, normalised cx cy w h, and labels (N, B) int32: 1 positive, 0 negative, -1 unused."""
    boxes = np.zeros((len(prompts), max_boxes, 4), np.float32)
    labels = np.full((len(prompts), max_boxes), -1, np.int32)
    for row, prompt in enumerate(prompts):
        labelled = [(box, 1) for box in prompt.boxes] + [(box, 0) for box in prompt.negative_boxes]
        if len(labelled) > max_boxes:
            raise PromptError(f"The prompt {prompt.text!r} has {len(labelled)} boxes; this bundle takes {max_boxes}.")
        for column, (box, label) in enumerate(labelled):
            boxes[row, column] = box.normalized(width, height)
            labels[row, column] = label
    return boxes, labels
