"""Draws instances on their image."""

from __future__ import annotations

import colorsys
from pathlib import Path

import cv2
import numpy as np

from sam3i_edge.errors import ImageError
from sam3i_edge.files import write_whole
from sam3i_edge.instances import Instances

GOLDEN_RATIO = 0.618034
WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of the formats that OpenCV writes, those in colour."""


def color(index: int) -> tuple[int, int, int]:
    """An RGB colour well apart from those of neighbouring indices."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + index * GOLDEN_RATIO) % 1, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw(image: np.ndarray, found: Instances) -> np.ndarray:
    """A copy of ``image`` (H, W, 3) uint8 RGB with masks, their outlines, boxes and scores; the best on top."""
    drawn = image.copy()
    thickness = max(1, round(max(image.shape[:2]) / 400))
    worst_first = range(len(found) - 1, -1, -1)
    for i in worst_first:
        mask = found.masks[i]
        drawn[mask] = (0.5 * image[mask] + 0.5 * np.array(color(i), np.float32)).astype(np.uint8)
    for i in worst_first:
        outline, _ = cv2.findContours(found.masks[i].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, color(i), thickness)
    for i in worst_first:
        _draw_box(drawn, found.boxes[i], f"{found.scores[i]:.2f}", color(i), thickness)
    return drawn


def _draw_box(image: np.ndarray, box: np.ndarray, label: str, rgb: tuple[int, int, int], thickness: int) -> None:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (int(value) for value in np.clip(np.rint(box), 0, [width - 1, height - 1] * 2))
    cv2.rectangle(image, (x0, y0), (x1, y1), rgb, thickness)
    scale = 0.4 * thickness
    (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    bottom = max(y0, text_height + 4)
    cv2.rectangle(image, (x0, bottom - text_height - 4), (x0 + text_width + 4, bottom), rgb, cv2.FILLED)
    cv2.putText(image, label, (x0 + 2, bottom - 2), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness, cv2.LINE_AA)


def check_writable(path: str | Path) -> Path:
    """``path``, if an image could be written there: worth asking before the work that makes it.

    Raises:
        ImageError: its ending names no image format, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        ending = path.suffix or "no ending"
        raise ImageError(f"Cannot write {path}: {ending} is none of {', '.join(WRITABLE)}.")
    if not path.parent.is_dir():
        raise ImageError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    return path


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
