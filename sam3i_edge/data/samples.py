"""What every dataset becomes: images with instances, and texts that mean some, one or none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
