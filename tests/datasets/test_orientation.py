"""Photos with an orientation tag are read in the frame that their annotations are drawn in, or with a warning."""

import logging

import numpy as np
import pytest
from PIL import Image

from sam3i_edge import read_image
from sam3i_edge.data import samples
from sam3i_edge.data.samples import MAX_WARNED, Sample, read_sample
from sam3i_edge.errors import DataError


@pytest.fixture(autouse=True)
def nothing_was_said(monkeypatch):
    monkeypatch.setattr(samples, "_warned", set())


def photo(folder, width, height, orientation, name="a.png"):
    """``width`` and ``height`` as stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(stored).save(folder / name, exif=exif)
    return folder / name, stored


@pytest.mark.parametrize(
    ("size", "orientation", "annotated", "is_stored", "said"),
    [
        ((20, 20), 1, (20, 20), False, ""),
        ((30, 20), 6, (20, 30), False, ""),
        ((30, 20), 6, (30, 20), True, "of the frame as it is stored, by their size"),
        ((30, 20), 5, (30, 20), True, "of the frame as it is stored, by their size"),
        ((30, 20), 8, (30, 20), True, "of the frame as it is stored, by their size"),
        ((30, 20), 3, (30, 20), False, "as viewers show it: their size does not tell"),
        ((20, 20), 6, (20, 20), False, "as viewers show it: their size does not tell"),
    ],
)
def test_which_frame_is_meant(tmp_path, caplog, size, orientation, annotated, is_stored, said):
    path, stored = photo(tmp_path, *size, orientation)
    with caplog.at_level(logging.WARNING, "sam3i_edge"):
        for _ in range(2):
            found = read_sample(Sample(1, path, *annotated, (), ()))
    assert np.array_equal(found, stored if is_stored else read_image(path))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == bool(said)
    if said:
        assert f"{path} has the EXIF orientation {orientation}, and its annotations are" in warnings[0]
        assert said in warnings[0]


def test_another_size_is_refused(tmp_path):
    path, _ = photo(tmp_path, 30, 20, 6)
    with pytest.raises(DataError, match=r"a\.png is 20 wide and 30 high; its annotations \(image 1\) say 31 and 20"):
        read_sample(Sample(1, path, 31, 20, (), ()))


def test_many_are_not_all_named(tmp_path, caplog):
    for i in range(MAX_WARNED + 5):
        path, _ = photo(tmp_path, 4, 4, 6, f"{i}.png")
        read_sample(Sample(1, path, 4, 4, (), ()))
    assert len(caplog.records) == MAX_WARNED + 1
    assert caplog.records[-1].getMessage().startswith("More images have an orientation")
