"""What every dataset becomes: images with instances, and texts that mean some, one or none of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sam3i_edge.errors import DataError
from sam3i_edge.image import read_image
from sam3i_edge.image_files import UPRIGHT, as_stored, orientation_of_file

logger = logging.getLogger("sam3i_edge")

MAX_WARNED = 10
_warned: set[Path] = set()
"""Images whose orientation was warned of."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Instance:
    """One annotated object."""

    id: int
    rle: dict[str, Any]
    """Compressed COCO run lengths, as ``pycocotools.mask`` reads them, at the image's size."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Query:
    """One text and the instances of its sample that it means."""

    text: str
    route: str
    """One of ``prompt.ROUTES``."""
    targets: tuple[int, ...]
    """Indices into ``Sample.instances``, ascending; empty: the text means nothing in this image."""


@dataclass(frozen=True)
class Sample:
    """One image with everything said about it."""

    image_id: int
    path: Path
    width: int
    height: int
    instances: tuple[Instance, ...]
    queries: tuple[Query, ...]


def spread(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """``limit`` of the items, evenly spread; all for None. Raises DataError for a limit below 1."""
    if limit is None or limit >= len(items):
        return items
    if limit < 1:
        raise DataError(f"The limit is {limit}; it must be at least 1.")
    return [items[i * len(items) // limit] for i in range(limit)]


def read_sample(sample: Sample) -> np.ndarray:
    """The sample's image, (H, W, 3) uint8 RGB, in the frame that its annotations are drawn in.

    A photo with an orientation tag is shown turned, and read so, as all images are. Where the annotated size says that
    the annotations are of the frame as it is stored, it is read as stored; where the size cannot tell, as it is shown.
    Both are said in a warning.

    Raises:
        ImageError: it cannot be read.
        DataError: its size is not the annotated one.
    """
    image = read_image(sample.path)
    orientation, stored = orientation_of_file(sample.path)
    annotated = (sample.width, sample.height)
    shown = (image.shape[1], image.shape[0])
    if annotated != shown and annotated != stored:
        raise DataError(
            f"{sample.path} is {shown[0]} wide and {shown[1]} high; its annotations (image {sample.image_id}) say "
            f"{sample.width} and {sample.height}. Give the images that were annotated."
        )
    if orientation == UPRIGHT or annotated == shown != stored:
        return image
    _warn_of_orientation(sample.path, orientation, annotated != shown)
    return image if annotated == shown else as_stored(image, orientation)


def _warn_of_orientation(path: Path, orientation: int, is_stored: bool) -> None:
    """Once for each image, and for ``MAX_WARNED`` images."""
    if path in _warned or len(_warned) > MAX_WARNED:
        return
    _warned.add(path)
    if len(_warned) > MAX_WARNED:
        logger.warning("More images have an orientation of EXIF's that their annotations leave open.")
        return
    how = (
        "of the frame as it is stored, by their size: it is read so, not as viewers show it"
        if is_stored
        else "taken to be of the frame as viewers show it: their size does not tell"
    )
    logger.warning(
        "%s has the EXIF orientation %d, and its annotations are %s. To settle it turn the pixels for good (exiftran "
        "-ai FILE), or, where the annotations were drawn on the stored frame, drop the tag (exiftool -Orientation= "
        "FILE).",
        path,
        orientation,
        how,
    )
