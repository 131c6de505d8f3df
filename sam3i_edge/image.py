"""Images in: reading, checking, and the resize that the model was trained with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sam3i_edge.errors import ImageError

MAX_PIXELS = 1 << 28
"""268 megapixels. Every mask has the size of the image, so far larger images would exhaust memory."""

FLOAT_SIGNATURES = (b"PF", b"Pf", b"#?")
"""Of PFM and Radiance files: their values have no largest one, and OpenCV would make nearly black pictures of them."""
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How files of the known formats begin."""


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB.

    Greyscale is repeated over the channels, alpha is dropped (OpenCV multiplies the colours of TIFF files by it), 16
    bits are scaled to 8, EXIF orientation is applied.

    Raises:
        ImageError: there is no such file, it is empty, or it is no image that OpenCV reads.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"Cannot read the image {path}: {error.strerror}.") from error
    if not content:
        raise ImageError(f"The image {path} is empty (0 bytes).")
    if content.startswith(FLOAT_SIGNATURES):
        raise ImageError(f"The image {path} holds floating-point values. Save it with 8 bits.")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        what = "has more than 2^30 pixels" if "MAX_IMAGE" in error.err else f"cannot be decoded ({error.err})"
        raise ImageError(f"The image {path} {what}. Scale it down, or save it anew.") from error
    if image is None and content.startswith(SIGNATURES):
        raise ImageError(
            f"The image {path} is damaged, cut short, or of a kind that is not read (32-bit values, say). Copy it "
            f"anew, or save it with 8 bits."
        )
    if image is None:
        raise ImageError(f"{path} is no image that can be read here. Use PNG, JPEG, BMP, TIFF or WebP.")
    return np.ascontiguousarray(image[..., ::-1])


def check_image(image: np.ndarray) -> np.ndarray:
    """``image`` itself if it is (H, W, 3) uint8, of any size and memory layout.

    Raises:
        ImageError: it is not; the message says how to convert it.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"The image is a {type(image).__name__}; expected a NumPy array (H, W, 3), uint8, RGB. "
            f"For a file use sam3i_edge.read_image(path), for a picture of Pillow np.asarray(image.convert('RGB'))."
        )
    problem = _problem(image)
    if problem:
        raise ImageError(f"The image is {image.dtype} of shape {image.shape}; expected (H, W, 3) uint8 RGB. {problem}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError(
            f"The image is {image.shape[1]} wide and {image.shape[0]} high: more than {MAX_PIXELS / 1e6:.0f} million "
            f"pixels. Crop it or scale it down first."
        )
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


def preprocess(image: np.ndarray, size: int) -> np.ndarray:
    """Resize (H, W, 3) uint8 to the vision graph's input (1, size, size, 3) uint8, ignoring the aspect ratio.

    Antialiased bilinear on uint8, as in training: Pillow's filter, which torchvision's uint8 path reproduces to one
    grey level. Normalisation is inside the graph.
    """
    pixels = Image.fromarray(np.ascontiguousarray(image)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(pixels)[None]
