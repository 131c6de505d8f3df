"""What a model was trained on, where that is little: it says so when it is asked for more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError
from sam3i_edge.text_files import read_json

DOMAIN_FILE = "domain.json"
"""Beside a checkpoint: export puts it into the manifest."""

WORD = re.compile("[a-z]{2,}")


@dataclass(frozen=True)
class Domain:
    """The things and the words that a model knows."""

    note: str
    """Shown to whoever uses the model."""
    kinds: tuple[str, ...]
    """Of things, for people."""
    words: tuple[str, ...]
    """Of all texts that it was trained on: lower case, a to z, two letters or more."""

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path) -> Domain | None:
        """The ``domain.json`` beside a checkpoint's file; None where there is none. Raises ConfigError naming it."""
        path = Path(checkpoint).parent / DOMAIN_FILE
        if not path.is_file():
            return None
        try:
            return schema.parse(cls, read_json(path))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: {error} Make one with `sam3i-edge data domain`, or remove it.") from error

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` that no text of the training held, in their order, each once.

        Words with anything but ASCII in them do not count: this is a hint, and it had better miss one than be wrong.
        """
        return [word for word in words_of(text) if word not in self._known]

    def advice(self, word: str) -> str:
        """What to say of an unknown word."""
        return f"The word {word!r} is in none of the texts that this model was trained on ({self.note})."


def words_of(text: str) -> list[str]:
    """The words that ``Domain.words`` lists, of one text, each once."""
    pieces = (piece.lower() for piece in text.split() if piece.isascii())
    return list(dict.fromkeys(word for piece in pieces for word in WORD.findall(piece)))
