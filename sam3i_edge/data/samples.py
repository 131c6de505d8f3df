"""What every dataset becomes: images with instances, and texts that mean some, one or none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sam3i_edge.errors import DataError
from sam3i_edge.image import read_image

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
    """The sample's image, (H, W, 3) uint8 RGB. Raises ImageError, or DataError if its size is not the annotated."""
    image = read_image(sample.path)
    if image.shape[:2] != (sample.height, sample.width):
        raise DataError(
            f"{sample.path} is {image.shape[1]} wide and {image.shape[0]} high; its annotations (image "
            f"{sample.image_id}) say {sample.width} and {sample.height}. Give the images that were annotated."
        )
    return image
