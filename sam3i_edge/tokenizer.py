"""The CLIP tokenizer, reading the ``merges.txt.gz`` of a bundle.

Its own byte-pair merge rather than the ``tokenizers`` package: the published tokenizer cleans text with ftfy, lower-
cases it as Python does and knows its two special tokens only where its pattern meets them, none of which that package
expresses; and it would bring an HTTP stack onto the robot.
"""

from __future__ import annotations

import gzip
import html
import logging
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
import regex

from sam3i_edge.errors import BundleError

logger = logging.getLogger("sam3i_edge")

START_OF_TEXT = "<start_of_text>"
END_OF_TEXT = "<end_of_text>"
END_OF_WORD = "</w>"
WORD_PATTERN = (
    rf"{START_OF_TEXT}|{END_OF_TEXT}|"
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
PADDING_ID = 0
"""Also the id of "!" inside a word; the published model treats that as padding too, and so do we."""


def bytes_to_characters() -> dict[int, str]:
    """A printable character for each byte, so that byte-pair merges can be written as text (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


Merge = tuple[str, str]
MOST_WORDS = 1 << 16
"""The auto route reads an id as two bytes."""
MOST_BYTES = 1 << 24
"""Of the merges: a few compressed bytes may say that they are many."""
MERGES_HEADER = "#version: 0.2"
"""The first line of CLIP's published merges."""


def words_of(merges: Sequence[Merge | None]) -> list[str | None]:
    """The word of every id of a tokenizer with these merges; None for one that was left out."""
    characters = [*bytes_to_characters().values()]
    ends = [character + END_OF_WORD for character in characters]
    joined = [merge and "".join(merge) for merge in merges]
    return [*characters, *ends, *joined, START_OF_TEXT, END_OF_TEXT]


def format_merges(merges: Sequence[Merge | None]) -> str:
    """The text that ``parse_merges`` reads: CLIP's ``merges.txt``, with an empty line for a merge that is left out."""
    return "\n".join([MERGES_HEADER, *(" ".join(merge) if merge else "" for merge in merges), ""])


def parse_merges(text: str) -> list[Merge | None]:
    """The merges of a ``merges.txt``. Raises ValueError where it is not one."""
    header, *lines, rest = text.split("\n")
    if header != MERGES_HEADER or rest:
        raise ValueError(f"it does not begin with {MERGES_HEADER!r} and end with a line")
    known = set(words_of([]))
    merges: list[Merge | None] = []
    for number, line in enumerate(lines, 2):
        first, space, second = line.partition(" ")
        if line and (not space or first not in known or second not in known or first + second in known):
            raise ValueError(f"line {number} does not join two words of lines before into a new one")
        if line:
            known.add(first + second)
        merges.append((first, second) if line else None)
    return merges


def clean(text: str) -> str:
    """Repair mojibake, resolve HTML entities (twice), collapse white space, lower-case."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r"\s+", " ", text).strip().lower()


class Tokenizer:
    """Text to the model's 32 token ids."""

    def __init__(self, merges: Sequence[Merge | None], context_length: int) -> None:
        words = words_of(merges)
        if len(words) > MOST_WORDS:
            raise ValueError(f"it has {len(words)} words, more than {MOST_WORDS}")
        self.context_length = context_length
        self._ids = {word: i for i, word in enumerate(words) if word is not None}
        self._ranks = {merge: rank for rank, merge in enumerate(merges) if merge is not None}
        self._characters = bytes_to_characters()
        self._pattern = regex.compile(WORD_PATTERN, regex.IGNORECASE)
        self._word_ids = lru_cache(maxsize=4096)(self._encode_word)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_word_ids"}  # no cache can be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._word_ids = lru_cache(maxsize=4096)(self._encode_word)

    @classmethod
    def from_file(cls, path: str | Path, context_length: int) -> Tokenizer:
        """Read a ``merges.txt.gz``: CLIP's merges, compressed by gzip; an empty line is a merge that was left out.

        Raises:
            BundleError: the file is not such a tokenizer.
        """
        try:
            with gzip.open(path) as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise ValueError(f"it holds more than {MOST_BYTES} bytes")
            return cls(parse_merges(content.decode("utf-8")), context_length)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise BundleError(f"{path} is no CLIP tokenizer: {error!r}. Export the bundle anew.") from error

    def encode(self, text: str) -> np.ndarray:
        """``text`` as (context_length,) int32: start, words, end, then zeros. Too long a text loses its end."""
        words = self._pattern.findall(clean(text))
        ids = [self._ids[START_OF_TEXT], *(i for word in words for i in self._word_ids(word)), self._ids[END_OF_TEXT]]
        if len(ids) > self.context_length:
            logger.warning("The text has %d tokens; the model reads the first %d.", len(ids), self.context_length)
            ids = [*ids[: self.context_length - 1], ids[-1]]
        tokens = np.full(self.context_length, PADDING_ID, np.int32)
        tokens[: len(ids)] = ids
        return tokens

    def _encode_word(self, word: str) -> list[int]:
        if word in (START_OF_TEXT, END_OF_TEXT):
            return [self._ids[word]]
        characters = [self._characters[byte] for byte in word.encode("utf-8")]
        return [self._ids[part] for part in self._merge([*characters[:-1], characters[-1] + END_OF_WORD])]

    def _merge(self, parts: list[str]) -> list[str]:
        """Join the neighbours of the best rank, everywhere at once, until no pair is known."""
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self._ranks.get(pair, MOST_WORDS))
            if best not in self._ranks:
                break
            joined, i = [], 0
            while i < len(parts):
                step = 2 if tuple(parts[i : i + 2]) == best else 1
                joined.append("".join(parts[i : i + step]))
                i += step
            parts = joined
        return parts
