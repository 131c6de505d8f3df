"""Pictures side by side, each with the text that was asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam3i_edge.terminal import printable

BAND = 44
FONT_SIZE = 16
MARGIN = 8
PAPER, INK, NOTE = (255, 255, 255), (25, 25, 25), (110, 110, 110)


def captioned(image: np.ndarray, text: str, note: str = "") -> np.ndarray:
    """``image`` (H, W, 3) uint8 RGB above a white band with ``text``, and ``note`` below it in grey."""
    height, width = image.shape[:2]
    text, note = printable(text), printable(note)
    sheet = Image.new("RGB", (width, height + BAND), PAPER)
    sheet.paste(Image.fromarray(image), (0, 0))
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, height + 4), text, INK, _fitting(pen, text, width - 2 * MARGIN))
    pen.text((MARGIN, height + 25), note, NOTE, ImageFont.load_default(FONT_SIZE - 3))
    return np.asarray(sheet)


def grid(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Pictures of one size, (H, W, 3) uint8 each, in rows of equal length, with white gaps."""
    height, width = rows[0][0].shape[:2]
    down, across = len(rows), len(rows[0])
    shape = (down * (height + MARGIN) + MARGIN, across * (width + MARGIN) + MARGIN, 3)
    sheet = np.full(shape, PAPER[0], np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = MARGIN + i * (height + MARGIN), MARGIN + j * (width + MARGIN)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def _fitting(pen: ImageDraw.ImageDraw, text: str, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest usual font in which ``text`` fits, down to a size that can still be read."""
    for size in range(FONT_SIZE, 8, -1):
        font = ImageFont.load_default(size)
        if pen.textlength(text, font) <= width:
            break
    return font
