"""A scene's texts: on three levels, true of its facts, meaning one thing, several, all or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sam3i_edge.data.tabletop import complex_texts, concept_texts, simple_texts
from sam3i_edge.data.tabletop.draft import MAX_WORDS, Draft, allowed
from sam3i_edge.data.tabletop.facts import SceneFacts
from sam3i_edge.data.tabletop.holdout import check_split
from sam3i_edge.data.tabletop.rng import Rng
from sam3i_edge.data.tabletop.scene_query import SceneQuery
from sam3i_edge.data.tabletop.text_request import TextRequest
from sam3i_edge.data.tabletop.truth_set import indices

COUNTS = {"concept": 8, "simple": 8, "complex": 7}
"""Texts of each level per scene; fewer where a scene has too little to say."""
WITHOUT_TARGET = 0.15
ATTEMPTS = 16
"""Times a level's makers are tried for one text at most."""
PREFERRED = 3
"""Attempts in which a concept of ``compose`` is wanted to be about a held-out kind and colour."""
FAVOUR = 0.6
"""In ``compose``, so many texts start from a thing of a held-out kind and colour, if the scene has one."""

Maker = Callable[[TextRequest], Draft | None]

MAKERS: dict[str, dict[Maker, float]] = {
    "concept": {concept_texts.concept: 1.0},
    "simple": simple_texts.MAKERS,
    "complex": complex_texts.MAKERS,
}


@dataclass(frozen=True)
class Text:
    """One text about a scene."""

    text: str
    route: str
    """Its level, one of ``prompt.ROUTES``."""
    targets: tuple[int, ...]
    """Ascending indices of ``SceneFacts.things``; empty: it means nothing in this image."""


def describe(facts: SceneFacts, split: str, rng: np.random.Generator) -> list[Text]:
    """Texts about a scene, about 8 concepts, 8 simple and 7 complex ones, no text twice in a level.

    Args:
        facts: what is true of the scene.
        split: ``train``, ``val``, or ``compose``, whose simple and complex texts hold what ``train`` never shows.
        rng: decides everything; the same facts and state give the same texts.

    Raises:
        DataError: the split is unknown.
    """
    check_split(split)
    view, dice = SceneQuery(facts), Rng(rng)
    return [text for route in COUNTS for text in _level(view, split, route, dice)]


def _level(view: SceneQuery, split: str, route: str, dice: Rng) -> list[Text]:
    found: dict[str, Text] = {}
    wanted = [dice.chance(WITHOUT_TARGET) for _ in range(COUNTS[route])]
    for without_target in wanted:
        for attempt in range(ATTEMPTS):
            draft = _draft(view, split, route, dice, without_target)
            if draft is None or draft.text.lower() in found or not _passes(draft, view, split, route, attempt):
                continue
            found[draft.text.lower()] = Text(_finished(draft.text, dice), route, indices(draft.verdict.yes))
            break
    return list(found.values())


def _draft(view: SceneQuery, split: str, route: str, dice: Rng, without_target: bool) -> Draft | None:
    if not without_target and not view.things:
        return None
    favoured = indices(view.held_out) if split == "compose" else ()
    candidates = favoured if favoured and dice.chance(FAVOUR) else range(len(view.things))
    target = None if without_target else dice.pick(candidates)
    return _maker(route, dice)(TextRequest(view, split, target, dice))


def _maker(route: str, dice: Rng) -> Maker:
    makers = MAKERS[route]
    at = dice.uniform() * sum(makers.values())
    for maker, weight in makers.items():
        at -= weight
        if at < 0:
            return maker
    return next(iter(makers))


def _passes(draft: Draft, view: SceneQuery, split: str, route: str, attempt: int) -> bool:
    """Whether the text may stand in this split on this level."""
    if len(draft.text.split()) > MAX_WORDS:
        return False
    if route == "complex" and complex_texts.names(
        draft.text, frozenset(view.things[i].kind for i in draft.verdict.things)
    ):
        return False
    if route == "concept" and split == "compose" and attempt >= PREFERRED:
        return True
    return allowed(draft, split, view.held_out)


def _finished(text: str, dice: Rng) -> str:
    """Some texts begin with a capital letter, as people write."""
    return text[0].upper() + text[1:] if dice.chance(0.5 if text.endswith("?") else 0.1) else text
