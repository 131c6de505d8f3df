"""Images in: reading, checking, and the resize that the model was trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sam3i_edge.calls import counting
from sam3i_edge.errors import ImageError, unknown_name
from sam3i_edge.image_files import check_size, pixels_of, read_image_file

RGB, BGR = "rgb", "bgr"
COLORS = (RGB, BGR)
"""Orders of an array's channels; OpenCV's is BGR."""

ImageSource = np.ndarray | Image.Image | str | Path
"""What ``as_image`` takes."""


@counting(holds=False)
def as_image(source: ImageSource, color: str = RGB) -> np.ndarray:
    """An image as (H, W, 3) uint8 RGB: an array of that form itself, a view of one in BGR, a ``PIL.Image`` converted
    (EXIF orientation applied, as for files), a path read.

    Args:
        source: the image.
        color: the order of an array's channels, one of ``COLORS``.

    Raises:
        ImageError: as ``check_image`` and ``read_image``; or ``color`` is unknown, or "bgr" for a file or a
            ``PIL.Image``.
    """
    if not isinstance(color, str) or color not in COLORS:
        raise ImageError(unknown_name("color", color, COLORS))
    if color == BGR and isinstance(source, str | Path | Image.Image):
        kind = "PIL.Image" if isinstance(source, Image.Image) else "file"
        raise ImageError(
            f"color='bgr' says how the channels of an array lie; a {kind} knows that itself. Leave color out."
        )
    if isinstance(source, str | Path):
        return check_image(read_image(source))
    return in_order(check_image(_of_pillow(source) if isinstance(source, Image.Image) else source), color)


def in_order(image: np.ndarray, color: str) -> np.ndarray:
    """Turn RGB into ``color``, or back: a view."""
    return image[..., ::-1] if color == BGR else image


def _of_pillow(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):  # Pillow would cut off what is above 255
        raise ImageError(f"The image has more than 8 bits (Pillow's mode {image.mode}). Scale it to mode L or RGB.")
    check_size(*image.size, "The image")
    try:
        return pixels_of(image)
    except Exception as error:  # what Pillow raises for a file cut short, a closed one … shares no base
        raise ImageError(f"Pillow cannot read the image: {error}. Save it again, or give its pixels.") from error


@counting(holds=False)
def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB, as a viewer shows it: EXIF orientation is applied, also of PNG, WebP,
    TIFF and AVIF; CMYK is converted. Of an animation or a TIFF of several pages it is the first image.

    Grey is repeated over the channels, of 16 bits the high byte stays. Alpha is dropped, so that what is transparent
    has the colour that the file gives it. Colour profiles and gamma are not applied.

    Formats: PNG, JPEG, BMP, GIF, TIFF, WebP, PPM and PGM, JPEG 2000, AVIF; at most 268 million pixels (2^28), which
    the header tells before any are decoded.

    Raises:
        ImageError: there is no such regular file, it is empty, damaged or too large, or no image of these formats.
    """
    return read_image_file(path)


def check_image(image: np.ndarray) -> np.ndarray:
    """``image`` itself if it is (H, W, 3) uint8, of any size and memory layout.

    Raises:
        ImageError: it is not; the message says how to convert it.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"The image is a {type(image).__name__}; expected a NumPy array (H, W, 3), uint8, RGB, a PIL.Image or a "
            f"path."
        )
    problem = _problem(image)
    if problem:
        raise ImageError(f"The image is {image.dtype} of shape {image.shape}; expected (H, W, 3) uint8 RGB. {problem}")
    check_size(image.shape[1], image.shape[0], "The image")
    return image


def _problem(image: np.ndarray) -> str:
    if image.size == 0:
        return "It has no pixels."
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        return "For greyscale: cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)."
    if image.ndim == 4:
        return "Encode one image at a time."
    if image.ndim == 3 and image.shape[2] == 4:
        return "Drop the alpha channel: image[..., :3]."
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
        return "Channels come last: image.transpose(1, 2, 0)."
    if image.ndim != 3 or image.shape[2] != 3:
        return "Give three colour channels, last."
    if image.dtype == np.uint16:
        return "For 16 bits: (image >> 8).astype(np.uint8)."
    if np.issubdtype(image.dtype, np.floating):
        return "For values in 0..1: (image * 255).round().astype(np.uint8)."
    if image.dtype != np.uint8:
        return "Convert the values to 0..255 and uint8."
    return ""


@counting(holds=False)
def preprocess(image: np.ndarray, size: int) -> np.ndarray:
    """Resize (H, W, 3) uint8 to the vision graph's input (1, size, size, 3) uint8, ignoring the aspect ratio.

    Antialiased bilinear on uint8, as in training: Pillow's filter, which torchvision's uint8 path reproduces to one
    grey level. Normalisation is inside the graph.
    """
    if image.strides[2] == -1:  # a view of BGR is resized as it lies, and only the small result turned round
        return np.ascontiguousarray(preprocess(image[..., ::-1], size)[..., ::-1])
    pixels = Image.fromarray(np.ascontiguousarray(image)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(pixels)[None]
