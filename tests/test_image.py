"""Reading, refusing and resizing images."""

import re

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sam3i_edge import read_image
from sam3i_edge.errors import ImageError
from sam3i_edge.image import as_image, check_image, preprocess
from sam3i_edge.image_files import MAX_PIXELS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["landscape", "portrait", "small"])
def test_recorded_pixels_within_one_grey_level(recorded, name):
    expected = recorded[f"pixel_values/{name}"]
    pixels = preprocess(recorded[f"image/{name}"], expected.shape[-1])
    actual = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    assert np.abs(actual - expected).max() <= 2 / 255 + 1e-6


@pytest.mark.parametrize("size", [37, 224, 1008])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5000), (57, 33), (241, 319), (3001, 13), (1080, 1920)])
def test_any_size_as_torch_resizes_it(shape, size):
    image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    channels_first = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = F.interpolate(channels_first, (size, size), mode="bilinear", antialias=True)
    difference = preprocess(image, size)[0].astype(int) - expected[0].permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1


def test_memory_layout_does_not_matter():
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    flipped = image[::-1, ::-1]
    assert not flipped.flags.c_contiguous
    assert np.array_equal(preprocess(check_image(flipped), 28), preprocess(np.ascontiguousarray(flipped), 28))


def test_bgr_is_resized_as_rgb_is_without_a_copy():
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    bgr = np.ascontiguousarray(image[..., ::-1])
    taken = as_image(bgr, "bgr")
    assert np.array_equal(taken, image)
    assert np.shares_memory(taken, bgr)
    assert np.array_equal(preprocess(taken, 28), preprocess(image, 28))
    assert preprocess(taken, 28).flags.c_contiguous


@pytest.mark.parametrize(
    ("source", "color", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), "BGR", "Unknown color 'BGR'. Known: rgb, bgr. Did you mean 'bgr'?"),
        (np.zeros((4, 5, 3), np.uint8), np.array(["rgb", "bgr"]), "Unknown color array(['rgb', 'bgr']"),
        (np.zeros((4, 5, 3), np.uint8), ["bgr"], "Unknown color ['bgr']"),
        ("photo.jpg", "bgr", "a file knows that itself. Leave color out"),
        (Image.new("RGB", (5, 4)), "bgr", "a PIL.Image knows that itself"),
    ],
)
def test_orders_of_channels_that_are_none(source, color, message):
    with pytest.raises(ImageError, match=re.escape(message)):
        as_image(source, color)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5), np.uint8), "COLOR_GRAY2RGB"),
        (np.zeros((4, 5, 1), np.uint8), "COLOR_GRAY2RGB"),
        (np.zeros((4, 5, 4), np.uint8), r"Drop the alpha channel: image\[..., :3\]"),
        (np.zeros((3, 5, 6), np.uint8), r"Channels come last: image.transpose\(1, 2, 0\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), "one image at a time"),
        (np.zeros((4, 5, 3), np.uint16), r"For 16 bits: \(image >> 8\)"),
        (np.zeros((4, 5, 3), np.float32), r"For values in 0..1: \(image \* 255\)"),
        (np.zeros((4, 5, 3), np.int64), "Convert the values to 0..255 and uint8"),
        (np.zeros((4, 5, 2), np.uint8), "three colour channels"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        ([[1, 2, 3]], "is a list"),
        ("photo.jpg", r"is a str; expected a NumPy array .*a PIL\.Image or a path"),
        (None, "is a NoneType"),
    ],
)
def test_refused_with_advice(image, message):
    with pytest.raises(ImageError, match=message):
        check_image(image)


def test_too_large_is_refused_and_20000_wide_is_not():
    huge = np.broadcast_to(np.zeros(3, np.uint8), (1, MAX_PIXELS + 1, 3))
    with pytest.raises(ImageError, match="Crop it or scale it down"):
        check_image(huge)
    wide = RNG.integers(0, 256, (40, 20000, 3), dtype=np.uint8)
    assert preprocess(check_image(wide), 224).shape == (1, 224, 224, 3)


def test_files_of_every_kind(tmp_path):
    grey = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
    rgb = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    written = {
        "grey.png": (grey, np.repeat(grey[..., None], 3, axis=2)),
        "rgb.png": (rgb[..., ::-1], rgb),
        "rgba.png": (np.dstack([rgb[..., ::-1], grey]), rgb),
        "deep.png": (rgb[..., ::-1].astype(np.uint16) * 257, rgb),
        "one.png": (rgb[:1, :1, ::-1], rgb[:1, :1]),
    }
    for name, (content, expected) in written.items():
        assert cv2.imwrite(str(tmp_path / name), content)
        image = read_image(tmp_path / name)
        assert image.dtype == np.uint8, name
        assert np.array_equal(image, expected), name


def test_exif_orientation_is_applied(tmp_path):
    """A photograph taken upright is stored sideways with a note to turn it."""
    upright = RNG.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.fromarray(np.rot90(upright)).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "photo.png"), upright)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"hello", "no image that can be read"),
        (b"PF\n1 1\n-1.0\n" + 3 * b"\0\0\x80?", "holds floating-point values"),
        (b"\x89PNG\r\n\x1a\n12", "is damaged, cut short, or of a kind that is not read"),
    ],
)
def test_files_that_are_no_image(tmp_path, content, message):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_no_such_file(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="Is a directory"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="null"):
        read_image("a\0b")


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_pillows_images_of_more_than_8_bits(mode):
    with pytest.raises(ImageError, match=f"more than 8 bits .Pillow's mode {mode}"):
        as_image(Image.new(mode, (5, 6)))


def test_images_that_pillow_cannot_read():
    closed = Image.new("RGB", (5, 6))
    closed.close()
    for image in (closed, Image.new("La", (5, 6))):
        with pytest.raises(ImageError, match="Pillow cannot read the image"):
            as_image(image)


def test_a_file_of_too_many_pixels(tmp_path, monkeypatch):
    Image.new("L", (20, 10)).save(tmp_path / "large.png")
    monkeypatch.setattr("sam3i_edge.image_files.MAX_PIXELS", 199)
    with pytest.raises(ImageError, match="20 wide and 10 high"):
        as_image(tmp_path / "large.png")
