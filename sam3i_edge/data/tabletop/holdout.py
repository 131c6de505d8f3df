"""What training never shows, so that something is left to be composed: three small rules.

1. Pairs of kind and colour: ``catalogue.held_out`` keeps them out of the scenes, and here out of the texts.
2. Combinations of a relation or attribute, a target and a landmark or value, 12 % of them: ``held_out_combination``.
3. Wordings, 10 % of them: ``held_out_wordings``. Validation and ``compose`` use all wordings.
"""

from __future__ import annotations

import hashlib
from functools import cache

from sam3i_edge.errors import DataError, unknown_name

SPLITS = ("train", "val", "compose")

COMBINATIONS_HELD_OUT = 0.12
WORDINGS_HELD_OUT = 0.10

Combination = tuple[str, str, str]
"""Relation or attribute, target's noun or function, landmark's noun or the attribute's value ("" where none)."""


@cache
def held_out_combination(combination: Combination) -> bool:
    """Only ``compose`` may use it: ``("left of", "mug", "laptop")``, ``("colour", "drink from", "red")``."""
    return _share("combination", *combination) < COMBINATIONS_HELD_OUT


@cache
def held_out_wordings(wordings: tuple[str, ...]) -> frozenset[str]:
    """Those ways to say one thing that training never uses; never the first, which is the usual one."""
    held_out = {wording for wording in wordings if _share("wording", wording) < WORDINGS_HELD_OUT}
    return frozenset(held_out.difference(wordings[:1]))


@cache
def usable(wordings: tuple[str, ...], split: str) -> tuple[str, ...]:
    """Those of ``wordings`` that ``split`` may use."""
    if split != "train" or not wordings:
        return wordings
    held_out = held_out_wordings(wordings)
    return tuple(wording for wording in wordings if wording not in held_out)


def check_split(split: str) -> str:
    """``split`` itself. Raises DataError if it is none of ``SPLITS``."""
    if split not in SPLITS:
        raise DataError(unknown_name("split", split, SPLITS))
    return split


def _share(*words: str) -> float:
    """A number in [0, 1) that depends on the words alone, on every machine and in every version."""
    digest = hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
