"""Segmentations as annotation files write them: checked, and brought to compressed run lengths with a box."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as coco

from sam3i_edge.data.reading import json_type, shown

FIRST_CHARACTER = 48
CHARACTERS = bytes(range(FIRST_CHARACTER, FIRST_CHARACTER + 64))
MAX_EDGES = 1 << 20
"""Pixels that the edges of one mask's polygons may pass. pycocotools takes some 100 bytes for each."""
MAX_BYTES_PER_RUN = 6
"""30 bits: enough for any run of an image that this package reads."""

Box = tuple[float, float, float, float]


class MaskError(ValueError):
    """A segmentation that does not describe a mask of the image; the message begins with a verb."""


def read_segmentation(value: Any, width: int, height: int) -> tuple[dict[str, Any], Box]:
    """Check one COCO segmentation: compressed or plain RLE, or polygons.

    Args:
        value: as parsed from JSON; the counts of a compressed RLE may be str or bytes.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        The compressed RLE with ``counts`` as bytes, and the box x0, y0, x1, y1 of its pixels.

    Raises:
        MaskError: it is not well formed, of another size than the image, or empty.
    """
    if isinstance(value, list):
        rle = _from_polygons(value, width, height)
        counts = decode_counts(rle["counts"])
    elif isinstance(value, dict):
        rle, counts = _from_rle(value, width, height)
    else:
        raise MaskError(f"is {json_type(value)}; expected an RLE object or a list of polygons.")
    if int(counts.sum()) != width * height:
        raise MaskError(
            f"has runs of {int(counts.sum())} pixels in all; an image {width} wide and {height} high has "
            f"{width * height}."
        )
    if not counts[1::2].any():
        raise MaskError("is an empty mask.")
    if not counts[1:].all():
        rle = {"size": rle["size"], "counts": coco.encode(coco.decode(rle))["counts"]}  # without runs of no pixels
    x, y, across, down = coco.toBbox(rle).tolist()
    return rle, (x, y, x + across, y + down)


def _from_rle(value: dict[str, Any], width: int, height: int) -> tuple[dict[str, Any], np.ndarray]:
    size, counts = value.get("size"), value.get("counts")
    if size != [height, width]:
        raise MaskError(f"has size {shown(size)}; the image is {width} wide and {height} high, so [{height}, {width}].")
    if isinstance(counts, list):
        bad = next((run for run in counts if type(run) is not int or run < 0), None)
        if bad is not None or sum(counts) != width * height:
            what = f"the run {shown(bad)}" if bad is not None else f"runs of {sum(counts)} pixels in all"
            raise MaskError(f"has {what}; expected whole numbers, in all {width * height}.")
        compressed = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        return {"size": [height, width], "counts": compressed["counts"]}, np.array(counts, np.int64)
    if isinstance(counts, str):
        try:
            counts = counts.encode("ascii")
        except UnicodeEncodeError as error:
            raise MaskError(f"cannot be decoded: its counts hold {counts[error.start]!r}.") from error
    if not isinstance(counts, bytes):
        raise MaskError(f"has {json_type(counts)} for counts; expected a string or a list of run lengths.")
    return {"size": [height, width], "counts": counts}, decode_counts(counts)


def decode_counts(counts: bytes) -> np.ndarray:
    """The run lengths (n,) int64 of compressed counts. pycocotools would accept counts of any other total, unseen.

    Each character carries five bits, low ones first, and says whether more follow; from the fourth run on, runs are
    written as the difference to the run before the last.
    """
    if not counts:
        raise MaskError("cannot be decoded: its counts are empty.")
    if counts.translate(None, CHARACTERS):
        raise MaskError("cannot be decoded: its counts hold characters that no RLE has.")
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - FIRST_CHARACTER
    ends = (codes < 32).nonzero()[0]
    if codes[-1] >= 32:
        raise MaskError("cannot be decoded: its counts end within a run.")
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    if lengths.max() > MAX_BYTES_PER_RUN:
        raise MaskError("cannot be decoded: a run is longer than any image.")
    shifts = 5 * (np.arange(len(codes)) - starts.repeat(lengths))
    runs = np.add.reduceat((codes & 31) << shifts, starts)
    runs -= (codes[ends] >> 4) << (5 * lengths)  # the sixteen of a run's last character is its sign
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    if runs.min() < 0:
        raise MaskError("cannot be decoded: it has a run of negative length.")
    return runs


def _from_polygons(polygons: list[Any], width: int, height: int) -> dict[str, Any]:
    if not polygons:
        raise MaskError("is an empty mask: a list without polygons.")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise MaskError("holds a polygon that is not a flat list x, y, x, y, ... of at least three points.")
        for i, value in enumerate(polygon):
            side = height if i % 2 else width
            # Far outside, pycocotools would walk along edges of any length and exhaust the memory.
            if type(value) not in (int, float) or not math.isfinite(value) or not -side <= value <= 2 * side:
                raise MaskError(f"holds a polygon with the coordinate {shown(value)}, not in an image of this size.")
    if sum(_edges(polygon) for polygon in polygons) > MAX_EDGES:
        raise MaskError(
            f"holds polygons with edges of more than {MAX_EDGES} pixels in all. Give run lengths, or polygons of fewer "
            f"points."
        )
    merged = coco.merge(coco.frPyObjects([[float(v) for v in polygon] for polygon in polygons], height, width))
    return {"size": [height, width], "counts": merged["counts"]}


def _edges(polygon: list[Any]) -> float:
    """How many pixels the edges pass, that from the last point to the first, too."""
    points = np.array(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())
