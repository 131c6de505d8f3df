"""The CLIP tokenizer, reading the ``merges.txt`` of a bundle.

Its own byte-pair merge rather than the ``tokenizers`` package: the published tokenizer cleans text with ftfy, lower-
cases it as Python does and knows its two special tokens only where its pattern meets them, none of which that package
expresses; and it would bring an HTTP stack onto the robot.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import regex

from sam3i_edge.errors import BundleError
from sam3i_edge.text_cleaning import COUNTED_LENGTH, Head, heads

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
"""Of the merges."""
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
        self._longest = max(len(word.removesuffix(END_OF_WORD)) for word in words if word is not None)
        self._pattern = regex.compile(WORD_PATTERN, regex.IGNORECASE)
        self._word_ids = lru_cache(maxsize=4096)(self._encode_word)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_word_ids"}  # no cache can be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._word_ids = lru_cache(maxsize=4096)(self._encode_word)

    @classmethod
    def from_file(cls, path: str | Path, context_length: int, content: bytes | None = None) -> Tokenizer:
        """Read a ``merges.txt``: CLIP's merges; an empty line is one that was left out.

        Args:
            path: the file.
            context_length: tokens of a text.
            content: what is read in place of the file's bytes; None: the file.

        Raises:
            BundleError: the file is not such a tokenizer.
        """
        try:
            if content is None:
                with Path(path).open("rb") as file:
                    content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise ValueError(f"it holds more than {MOST_BYTES} bytes")
            return cls(parse_merges(content.decode("utf-8")), context_length)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} is no CLIP tokenizer: {error!r}. Export the bundle again.") from error

    def encode(self, text: str) -> np.ndarray:
        """``text`` as (context_length,) int32: start, words, end, then zeros. Too long a text loses its end.

        However long it is, only the beginning that decides these tokens is read.
        """
        most = self.context_length - 2
        ids = next(found for head in heads(text) if (found := self._ids_of(head, most)) is not None)
        tokens = np.full(self.context_length, PADDING_ID, np.int32)
        tokens[: len(ids) + 2] = [self._ids[START_OF_TEXT], *ids, self._ids[END_OF_TEXT]]
        return tokens

    def _ids_of(self, head: Head, most: int) -> list[int] | None:
        """The first ``most`` ids of the text that begins so; None if what follows may still decide them."""
        ids: list[int] = []
        trusted = len(head.text) - (0 if head.is_whole else len(START_OF_TEXT))
        for match in self._pattern.finditer(head.text):
            if len(ids) > most:
                break
            if match.start() >= trusted:
                return None
            is_whole = head.is_whole or match.end() < len(head.text)
            found = self._first_ids(match[0], most + 1 - len(ids), is_whole)
            if found is None:
                return None
            ids += found
        if len(ids) <= most:
            return ids if head.is_whole else None
        self._warn(head)
        return ids[:most]

    def _warn(self, head: Head) -> None:
        """Say that a text is too long; by how much, where counting its tokens costs little."""
        is_short = head.is_whole and len(head.text) <= COUNTED_LENGTH
        words = self._pattern.findall(head.text) if is_short else ()
        count = (
            f"{sum(len(self._word_ids(word)) for word in words) + 2}"
            if is_short
            else f"more than {self.context_length}"
        )
        logger.warning("The text has %s tokens; the model reads the first %d.", count, self.context_length)

    def _first_ids(self, word: str, most: int, is_whole: bool) -> list[int] | None:
        """The first ``most`` ids of a word, and perhaps more; None if it goes on, and that may still decide them.

        Wherever a word is cut, a word of the vocabulary begins at most ``_longest`` bytes before and reaches beyond,
        and what stands before that one is joined as if it stood alone. So where all ends within reach agree on the
        first ids, nothing behind can change them.
        """
        if is_whole and len(word) <= COUNTED_LENGTH // 4:
            return self._word_ids(word)
        content, reach = word.encode("utf-8"), 4 * self._longest
        while reach < len(content):
            ends = range(reach, reach - self._longest, -1)
            found = self._join(content[:reach], is_end=False)[:most]
            if len(found) == most and all(self._join(content[:end], is_end=False)[:most] == found for end in ends):
                return found
            reach *= 2
        return self._join(content, is_end=True) if is_whole else None

    def _encode_word(self, word: str) -> list[int]:
        if word in (START_OF_TEXT, END_OF_TEXT):
            return [self._ids[word]]
        return self._join(word.encode("utf-8"), is_end=True)

    def _join(self, content: bytes, *, is_end: bool) -> list[int]:
        """The ids of a word, or of its beginning: of all known pairs the one of the best rank is joined first, of equal
        ones the leftmost. A pair that a join brings about ranks behind it, for a word comes after its parts.
        """
        parts: list[str] = [self._characters[byte] for byte in content]
        if is_end:
            parts[-1] += END_OF_WORD
        count, ranks = len(parts), self._ranks
        following, previous = [*range(1, count + 1)], [*range(-1, count - 1)]
        pairs = [(rank, i) for i in range(count - 1) if (rank := ranks.get((parts[i], parts[i + 1]))) is not None]
        heapq.heapify(pairs)
        while pairs:
            rank, i = heapq.heappop(pairs)
            second = following[i]
            if second >= count or ranks.get((parts[i], parts[second])) != rank:
                continue  # one of them was joined to another
            parts[i] += parts[second]
            parts[second] = ""
            following[i] = behind = following[second]
            if behind < count:
                previous[behind] = i
            for first in (previous[i], i):
                if first >= 0 and following[first] < count:
                    rank = ranks.get((parts[first], parts[following[first]]), -1)
                    if rank >= 0:
                        heapq.heappush(pairs, (rank, first))
        return [self._ids[part] for part in parts if part]
