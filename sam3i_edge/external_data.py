"""Which other files an ONNX file names. Its weights may lie beside it, and a bundle reaches nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterator

LOCATION = b"location"
"""The key of an entry that names a file. In an ONNX file without these letters no tensor lies elsewhere."""

CACHED_GRAPH = b"EPContext"
"""An operator whose node may name a file with a graph that was compiled elsewhere."""

MOST_NESTED = 64
"""Graphs in nodes in graphs."""

INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""onnx.proto: where tensors are, by message and field number."""


def named_files(content: bytes) -> set[str]:
    """The files that the tensors of an ONNX file are said to lie in, as they stand there.

    Raises:
        ValueError: it is not ONNX, or it has an operator that may read files of its own.
    """
    if content.find(CACHED_GRAPH) >= 0:
        raise ValueError(f"it holds an {CACHED_GRAPH.decode()}, a graph in another file")
    found: set[str] = set()
    if content.find(LOCATION) >= 0:
        _walk(content, 0, len(content), "model", found, 0)
    return found


def _walk(content: bytes, start: int, end: int, message: str, found: set[str], depth: int) -> None:
    if depth > MOST_NESTED:
        raise ValueError("it is nested too deep")
    for number, begin, stop in _fields(content, start, end):
        inner = INSIDE[message].get(number)
        if inner == "entry":
            entry = list(_fields(content, begin, stop))
            if any(field == 1 and content[first:last] == LOCATION for field, first, last in entry):
                found |= {content[first:last].decode("utf-8") for field, first, last in entry if field == 2}
        elif inner is not None:
            _walk(content, begin, stop, inner, found, depth + 1)


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the fields of a protobuf message that have a length; the others are stepped over."""
    while at < end:
        tag, at = _varint(content, at, end)
        kind, size = tag & 7, 0
        if kind == 0:
            _, at = _varint(content, at, end)
        elif kind == 2:
            size, at = _varint(content, at, end)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("it is not ONNX")
        if size > end - at:
            raise ValueError("it is cut short")
        if kind == 2:
            yield (tag & 0xFFFFFFFF) >> 3, at, at + size  # as protobuf reads it
        at += size


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for count in range(10):
        if at + count >= end:
            raise ValueError("it is cut short")
        byte = content[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + count + 1
    raise ValueError("it is not ONNX")
