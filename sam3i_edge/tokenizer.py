"""The CLIP tokenizer, reading the ``tokenizer.json.gz`` of a bundle.

Its own byte-pair merge rather than the ``tokenizers`` package: the published tokenizer cleans text with ftfy, lower-
cases it as Python does and knows its two special tokens only where its pattern meets them, none of which that package
expresses; and it would bring an HTTP stack onto the robot.
"""

from __future__ import annotations

import gzip
import html
import json
import logging
import re
import zlib
from collections.abc import Iterable
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


NUM_BYTE_WORDS = 512
MOST_WORDS = 1 << 16
"""The auto route reads an id as two bytes."""


def words_of(merges: Iterable[tuple[str, str]]) -> list[str]:
    """All words of a tokenizer with these merges, in the order of their ids."""
    characters = [*bytes_to_characters().values()]
    ends = [character + END_OF_WORD for character in characters]
    return [*characters, *ends, *map("".join, merges), START_OF_TEXT, END_OF_TEXT]


def clean(text: str) -> str:
    """Repair mojibake, resolve HTML entities (twice), collapse white space, lower-case."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r"\s+", " ", text).strip().lower()


class Tokenizer:
    """Text to the model's 32 token ids."""

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]], context_length: int) -> None:
        self.context_length = context_length
        self._ids = vocabulary
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._characters = bytes_to_characters()
        ids = [vocabulary.get(word, -1) for word in words_of(merges)]
        # A smaller vocabulary leaves out merges; every other word keeps its id.
        ascends = all(type(id_) is int and id_ < after for id_, after in pairwise([*ids, MOST_WORDS]))
        if ids[:NUM_BYTE_WORDS] != [*range(NUM_BYTE_WORDS)] or not ascends or len(ids) != len(vocabulary):
            raise ValueError("the vocabulary is not the bytes, the merges and two special tokens, in this order")
        self._pattern = regex.compile(WORD_PATTERN, regex.IGNORECASE)
        self._word_ids = lru_cache(maxsize=4096)(self._encode_word)

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Read a ``tokenizer.json.gz``: the format of the ``tokenizers`` package, compressed by gzip.

        Raises:
            BundleError: the file is not such a tokenizer.
        """
        try:
            return cls.from_json(gzip.decompress(Path(path).read_bytes()).decode("utf-8"))
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(f"{path} is no CLIP tokenizer: {error!r}. Export the bundle anew.") from error

    @classmethod
    def from_json(cls, content: str) -> Tokenizer:
        """Read the content of a ``tokenizer.json``. Raises ValueError, KeyError or TypeError where it is not one."""
        parsed: dict[str, Any] = json.loads(content)
        merges = [(first, second) for first, second in parsed["model"]["merges"]]
        return cls(dict(parsed["model"]["vocab"]), merges, int(parsed["truncation"]["max_length"]))

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
            best = min(pairwise(parts), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            joined, i = [], 0
            while i < len(parts):
                step = 2 if tuple(parts[i : i + 2]) == best else 1
                joined.append("".join(parts[i : i + step]))
                i += step
            parts = joined
        return parts
