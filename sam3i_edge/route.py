"""The auto route: which of the three levels a text is, by a linear classifier over hashed token n-grams.

It is small integers throughout, so that another language computes exactly the same. Of one text:

1. Its token ids as the tokenizer gives them, from the start token up to and including the first end token (the
   largest id); the padding behind it is dropped. n ids, 2 <= n <= 32.
2. Each run of one, two and three neighbouring ids, written as two bytes per id, the low byte first, is hashed with
   32-bit FNV-1a: ``h = 2166136261``; for each byte ``h = ((h xor byte) * 16777619) mod 2^32``. One more hash is that
   of the single byte n. Together 3n - 2 hashes (2 + 2 - 1 for n = 2).
3. The bucket of a hash is ``(h xor (h >> 16)) mod B``, B being the number of weights per route.
4. A route's score is the sum of its weights in all these buckets, a bucket that is hit twice counting twice: integers,
   at most 94 x 127. The largest score wins; of equal ones the first in the order concept, simple, complex.

``route.json`` holds it: ``{"format", "format_version", "note", "weights": {route: [B integers in -127..127]}}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge import schema
from sam3i_edge.errors import BundleError
from sam3i_edge.prompt import ROUTES

FORMAT = "sam3i-edge-route"
FORMAT_VERSION = 1
DEFAULT_FILE = Path(__file__).with_name("route_default.json")

FNV_OFFSET, FNV_PRIME = 2166136261, 16777619
MAX_ORDER = 3
MAX_WEIGHT = 127
MAX_BUCKETS = 1 << 16


@dataclass(frozen=True)
class _RouteFile:
    format: str
    format_version: int
    note: str
    weights: dict[str, tuple[int, ...]]


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
    @lru_cache(maxsize=1)
    def default(cls) -> RouteClassifier:
        """The built-in one, fitted on broad English text (``sam3i_edge.data.phrases``)."""
        return cls.load(DEFAULT_FILE)

    @classmethod
    def load(cls, path: str | Path) -> RouteClassifier:
        """Read a ``route.json``. Raises BundleError naming the file and what is wrong with it."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
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
        return cls(_check_weights(file.weights), file.note)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``from_dict`` reads them back."""
        weights = {route: row.tolist() for route, row in zip(ROUTES, self.weights, strict=True)}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, "note": self.note, "weights": weights}

    def save(self, path: str | Path) -> None:
        """Write a ``route.json``: one line of weights per route."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """The content of a ``route.json``, the same for the same classifier."""
        values = self.to_dict()
        rows = [
            f"  {json.dumps(route)}: {json.dumps(row, separators=(',', ':'))}"
            for route, row in values["weights"].items()
        ]
        head = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items() if key != "weights"]
        return "{\n" + ",\n".join(head) + ',\n "weights": {\n' + ",\n".join(rows) + "\n }\n}\n"

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
    length = np.array([fnv1a(bytes([len(ids)]))], np.uint32)
    joined = np.concatenate([*hashes, length])
    folded: np.ndarray = (joined ^ (joined >> np.uint32(16))) % np.uint32(count)
    return folded.astype(np.int64)


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    return value


def _check_weights(rows: Mapping[str, Sequence[int]]) -> np.ndarray:
    """The rows as one (3, B) int8 array. Raises SchemaError unless they are of one allowed length and range."""
    lengths = {route: len(row) for route, row in rows.items()}
    length = lengths[ROUTES[0]]
    if set(lengths.values()) != {length} or not 2 <= length <= MAX_BUCKETS or length & (length - 1):
        raise schema.SchemaError(f"weights are {lengths} integers; expected 2, 4, 8 … or {MAX_BUCKETS} of each route.")
    for route, row in rows.items():
        largest = max(row, key=abs)
        if abs(largest) > MAX_WEIGHT:
            raise schema.SchemaError(f"weights.{route} holds {largest}; expected -{MAX_WEIGHT} to {MAX_WEIGHT}.")
    weights = np.array(list(rows.values()), np.int8)
    weights.flags.writeable = False  # the built-in classifier is shared
    return weights
