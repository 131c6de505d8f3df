"""Image files: what one is, and how large, is known from its header before a pixel is decoded.

Pillow decodes, of the formats listed here only: it would run Ghostscript on an EPS file.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from sam3i_edge.errors import ImageError
from sam3i_edge.image_holes import has_holes

MAX_PIXELS = 1 << 28
"""268 megapixels. Every mask has the size of the image, so far larger images would exhaust memory."""

FORMATS = {
    "PNG": "PngImagePlugin",
    "JPEG": "JpegImagePlugin",
    "BMP": "BmpImagePlugin",
    "GIF": "GifImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
    "PPM": "PpmImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "AVIF": "AvifImagePlugin",  # of Pillow 11.3 and newer
}
"""What is read, and the module of Pillow's that does. A GIF, WebP, AVIF, APNG or TIFF of several images gives the
first, an APNG the one for viewers without animation."""

READABLE = "PNG, JPEG, BMP, GIF, TIFF, WebP, PPM, PGM, JPEG 2000 or AVIF"
FLOAT_SIGNATURES = (b"PF", b"Pf", b"#?")
"""Of PFM and Radiance files: their values have no largest one."""

MAX_BYTES = 1 << 31
"""2 GiB; 268 megapixels of 16 bits, uncompressed, take 1.6."""

MAX_SCANS = 100
"""Of a progressive JPEG; encoders write about ten. Each one costs a pass over the whole image."""

START = 64
"""Bytes that tell a file's format."""

STRIP = 1 << 22
"""Pixels that are converted at once."""

MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Of a JPEG: not a byte of data (FF00), filling (FFFF) or a restart (FFD0 to FFD7)."""
IMAGE_WIDTH, IMAGE_LENGTH, BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, TILE_WIDTH, TILE_LENGTH = (
    256,
    257,
    258,
    262,
    274,
    322,
    323,
)
"""Tags of TIFF."""
WHITE_IS_ZERO = 0

NOT_EXIF = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Where Pillow would look for an orientation if EXIF has none; viewers and other readers do not."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations want done before the image is shown."""
UPRIGHT = 1
BACK = {6: 8, 8: 6}
"""What undoes an orientation; all others undo themselves."""


def read_image_file(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB; see ``image.read_image``. Raises ImageError."""
    image = _loaded(path)
    try:
        return pixels_of(image)
    except Exception as error:  # what Pillow raises shares no base
        raise _damaged(path, error) from error


def _loaded(path: str | Path) -> Image.Image:
    """The decoded image. Its file is read once: another process may be writing it, so that a second look, or a map of
    it, would find something else, or nothing. Raises ImageError.
    """
    with _open_file(path) as file:
        try:
            _opener(file.read(START), path)  # before all of what is no image is read
            file.seek(0)
            content = file.read(os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise _cannot_read(path, error) from error
    image = open_image(io.BytesIO(content), path)
    check_size(*image.size, f"The image {path}")
    try:
        _check_whole(image, content)
        image.load()
    except Exception as error:  # as above
        raise _damaged(path, error) from error
    for name in NOT_EXIF:
        image.info.pop(name, None)
    return image


def orientation_of_file(path: str | Path) -> tuple[int, tuple[int, int]]:
    """EXIF's orientation, 1 (upright) to 8, and the stored width and height; no pixel is read. Raises ImageError."""
    with _open_file(path) as file:
        image = open_image(file, path)
        tags = getattr(image, "tag_v2", None)
        stored = image.size if tags is None else (tags[IMAGE_WIDTH], tags[IMAGE_LENGTH])  # Pillow's size may be turned
        return orientation_of(image), stored


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What was turned upright from ``orientation``, (H, W, 3) uint8, turned back."""
    return np.array(Image.fromarray(pixels).transpose(TURNS[BACK.get(orientation, orientation)]))


def open_image(file: BinaryIO, path: str | Path) -> Image.Image:
    """What Pillow knows from the header of an open file. Raises ImageError."""
    try:
        opener = _opener(file.read(START), path)
        file.seek(0)
        image: Image.Image = opener(file, "")
        return image
    except ImageError:
        raise
    except Exception as error:  # as above
        raise _damaged(path, error) from error


def _opener(start: bytes, path: str | Path) -> Any:
    """Pillow's class for the image whose file begins so. Raises ImageError."""
    if not start:
        raise ImageError(f"The image {path} is empty (0 bytes).")
    if start.startswith(FLOAT_SIGNATURES):
        raise ImageError(f"The image {path} holds floating-point values. Save it with 8 bits.")
    if start[:4] == b"RIFF" and start[12:16] == b"VP8X":  # Pillow's decoder has two images of this size at once
        width, height = (1 + int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
        check_size(width, height, f"The image {path}")
    for name in FORMATS:
        if opener := _opener_of(name, start):
            return opener
    raise ImageError(f"{path} is no image that can be read here. Use {READABLE}.")


def check_size(width: int, height: int, what: str) -> None:
    """Raise ImageError where there are more than ``MAX_PIXELS``."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{what} is {width} wide and {height} high: more than {MAX_PIXELS / 1e6:.0f} million pixels. Crop it or "
            f"scale it down first."
        )


def pixels_of(image: Image.Image) -> np.ndarray:
    """Decode an image of Pillow's as (H, W, 3) uint8 RGB, turned upright. Raises what Pillow raises."""
    image.load()
    turn = TURNS.get(orientation_of(image))  # after loading: Pillow turns a TIFF itself, and then deletes its tag
    shift, is_inverted = _depth(image)
    if turn is not None:
        image = image.transpose(turn)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):  # a few at a time: Pillow's arrays are copied twice
        bottom = min(top + rows, image.height)
        part = image if rows >= image.height else image.crop((0, top, image.width, bottom))
        if shift is None:
            if "transparency" in part.info:  # of a palette, say: Pillow would warn
                part = part.convert("RGBA")
            pixels[top:bottom] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
        else:
            grey = (np.asarray(part) >> shift).astype(np.uint8)
            pixels[top:bottom] = (~grey if is_inverted else grey)[..., None]
    return pixels


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it says none or nonsense. AVIF's own turns are in Pillow's EXIF.

    A TIFF has it in its tags.
    """
    tags = getattr(image, "tag_v2", None)
    try:
        value = tags[ORIENTATION] if tags is not None and ORIENTATION in tags else image.getexif().get(ORIENTATION, 1)
    except Exception:  # as above
        return UPRIGHT
    return value if value in TURNS else UPRIGHT


def _depth(image: Image.Image) -> tuple[int | None, bool]:
    """By how many bits grey values are shifted to have 8, None for 8 bits; and whether 0 is white.

    Of deep colours Pillow keeps the high bytes itself. Raises ValueError for what has no largest value.
    """
    if not image.mode.startswith(("I", "F")):
        return None, False
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.mode != "I" and image.mode != "F":
        return max(0, tags.get(BITS_PER_SAMPLE, (16,))[0] - 8), tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if tags is None and image.format and not image.mode.startswith("F"):
        return 8, False
    raise ValueError(f"it has values of 32 bits (Pillow's mode {image.mode})")


def _opener_of(name: str, start: bytes) -> Any:
    """Pillow's class for images of a format, if the first bytes are of it and this Pillow reads it."""
    try:
        importlib.import_module(f"PIL.{FORMATS[name]}")
    except ImportError:
        return None
    if name not in Image.OPEN:  # Pillow was built without the library
        return None
    opener, accept = Image.OPEN[name]
    return opener if accept is not None and accept(start) is True else None


def _open_file(path: str | Path) -> BinaryIO:
    try:
        about = os.stat(path)  # noqa: PTH116  # a Path refuses some names with other words
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise ImageError(f"The image {path} is no regular file but a pipe or a device. Give the path of a file.")
        if about.st_size > MAX_BYTES:
            raise ImageError(f"The image {path} has {about.st_size} bytes; at most {MAX_BYTES} are read.")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # the latter for a path with a null character
        raise _cannot_read(path, error) from error


def _check_whole(image: Image.Image, content: bytes) -> None:
    """Raise ValueError, or what Pillow raises, where a file is cut short or filled up in a way that its decoder would
    take for pixels."""
    if image.format in ("JPEG", "MPO"):
        _check_jpeg(content)
    elif image.format == "PNG":
        type(image)(io.BytesIO(content), "").verify()  # type: ignore[call-arg]  # the checksums
    elif image.format in ("WEBP", "AVIF"):
        if has_holes(content):
            raise ValueError("a part of it is zeros")
    elif image.format == "TIFF":
        width, length = (image.tag_v2.get(tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH))  # type: ignore[attr-defined]
        if width * length > MAX_PIXELS:
            raise ValueError(f"it has tiles of {width} x {length} pixels")


def _check_jpeg(content: bytes) -> None:
    at, scans = 2, 0
    while marker := MARKER.search(content, at):
        kind, at = marker[0][1], marker.end()
        if kind == 0xD9:  # the end
            return
        if kind == 0xDA:
            scans += 1
            if scans > MAX_SCANS:
                raise ValueError(f"it has more than {MAX_SCANS} scans")
        if kind not in (0x01, 0xD8):  # all others are followed by their length
            at += int.from_bytes(content[at : at + 2], "big")
    raise ValueError("it has no end")


def _cannot_read(path: str | Path, error: Exception) -> ImageError:
    return ImageError(f"Cannot read the image {path}: {getattr(error, 'strerror', error)}.")


def _damaged(path: str | Path, error: Exception) -> ImageError:
    if isinstance(error, OSError) and error.errno is not None:  # the system's, not Pillow's
        return _cannot_read(path, error)
    return ImageError(
        f"The image {path} is damaged, cut short, or of a kind that is not read ({error or type(error).__name__}). "
        f"Copy it again, or save it as PNG or JPEG with 8 bits."
    )
