"""Run lengths are read as pycocotools reads them, but not trusted."""

import numpy as np
import pytest
from pycocotools import mask as coco

from sam3i_edge.data.masks import MaskError, decode_counts, read_segmentation


def test_every_mask_comes_back_with_its_box():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(side) for side in rng.integers(1, 40, 2))
        mask = (rng.random((height, width)) < rng.choice([0.02, 0.5, 0.98])).astype(np.uint8)
        mask[rng.integers(height), rng.integers(width)] = 1
        written = coco.encode(np.asfortranarray(mask))
        rle, box = read_segmentation({"size": [height, width], "counts": written["counts"].decode()}, width, height)
        rows, columns = np.nonzero(mask)
        assert np.array_equal(coco.decode(rle), mask)
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        runs = decode_counts(written["counts"]).tolist()
        split = [*runs[:-1], runs[-1] // 2, 0, runs[-1] - runs[-1] // 2]  # a run of no pixels in between
        assert read_segmentation({"size": [height, width], "counts": split}, width, height) == (rle, box)


def test_random_counts_are_refused_or_a_mask():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        counts = bytes(rng.integers(40, 115, rng.integers(0, 12)).tolist())
        try:
            rle, _ = read_segmentation({"size": [10, 10], "counts": counts}, 10, 10)
        except MaskError:
            continue
        assert 0 < coco.area(rle) <= 100


@pytest.mark.parametrize(
    "value", [None, 3, "x", [], [[]], [None], {}, {"size": [10, 10]}, {"size": [10, 10], "counts": [1.5]}]
)
def test_anything_else_is_refused(value):
    with pytest.raises(MaskError):
        read_segmentation(value, 10, 10)


def test_polygons_that_would_exhaust_the_memory_are_refused():
    """pycocotools keeps every pixel that an edge passes."""
    width, points = 1000, 2000
    zigzag = [value for i in range(points) for value in (i % 2 * width, i * 0.1)]
    with pytest.raises(MaskError, match=r"edges of more than 1048576 pixels in all\. Give run lengths, or polygons of"):
        read_segmentation([zigzag], width, 200)
    read_segmentation([zigzag[:1000]], width, 200)
    with pytest.raises(MaskError, match="edges of more than"):
        read_segmentation([zigzag[:1000]] * 3, width, 200)
