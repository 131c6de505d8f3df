"""Complex instructions: use, property, situation, comparison; never the noun of what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from sam3i_edge.data.tabletop import frames, lexicon, templates
from sam3i_edge.data.tabletop.catalogue import ANY
from sam3i_edge.data.tabletop.draft import Draft
from sam3i_edge.data.tabletop.functions import Function
from sam3i_edge.data.tabletop.holdout import usable
from sam3i_edge.data.tabletop.noun_phrases import LandmarkPhrase
from sam3i_edge.data.tabletop.scene_query import FUNCTIONS
from sam3i_edge.data.tabletop.templates import Position, Wordings
from sam3i_edge.data.tabletop.text_request import (
    TextRequest,
    bits,
    filled,
    located,
    plausible,
    related,
    requested,
    some_related,
    some_relation,
)
from sam3i_edge.data.tabletop.truth_set import TruthSet

FORMS = ("you", "it", "to", "do")
CLAUSES = ("you", "it")
REQUESTED = 0.3
WHOLE_TEXTS = 0.3
"""So many functions are asked for by a text of their own."""


def names(text: str, kinds: frozenset[str]) -> bool:
    """Whether ``text`` holds a noun or hypernym of one of these kinds."""
    return any(_nouns(kind).search(text) for kind in kinds)


@cache
def _nouns(kind: str) -> re.Pattern[str]:
    words = {*lexicon.nouns(kind), *lexicon.hypernyms(kind)}
    return re.compile(rf"\b({'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})\b", re.IGNORECASE)


def _some_function(ask: TextRequest) -> tuple[Function, TruthSet] | None:
    """A function the target serves, or one that nothing in view does; beyond doubt."""
    served = ask.view.served_by(ask.target)
    if not served:
        return None
    chosen = ask.dice.pick(served)
    return chosen, ask.view.function(chosen)


@cache
def _usable(function: Function, forms: tuple[str, ...], split: str) -> tuple[tuple[str, str], ...]:
    return tuple((form, clause) for form in forms for clause in usable(getattr(function, form), split))


def _asked(ask: TextRequest, text: str) -> str:
    """A noun phrase as it is or in a request; whole sentences stay as they are."""
    return text if text.endswith("?") else requested(ask, text, REQUESTED)


def function(ask: TextRequest) -> Draft | None:
    """ "what you would drink from", "use this to drive in a nail", "it is getting dark in here"."""
    found = _some_function(ask)
    if found is None:
        return None
    chosen, verdict = found
    many = verdict.number > 1 or (verdict.number == 0 and ask.dice.chance(0.1))
    whole = (*chosen.any, *(chosen.many if many else chosen.one))
    if whole and ask.dice.chance(WHOLE_TEXTS):
        return Draft(ask.pick(whole), verdict)
    clauses = _usable(chosen, FORMS, ask.split)
    if not clauses:
        return None
    form, clause = ask.dice.pick(clauses)
    if ask.dice.chance(0.3):
        frame = ask.pick((*frames.SENTENCES_ANY[form], *(() if many else frames.SENTENCES_ONE[form])) or ("",))
    else:
        frame = ask.pick((*frames.ANY[form], *(frames.MANY[form] if many else frames.ONE[form])))
    return Draft(_asked(ask, _said(frame, form, clause)), verdict) if frame else None


def _said(frame: str, form: str, clause: str) -> str:
    """A frame with a function's clause in it."""
    that = f"that {clause}"
    rel = clause if form == "you" else that
    words = {"{you}": clause, "{it}": clause, "{to}": clause, "{do}": clause, "{rel}": rel, "{that}": that}
    for slot, word in (words | {"{what}": f"what {clause}"}).items():
        frame = frame.replace(slot, word)
    return frame


def _framed(ask: TextRequest, chosen: Function, choices: Wordings) -> str | None:
    """One of the function's clauses in one of the frames; None if it has none. Nobody says "the things that rings"."""
    clauses = _usable(chosen, CLAUSES, ask.split)
    if not clauses:
        return None
    form, clause = ask.dice.pick(clauses)
    if form == "it":
        choices = tuple(frame for frame in choices if "things" not in frame and "items" not in frame)
    return _said(ask.pick(choices), form, clause)


def coloured(ask: TextRequest) -> Draft | None:
    """ "the red one of the things you could drink from"."""
    return _narrowed(ask, ("colour", "pattern"))


def _narrowed(ask: TextRequest, by: tuple[str, ...]) -> Draft | None:
    """A function of which an attribute picks some."""
    served = _narrowable(ask)
    if served is None:
        return None
    chosen, serving = served
    attribute = ask.dice.pick(by)
    thing = None if ask.target is None else ask.view.things[ask.target]
    if attribute == "colour":
        value = thing.colour if thing else ask.dice.pick(ANY)
        verdict, word = serving & ask.view.colour(value), value
    else:
        value = thing.pattern if thing else ask.dice.pick(("striped", "dotted"))
        verdict = serving & ask.view.pattern(value)
        word = ask.dice.pick(lexicon.PATTERN_WORDS[value])
    if not ask.fulfilled(verdict) or value == "plain" or (ask.target is not None and verdict == serving):
        return None
    choices = frames.COLOURED_ONE if verdict.number < 2 else frames.COLOURED_MANY
    text = _framed(ask, chosen, choices)
    if text is None:
        return None
    return Draft(_asked(ask, text.replace("{a}", word)), verdict, ((attribute, chosen.name, value),))


def _narrowable(ask: TextRequest) -> tuple[Function, TruthSet] | None:
    """A function beyond doubt that the target serves or, without one, something in view does."""
    target, count = ask.target, len(ask.view.things)
    if target is None and count:
        target = int(ask.dice.uniform() * count)
    return _some_function(ask._replace(target=target)) if count else None


def most(ask: TextRequest) -> Draft | None:
    """ "the biggest thing you could eat", "what needs power, the leftmost one"."""
    served = _narrowable(ask)
    if served is None or ask.target is None:
        return None
    chosen, serving = served
    for name in ask.dice.shuffled(tuple(templates.SUPERLATIVE_ADJECTIVES)):
        verdict = ask.view.superlative(name, serving)
        if verdict is not None and ask.fulfilled(verdict):
            text = _framed(ask, chosen, frames.MOST_ONE)
            if text is None:
                return None
            text = text.replace("{a}", ask.pick(templates.SUPERLATIVE_ADJECTIVES[name]))
            return Draft(_asked(ask, text), verdict, ((name, chosen.name, ""),))
    return None


def placed(ask: TextRequest) -> Draft | None:
    """ "what you would drink from, the one left of the laptop"."""
    served, landmark = _narrowable(ask), ask.landmark()
    if served is None or landmark is None:
        return None
    chosen, serving = served
    if ask.dice.chance(0.25):
        name = ask.dice.pick(tuple(templates.PLACE_WORDS))
        verdict, position, value = serving & ask.view.place(name), templates.PLACE_WORDS[name], ""
    else:
        name = some_relation(ask, landmark) or ""
        if not name or (ask.target is None and not plausible(name, "", landmark)):
            return None
        verdict, position = serving & related(ask, name, landmark), templates.RELATION_WORDS[name]
        value = landmark.head
    if not ask.fulfilled(verdict) or (ask.target is not None and verdict == serving and not ask.dice.chance(0.4)):
        return None
    many = verdict.number > 1
    text = _framed(ask, chosen, frames.PLACED_MANY if many else frames.PLACED_ONE)
    if text is None:
        return None
    text = text.replace("{p}", _place(ask, position, (landmark,), many and "the ones" in text))
    unseen = landmark.unseen and bool(value)
    landmarks = bits((landmark,)) if value else 0
    return Draft(_asked(ask, text), verdict, ((name, chosen.name, value),), unseen, landmarks)


def _place(ask: TextRequest, position: Position, landmarks: tuple[LandmarkPhrase, ...], many: bool) -> str:
    """A place without verb, to stand after "the one"."""
    if not position.places:
        return located(ask, position, landmarks, paired=False, many=many)
    return filled(ask.pick(position.places), landmarks)


def nameless(ask: TextRequest) -> Draft | None:
    """ "whatever is right behind the laptop"."""
    found = some_related(ask)
    if found is None:
        return None
    name, landmark = found
    if ask.target is None and not plausible(name, "dish", landmark):
        return None
    verdict = related(ask, name, landmark)
    position = templates.RELATION_WORDS[name]
    if not ask.fulfilled(verdict) or (verdict.number > 1 and not position.places):
        return None
    if position.places:
        choices = frames.NAMELESS_ONE if verdict.number < 2 else frames.NAMELESS_MANY
        text = ask.pick(choices).replace("{p}", filled(ask.pick(position.places), (landmark,)))
    else:
        text = ask.pick(frames.NAMELESS_CLAUSE).replace(
            "{p}", located(ask, position, (landmark,), paired=landmark.paired)
        )
    return Draft(_asked(ask, text), verdict, ((name, "thing", landmark.head),), landmark.unseen, bits((landmark,)))


def extreme(ask: TextRequest) -> Draft | None:
    """ "the least tall thing", "whatever stands furthest from the camera"."""
    if ask.target is None:
        return None
    for name in ask.dice.shuffled(tuple(templates.SUPERLATIVE_ADJECTIVES)):
        verdict = ask.view.superlative(name, ask.view.everything)
        if verdict is not None and ask.fulfilled(verdict):
            text = ask.pick(frames.NAMELESS_SUPERLATIVES[name])
            return Draft(_asked(ask, text), verdict, ((name, "thing", ""),))
    return None


def closest(ask: TextRequest) -> Draft | None:
    """ "the thing closest to the red one"."""
    if ask.target is None:
        return None
    verdict = TruthSet(1 << ask.target, 0)
    landmark = ask.landmark_with(lambda index: ask.view.closest_to(index, ask.view.everything) == verdict)
    if landmark is None:
        return None
    text = filled(ask.pick(frames.NAMELESS_SUPERLATIVES["closest to"]), (landmark,))
    combination = ("closest to", "thing", landmark.head)
    return Draft(_asked(ask, text), verdict, (combination,), landmark.unseen, bits((landmark,)))


def exclusion(ask: TextRequest) -> Draft | None:
    """ "everything that does not belong in a toolbox"."""
    for chosen in ask.dice.shuffled(FUNCTIONS):
        verdict = ask.view.everything.without(ask.view.function(chosen))
        if chosen.excludes and verdict.number != 1 and ask.fulfilled(verdict) and ask.view.things:
            return Draft(_asked(ask, ask.pick(chosen.excludes)), verdict, (("not", chosen.name, ""),))
    return None


MAKERS: dict[Callable[[TextRequest], Draft | None], float] = {
    function: 0.36,
    coloured: 0.14,
    placed: 0.16,
    most: 0.07,
    nameless: 0.16,
    extreme: 0.05,
    closest: 0.08,
    exclusion: 0.035,
}
"""The makers and how often each is tried."""
