"""Zeros where the pixels of a WebP or AVIF file should be, which its decoder would take for pixels.

What a power cut leaves unwritten is zeros, to the end or by the page; arithmetic coding has no such runs. Metadata may
hold any.
"""

from __future__ import annotations

from collections.abc import Iterator

ZERO_END, ZERO_PAGE = bytes(256), bytes(4096)
"""What is taken for a hole at the end of pixel data, and within it."""

ANIMATION_FRAME = 16
"""Bytes of an ANMF chunk before its own chunks."""

NO_PIXELS = (b"Exif", b"mime", b"uri ")
"""Types of AVIF items."""

Part = tuple[int, int]
"""Where a part of a file begins and ends."""


def has_holes(content: bytes) -> bool:
    """Whether pixels of a WebP or AVIF file are zeros."""
    parts = _webp_parts(content, 12, len(content)) if content[:4] == b"RIFF" else _avif_parts(content)
    return any(
        content[max(start, end - len(ZERO_END)) : end] == ZERO_END or content.find(ZERO_PAGE, start, end) >= 0
        for start, end in parts
    )


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "big")


def _webp_parts(content: bytes, at: int, end: int) -> Iterator[Part]:
    """The chunks of pixels, but for those of alpha, which is dropped; and what is no chunk, for its name is zeros."""
    end = min(end, 8 + int.from_bytes(content[4:8], "little"))  # the rest was appended
    while at < end:
        name, start = content[at : at + 4], at + 8
        stop = min(end, start + int.from_bytes(content[at + 4 : start], "little"))
        if name == bytes(4):
            yield at, end
            return
        if name in (b"VP8 ", b"VP8L"):
            yield start, stop
        elif name == b"ANMF":
            yield from _webp_parts(content, start + ANIMATION_FRAME, stop)
        at = stop + stop % 2  # every chunk begins at an even place


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin and end of the boxes of an AVIF file, or of one of its boxes."""
    while at < end:
        size, kind, start = _number(content, at, 4), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = _number(content, start, 8), start + 8
        stop = min(end, at + size) if size >= start - at else end  # a size of 0 is to the end
        yield kind, start, stop
        at = stop


def _avif_parts(content: bytes) -> Iterator[Part]:
    """What lies in "mdat" boxes but is no metadata; and what is no box, for its type is zeros."""
    boxes = list(_boxes(content, 0, len(content)))
    metadata = sorted(part for kind, start, end in boxes if kind == b"meta" for part in _metadata(content, start, end))
    for kind, start, end in boxes:
        if kind not in (b"mdat", bytes(4)):
            continue
        for first, last in metadata:
            if start <= first and last <= end:
                yield start, first
                start = last
        yield start, end


def _metadata(content: bytes, start: int, end: int) -> Iterator[Part]:
    """The parts of the file that the items of a "meta" box with EXIF, XMP and the like lie in."""
    inner = {kind: (first, last) for kind, first, last in _boxes(content, start + 4, end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return
    first, last = inner[b"iinf"]
    items = set()
    for _, at, _ in _boxes(content, first + (6 if content[first] == 0 else 8), last):
        size = 2 if content[at] == 2 else 4  # of the item's number, by the entry's version
        if content[at + 6 + size : at + 10 + size] in NO_PIXELS:
            items.add(_number(content, at + 4, size))
    for item, part in _extents(content, *inner[b"iloc"]):
        if item in items:
            yield part


def _extents(content: bytes, at: int, end: int) -> Iterator[tuple[int, Part]]:
    """Of an "iloc" box: items' numbers and the parts of the file that they lie in."""
    version, sizes = content[at], content[at + 4 : at + 6]
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0
    number_size = 2 if version < 2 else 4
    at += 6 + number_size
    while at < end:
        item = _number(content, at, number_size)
        in_file = not version or _number(content, at + number_size, 2) == 0
        at += number_size + (4 if version else 2)
        base = _number(content, at, base_size)
        count = _number(content, at + base_size, 2)
        at += base_size + 2
        for _ in range(count):
            offset = base + _number(content, at + index_size, offset_size)
            length = _number(content, at + index_size + offset_size, length_size)
            at += index_size + offset_size + length_size
            if in_file:
                yield item, (offset, offset + length)
