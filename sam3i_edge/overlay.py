"""Draws instances on their image. The same image and instances give the same pixels."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam3i_edge.calls import counting
from sam3i_edge.errors import ImageError
from sam3i_edge.files import write_whole
from sam3i_edge.prompt import Prompt
from sam3i_edge.terminal import printable

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of the formats that OpenCV writes, those in colour."""

PALETTE = [
    tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue / 360, saturation, value))
    for saturation, value in ((0.85, 1.0), (0.6, 0.55))
    for hue in (5, 215, 130, 45, 290, 180, 90, 330)
]
"""Colours that are well apart, the bright ones first."""
APART = 50.0
"""Least distance in CIELAB between a colour and what it is drawn on."""
SAMPLED = 2000
"""Pixels of a mask that are looked at for its colour."""
MAX_TEXT = 28

Rectangle = tuple[int, int, int, int]
"""x0 y0 x1 y1 in pixels; the last ones do not belong to it."""


class Found(Protocol):
    """What is drawn of ``Instances``."""

    @property
    def scores(self) -> np.ndarray:
        """(n,)"""

    @property
    def boxes(self) -> np.ndarray:
        """(n, 4) x0 y0 x1 y1 in pixels."""

    @property
    def masks(self) -> np.ndarray:
        """(n, H, W) bool."""

    @property
    def prompt(self) -> Prompt:
        """Whose text is on the labels."""

    @property
    def width(self) -> int:
        """Of the image."""

    @property
    def height(self) -> int:
        """Of the image."""


@counting(holds=False)  # OpenCV's C++
def draw(image: np.ndarray, found: Found | Sequence[Found]) -> np.ndarray:
    """A copy of ``image`` with masks, outlines, boxes and labels; of each prompt the best instance is on top.

    A label has the instance's number, counted through all prompts as in ``segment --json``, its prompt's text and its
    score. Colours differ from what is under the mask, and labels do not cover each other where there is room.

    >>> cv2.imwrite("all.png", draw(image, frame.segment(["a mug", "a knife"]))[..., ::-1])

    Args:
        image: (H, W, 3) uint8 RGB; left as it is.
        found: the ``Instances`` of one prompt, or a sequence of those of several, all of this image.

    Raises:
        ImageError: it is no such image, or not of the size that was segmented; ``found`` is something else.
    """
    results: list[Any] = list(found) if isinstance(found, list | tuple) else [found]
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        told = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"Cannot draw on {told}; expected (H, W, 3) uint8 RGB.")
    for one in results:
        if not all(hasattr(one, name) for name in ("scores", "boxes", "masks", "prompt")):
            raise ImageError(f"Cannot draw a {type(one).__name__}; give Instances, or a list of them.")
        if image.shape[:2] != (one.height, one.width):
            raise ImageError(
                f"The image is {image.shape[1]} wide and {image.shape[0]} high; plot on the one that was segmented, "
                f"{one.width} wide and {one.height} high."
            )
    masks = [mask for one in results for mask in one.masks]
    boxes = [_within(box, image) for one in results for box in one.boxes]
    shown = [(_short(one.prompt.text), score) for one in results for score in one.scores]
    labels = [f"{number} {text} {score:.2f}" for number, (text, score) in enumerate(shown, 1)]
    colors = list(_colors(image, masks, boxes))
    drawn = image.copy()
    thickness = max(1, round(max(image.shape[:2]) / 400))
    worst_first = range(len(masks) - 1, -1, -1)
    for i in worst_first:
        drawn[masks[i]] = (0.5 * image[masks[i]] + 0.5 * np.array(colors[i], np.float32)).astype(np.uint8)
    for i in worst_first:
        outline, _ = cv2.findContours(masks[i].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, colors[i], thickness)
        cv2.rectangle(drawn, boxes[i][:2], boxes[i][2:], colors[i], thickness)
    return _labelled(drawn, labels, boxes, colors) if labels else drawn


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _within(box: np.ndarray, image: np.ndarray) -> Rectangle:
    """A box in whole pixels of the image."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (int(value) for value in np.clip(np.rint(box), 0, [width - 1, height - 1] * 2))
    return x0, y0, x1, y1


def _colors(
    image: np.ndarray, masks: Sequence[np.ndarray], boxes: Sequence[Rectangle]
) -> Iterator[tuple[int, int, int]]:
    """For each mask a colour that stands out from what it covers; of those, one that was taken least often."""
    palette = _lab(np.array(PALETTE, np.uint8))
    taken = np.zeros(len(PALETTE), int)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        pixels = image[mask] if mask.any() else image[y0 : y1 + 1, x0 : x1 + 1].reshape(-1, 3)
        covered = _lab(pixels[:: max(1, len(pixels) // SAMPLED)])
        distances = np.linalg.norm(covered[:, None] - palette, axis=2)
        nearest = np.percentile(distances, 20, axis=0)  # a fifth of it may look alike, such as a label on a cup
        good = np.flatnonzero(nearest >= min(APART, nearest.max()))
        best = int(good[np.argmin(taken[good])])
        taken[best] += 1
        red, green, blue = PALETTE[best]
        yield red, green, blue


def _lab(colors: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 RGB in CIELAB, float32; lightness counts by half, as bright red on dark red is still red on red."""
    found = np.asarray(cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    scaled: np.ndarray = found[0] * np.array([0.5, 1, 1], np.float32)
    return scaled


def _labelled(
    image: np.ndarray, labels: Sequence[str], boxes: Sequence[Rectangle], colors: Sequence[tuple[int, int, int]]
) -> np.ndarray:
    """``image`` with a label at each box; the best instances choose their places first."""
    sheet = Image.fromarray(image)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(max(11, round(max(image.shape[:2]) / 45)))
    placed: list[Rectangle] = []
    for label, box, color in zip(labels, boxes, colors, strict=True):
        left, top, right, bottom = (int(value) for value in pen.textbbox((0, 0), label, font))
        place = _place(right - left + 6, bottom - top + 6, box, sheet.size, placed)
        placed.append(place)
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=color)
        ink = (0, 0, 0) if np.dot(color, (0.299, 0.587, 0.114)) > 110 else (255, 255, 255)
        pen.text((place[0] + 3 - left, place[1] + 3 - top), label, ink, font)
    return np.array(sheet)


def _place(width: int, height: int, box: Rectangle, size: tuple[int, int], placed: Sequence[Rectangle]) -> Rectangle:
    """Where a label stands: above its box, below it, inside it, or the nearest place where it covers no other."""
    x0, y0, x1, y1 = box
    most_x, most_y = max(0, size[0] - width), max(0, size[1] - height)
    first = [(x0, y0 - height), (x0, y1 + 1), (x0, y0), (x1 - width, y0 - height), (x1 - width, y1 + 1)]
    rest = sorted(
        ((x, y) for y in range(0, most_y + 1, height) for x in range(0, most_x + 1, max(1, width // 2))),
        key=lambda at: abs(at[0] - x0) + abs(at[1] - y0),
    )
    for x, y in [at for at in first if 0 <= at[0] <= most_x and 0 <= at[1] <= most_y] + rest:
        place = x, y, x + width, y + height
        if not any(_overlap(place, other) for other in placed):
            return place
    x, y = min(x0, most_x), min(max(0, y0 - height), most_y)  # there is no room left
    return x, y, x + width, y + height


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def check_writable(path: str | Path) -> Path:
    """``path``, if an image could be written there: worth asking before the work that makes it.

    Raises:
        ImageError: its ending names no image format, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        wrong = f"{path.suffix} is none of" if path.suffix else "its name has no ending. Give it one of"
        raise ImageError(f"Cannot write {path}: {wrong} {', '.join(WRITABLE)}.")
    if not path.parent.is_dir():
        raise ImageError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    return path


@counting(holds=False)
def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB in the format that the file's ending names, whole or not at all.

    Raises:
        ImageError: see ``check_writable``; or the file cannot be written.
    """
    path = check_writable(path)
    try:
        fits, content = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
    except cv2.error:
        fits = False
    if not fits:
        size = f"{image.shape[1]} x {image.shape[0]} pixels"
        raise ImageError(f"Cannot write {path}: a {path.suffix} file cannot hold {size}; use .png.")
    try:
        write_whole(path, content.tobytes())
    except OSError as error:
        raise ImageError(f"Cannot write {path}: {error.strerror}.") from error
