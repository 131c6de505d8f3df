"""Broad text on three levels, of no particular data set: what the built-in auto route is fitted on.

``words`` and ``wordings`` are the material; this fills the slots of the one with the other. Some of both is marked as
held out, so that a classifier fitted on the rest can be tried on words *and* wordings it has never seen.
"""

from __future__ import annotations

import re

import numpy as np

from sam3i_edge.data.phrases import words
from sam3i_edge.data.phrases.wordings import PIECES, WORDINGS
from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.route import fnv1a

PARTS = ("all", "fit", "held_out")
"""``held_out``: held-out words in held-out wordings only; ``fit``: neither; ``all``: everything."""

HELD_OUT_ONE_IN = 5

OPEN = {
    "noun": words.NOUNS,
    "function": words.FUNCTIONS,
    "property": words.PROPERTIES,
    "situation": words.SITUATIONS,
    "quality": words.QUALITIES,
    "feeling": words.FEELINGS,
    "take": words.TAKE,
    "find": words.FIND,
    "do": words.DO,
}
"""The slots whose words are divided. The others hold the small words, which no wording can do without."""

CLOSED = {
    "attribute": words.ATTRIBUTES,
    "group": words.GROUPS,
    "part": words.PARTS,
    "side": words.SIDES,
    "relation": words.RELATIONS,
    "place": words.PLACES,
    "action": words.ACTIONS,
    "superlative": words.SUPERLATIVES,
    "ordinal": words.ORDINALS,
    "count": words.COUNTS,
    "role": words.ROLES,
    "stuff": words.STUFF,
    **PIECES,
}

SHORTENED, PUNCTUATED = 0.3, 0.2
"""Shares of the texts."""

STOPS = (".", "!", "?", "", " please", ", please", "...")
CONTRACTIONS = {
    "what is": "what's",
    "who is": "who's",
    "where is": "where's",
    "that is": "that's",
    "it is": "it's",
    "I would": "I'd",
    "you would": "you'd",
    "we would": "we'd",
    "I am": "I'm",
    "do not": "don't",
}
CONTRACTED = re.compile(rf"\b({'|'.join(CONTRACTIONS)})\b")

SLOT = re.compile(r"\{(\w+)\}")

Pools = dict[str, tuple[str, ...]]


def phrases(count: int, seed: int, part: str = "all") -> list[tuple[str, str]]:
    """``count`` (text, route) pairs of each route, every wording equally often; the same for the same arguments.

    Raises:
        ConfigError: ``part`` is none of ``PARTS``.
    """
    if part not in PARTS:
        raise ConfigError(unknown_name("part", part, PARTS))
    rng = np.random.default_rng(seed)
    pools = CLOSED | {slot: _of(part, items) for slot, items in OPEN.items()}
    pools["nouns"] = tuple(plural(noun) for noun in pools["noun"])
    made = []
    for route, wordings in WORDINGS.items():
        chosen = _of(part, wordings)
        made += [(phrase(chosen[i % len(chosen)], pools, rng), route) for i in range(count)]
    return made


def phrase(wording: str, pools: Pools, rng: np.random.Generator) -> str:
    """Fill the slots of ``wording`` from ``pools``, and those of what was filled in."""
    while slot := SLOT.search(wording):
        pool = pools[slot[1]]
        wording = wording[: slot.start()] + pool[rng.integers(len(pool))] + wording[slot.end() :]
    return _as_typed(re.sub(r"\ba (?=[aeiou])", "an ", wording), rng)


def _as_typed(text: str, rng: np.random.Generator) -> str:
    """Now and then contracted, and with or without a stop."""
    if rng.random() < SHORTENED:
        text = CONTRACTED.sub(lambda match: CONTRACTIONS[match[0]], text)
    if rng.random() < PUNCTUATED:
        text = text.rstrip(".?") + STOPS[rng.integers(len(STOPS))]
    return text


def plural(noun: str) -> str:
    """The plural of an English noun or compound, "box" to "boxes".

    >>> plural("school bus"), plural("knife"), plural("cherry")
    ('school buses', 'knives', 'cherries')
    """
    if noun in words.PLURALS:
        return words.PLURALS[noun]
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(s|x|z|ch|sh)$", noun) else "s")


def is_held_out(item: str) -> bool:
    """Whether a word or a wording is kept from fitting when that is to be measured: one in ``HELD_OUT_ONE_IN``."""
    return fnv1a(item.encode()) % HELD_OUT_ONE_IN == 0


def _of(part: str, items: tuple[str, ...]) -> tuple[str, ...]:
    return items if part == "all" else tuple(item for item in items if is_held_out(item) == (part == "held_out"))
