"""The auto route: which of the three levels a text is, by a linear classifier over hashed token n-grams.

It is small integers throughout, so that another language computes exactly the same. Of one text:

1. Its token ids as the tokenizer gives them, from the start token up to and including the first end token (the
   largest id); the padding behind it is dropped. n ids: from 2 to the model's context length, which is 32.
2. Each run of one, two and three neighbouring ids, written as two bytes per id, the low byte first, is hashed with
   32-bit FNV-1a: ``h = 2166136261``; for each byte ``h = ((h xor byte) * 16777619) mod 2^32``. One more hash is that
   of the single byte n mod 256. Together 3n - 2 hashes.
3. The bucket of a hash is ``(h xor (h >> 16)) mod B``, B being the number of weights per route.
4. A route's score is the sum of its weights in all these buckets; a bucket that is hit twice counts twice. The largest
   score wins; of equal ones the first in the order concept, simple, complex.

``route.json`` holds it: ``{"format", "format_version", "note", "weights": {route: text}}``, each text the base64 (RFC
4648, padded) of a route's B weights as signed bytes, in the order of the buckets. B is a power of two.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge import schema
from sam3i_edge.errors import BundleError
from sam3i_edge.files import write_json
from sam3i_edge.manifest import ROUTE_FILE
from sam3i_edge.prompt import ROUTES
from sam3i_edge.text_files import decode, parse_json, read_json

FORMAT = "sam3i-edge-route"
FORMAT_VERSION = 1
DEFAULT_FILE = Path(__file__).with_name("route_default.json")

FNV_OFFSET, FNV_PRIME = 2166136261, 16777619
MAX_ORDER = 3
MAX_BUCKETS = 1 << 16


@dataclass(frozen=True)
class _RouteFile:
    format: str
    format_version: int
    note: str
    weights: dict[str, str]


@dataclass(frozen=True, eq=False)
class RouteClassifier:
    """Chooses the route of a text.

    Attributes:
        weights: (3, B) int8, the routes in the order of ``ROUTES``; B is a power of two.
        note: what it was fitted on, in words.
    """

    weights: np.ndarray
    note: str

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path | None) -> RouteClassifier:
        """The ``route.json`` beside a checkpoint's file, or, where there is none, the default. Raises BundleError."""
        own = None if checkpoint is None else Path(checkpoint).parent / ROUTE_FILE
        return cls.load(own) if own is not None and own.is_file() else cls.default()

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> RouteClassifier:
        """The built-in one, fitted on broad English text (``sam3i_edge.data.phrases``)."""
        return cls.load(DEFAULT_FILE)

    @classmethod
    def load(cls, path: str | Path, content: bytes | None = None) -> RouteClassifier:
        """Read a ``route.json``, or the ``content`` of one. Raises BundleError naming the file and what is wrong."""
        try:
            return cls.from_dict(read_json(path) if content is None else parse_json(decode(content)))
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{path} is no auto route: {error} Fit one with `sam3i-edge data route`, or export the bundle anew."
            ) from error

    @classmethod
    def from_dict(cls, values: Any) -> RouteClassifier:
        """Build from the content of a ``route.json``. Raises ``schema.SchemaError`` naming the key."""
        file = schema.parse(_RouteFile, values)
        if (file.format, file.format_version) != (FORMAT, FORMAT_VERSION):
            raise schema.SchemaError(
                f"format is {file.format!r}, version {file.format_version}; expected {FORMAT!r}, {FORMAT_VERSION}."
            )
        if tuple(file.weights) != ROUTES:
            raise schema.SchemaError(f"weights are of {list(file.weights)}; expected {list(ROUTES)}.")
        return cls(_decode(file.weights), file.note)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``from_dict`` reads them back."""
        rows = zip(ROUTES, self.weights, strict=True)
        weights = {route: base64.b64encode(row.tobytes()).decode("ascii") for route, row in rows}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, "note": self.note, "weights": weights}

    def save(self, path: str | Path) -> None:
        """Write a ``route.json``; of the same classifier always the same bytes."""
        write_json(Path(path), self.to_dict())

    def scores(self, tokens: np.ndarray) -> np.ndarray:
        """The scores (3,) int64 of one text's ``tokens``, (context_length,) int32 as the tokenizer gives them."""
        found: np.ndarray = self.weights[:, buckets(tokens, self.weights.shape[1])].sum(1, dtype=np.int64)
        return found

    def route(self, tokens: np.ndarray) -> str:
        """The route of one text, given its ``tokens``, (context_length,) int32."""
        return ROUTES[int(self.scores(tokens).argmax())]


def buckets(tokens: np.ndarray, count: int) -> np.ndarray:
    """The buckets (3n - 2,) int64, below ``count``, that one text's ``tokens`` fall into, with repetitions."""
    ids = tokens[: int(tokens.argmax()) + 1].astype(np.uint32)
    hashes: list[np.ndarray] = []
    grams: np.ndarray = np.full(len(ids), FNV_OFFSET, np.uint32)
    for order in range(min(MAX_ORDER, len(ids))):
        grams = grams[: len(ids) - order]
        for byte in (ids[order:] & 0xFF, ids[order:] >> 8):
            grams = (grams ^ byte) * np.uint32(FNV_PRIME)
        hashes.append(grams)
    length = np.array([fnv1a(bytes([len(ids) & 0xFF]))], np.uint32)
    joined = np.concatenate([*hashes, length])
    folded: np.ndarray = (joined ^ (joined >> np.uint32(16))) % np.uint32(count)
    return folded.astype(np.int64)


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    return value


def _decode(texts: Mapping[str, str]) -> np.ndarray:
    """The weights (3, B) int8. Raises SchemaError unless they are base64 of one allowed length."""
    rows = []
    for route, text in texts.items():
        try:
            rows.append(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise schema.SchemaError(f"weights.{route} is not base64: {error}.") from error
    lengths = [len(row) for row in rows]
    count = lengths[0]
    if set(lengths) != {count} or not 2 <= count <= MAX_BUCKETS or count & (count - 1):
        raise schema.SchemaError(f"weights have {lengths} bytes; expected 2, 4, 8 … or {MAX_BUCKETS} for each route.")
    return np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), count)
