"""Files become what a viewer shows, whatever the container; sizes are read before pixels."""

import io
import os
import re
import resource
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from sam3i_edge import read_image
from sam3i_edge.errors import ImageError
from sam3i_edge.image_files import MAX_SCANS, orientation_of_file

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PHOTO = Image.fromarray(RGB)
GREY = np.asarray(PHOTO.convert("L"))
PALETTE = PHOTO.quantize(16)
OTHER = [Image.new("RGB", PHOTO.size, color) for color in ("red", "blue")]
LOSSLESS = {"webp": {"lossless": True, "exact": True}, "avif": {"quality": 100}, "jpg": {"quality": 95}}


def repeated(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def translucent() -> Image.Image:
    image = PHOTO.copy()
    image.putalpha(Image.fromarray(GREY))
    return image


def saved(path, image: Image.Image, **options) -> np.ndarray:
    image.save(path, **options)
    return read_image(path)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["png", "webp", "tif", "bmp", "jp2"])
def test_alpha_is_dropped_and_colours_stay(tmp_path, kind):
    assert np.array_equal(saved(tmp_path / f"a.{kind}", translucent(), **LOSSLESS.get(kind, {})), RGB)


@pytest.mark.parametrize(
    ("name", "options"), [("a.png", {}), ("b.png", {"transparency": bytes([0, 9])}), ("a.gif", {"transparency": 3})]
)
def test_palettes(tmp_path, recwarn, name, options):
    assert np.array_equal(saved(tmp_path / name, PALETTE, **options), np.asarray(PALETTE.convert("RGB")))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("grey.png", GREY.astype(np.uint16) * 257, repeated(GREY)),
        ("grey.tif", GREY.astype(np.uint16) * 257, repeated(GREY)),
        ("grey.pgm", GREY.astype(np.uint16) * 257, repeated(GREY)),
        ("rgb.tif", RGB[..., ::-1].astype(np.uint16) * 257, RGB),
        ("rgb.ppm", RGB[..., ::-1].astype(np.uint16) * 257, RGB),
    ],
)
def test_of_16_bits_the_high_byte_stays(tmp_path, name, pixels, expected):
    assert cv2.imwrite(str(tmp_path / name), pixels)
    assert np.array_equal(read_image(tmp_path / name), expected)


def test_a_deep_tiff_whose_0_is_white(tmp_path):
    inverted = Image.fromarray(65535 - GREY.astype(np.uint16) * 257)
    assert np.array_equal(saved(tmp_path / "a.tif", inverted, tiffinfo={262: 0}), repeated(GREY))


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_container(tmp_path, kind, orientation):
    """AVIF says it in boxes of its own; Pillow writes EXIF's as those."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = saved(tmp_path / f"plain.{kind}", PHOTO, **LOSSLESS.get(kind, {}))
    shown = saved(tmp_path / f"turned.{kind}", PHOTO, exif=exif, **LOSSLESS.get(kind, {}))
    transposed = stored.transpose(1, 0, 2)
    turned = [stored, stored[:, ::-1], stored[::-1, ::-1], stored[::-1]]
    turned += [transposed, transposed[:, ::-1], transposed[::-1, ::-1], transposed[::-1]]
    assert np.array_equal(shown, turned[orientation - 1])
    assert orientation_of_file(tmp_path / f"turned.{kind}") == (orientation, (30, 20))


def test_nonsense_for_exif_is_upright(tmp_path):
    assert np.array_equal(saved(tmp_path / "a.png", PHOTO, exif=b"junk"), RGB)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_the_first_of_several_images(tmp_path, name):
    options = LOSSLESS.get(name[2:], {})
    assert np.array_equal(saved(tmp_path / name, PHOTO, save_all=True, append_images=OTHER, **options), RGB)


def test_an_animated_png_with_a_still_image(tmp_path):
    found = saved(tmp_path / "a.png", PHOTO, save_all=True, append_images=OTHER, default_image=True)
    assert np.array_equal(found, RGB)


def test_cmyk_as_it_looks(tmp_path):
    found = saved(tmp_path / "a.jpg", Image.new("RGB", (16, 16), (200, 90, 30)).convert("CMYK"), quality=95)
    assert np.abs(found.astype(int) - [200, 90, 30]).max() <= 4


@pytest.mark.parametrize("name", ["a.eps", "a.tga", "a.ico", "a.dds", "a.pcx"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ImageError, match=r"no image that can be read here. Use PNG, JPEG, BMP, GIF, TIFF, WebP, PPM"):
        saved(tmp_path / name, PHOTO)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_what_is_cut_short_is_refused(tmp_path, kind, share):
    content = encoded(PHOTO, kind)
    (tmp_path / "a").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError, match="is damaged, cut short, or of a kind that is not read"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_end_of_zeros_is_no_image(tmp_path, kind):
    (tmp_path / "a").write_bytes(encoded(PHOTO, kind)[:-60] + bytes(60))
    with pytest.raises(ImageError, match="is damaged"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
@pytest.mark.parametrize("hole", [slice(-300, None), slice(3000, 3000 + 4096)])
def test_holes_of_zeros_are_no_image(tmp_path, kind, hole):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8))
    content = bytearray(encoded(noise, kind))
    (tmp_path / "a").write_bytes(content + bytes(100))
    assert read_image(tmp_path / "a").shape == (120, 160, 3)
    content[hole] = bytes(len(content[hole]))
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ImageError, match=r"is damaged, .*\(a part of it is zeros\)"):
        read_image(tmp_path / "a")


def png(width: int, height: int, text: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    said = chunk(b"zTXt", b"k\0\0" + text) if text else b""
    pixels = chunk(b"IDAT", zlib.compress(bytes(height * (1 + 3 * width)) if height < 99 else b""))
    return b"\x89PNG\r\n\x1a\n" + header + said + pixels + chunk(b"IEND", b"")


def jpeg(width: int, height: int, scans: int = 1) -> bytes:
    content = encoded(PHOTO, "JPEG", progressive=True)
    at, last = content.index(b"\xff\xc2") + 5, content.rindex(b"\xff\xda")
    content = content[:last] + content[last:-2] * scans + content[-2:]
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


TOO_LARGE = {
    "png": png(32000, 32000),
    "jpeg": jpeg(65500, 65500),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 32000, 32000, 1, 24, 0, 0, 0, 0, 0, 0),
    "gif": b"GIF89a" + struct.pack("<HH", 32000, 32000) + b"\x80\0\0" + bytes(6) + b"\x2c" + bytes(200),
    "webp": b"RIFF\0\1\0\0WEBPVP8X\n\0\0\0\2\0\0\0" + (31999).to_bytes(3, "little") * 2 + bytes(100),
    "ppm": b"P6 32000 32000 255\n" + bytes(100),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_too_large_by_its_header(tmp_path, kind):
    (tmp_path / "a").write_bytes(TOO_LARGE[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=r"is \d+ wide and \d+ high: more than 268 million pixels. Crop it or scale"):
        read_image(tmp_path / "a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # in KiB


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(4, 4, zlib.compress(bytes(50_000_000))), "Decompressed data too large"),
        (jpeg(30, 20, MAX_SCANS), "more than 100 scans"),
    ],
    ids=["text", "scans"],
)
def test_what_would_cost_far_more_than_its_pixels(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "a")


def test_what_has_no_end_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ImageError, match=r"no regular file but a pipe or a device. Give the path of a file"):
            read_image(path)
    with (tmp_path / "large.png").open("wb") as file:
        file.write(png(4, 4))
        file.truncate(3 << 30)  # a hole takes no room
    with pytest.raises(ImageError, match=re.escape("has 3221225472 bytes; at most 2147483648 are read")):
        read_image(tmp_path / "large.png")


REWRITE = """
import os, sys, threading
from sam3i_edge import Sam3iEdgeError, read_image
path, full = sys.argv[1], open(sys.argv[1], "rb").read()
def rewrite():
    while True:
        with open(path, "wb") as file:
            file.write(full)
threading.Thread(target=rewrite, daemon=True).start()
for _ in range(60):
    try:
        read_image(path)
    except Sam3iEdgeError:
        pass
print("alive")
"""


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_a_file_that_is_rewritten_while_it_is_read(tmp_path, kind):
    """As a camera does with its snapshot. A map of the file would end the process."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8))
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    (tmp_path / "a").write_bytes(encoded(noise, kind, **options))
    done = subprocess.run([sys.executable, "-c", REWRITE, tmp_path / "a"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
@pytest.mark.parametrize("frames", [[], OTHER])
def test_zeros_in_metadata_are_no_hole(tmp_path, kind, frames):
    exif = Image.Exif()
    exif[0xC4A5] = bytes(5000)
    options = {"save_all": True, "append_images": frames} if frames else {}
    content = encoded(PHOTO, kind, exif=exif, xmp=b"<" + bytes(5000), icc_profile=bytes(5000), **options)
    assert content.count(bytes(4096)) >= 3
    (tmp_path / "a").write_bytes(content)
    assert read_image(tmp_path / "a").shape == RGB.shape


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="it is Linux's")  # noqa: PTH110
@pytest.mark.parametrize("read", [read_image, orientation_of_file])
def test_a_file_that_cannot_be_read(read):
    with pytest.raises(ImageError, match=r"Cannot read the image /proc/self/mem: Input/output error\."):
        read("/proc/self/mem")
