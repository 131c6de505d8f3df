"""What a text is wanted for, and the few words that texts of all levels are finished with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sam3i_edge.data.tabletop import lexicon, noun_phrases, templates
from sam3i_edge.data.tabletop.holdout import usable
from sam3i_edge.data.tabletop.noun_phrases import LandmarkPhrase
from sam3i_edge.data.tabletop.relations import RELATIONS
from sam3i_edge.data.tabletop.rng import Rng
from sam3i_edge.data.tabletop.scene_query import SceneQuery
from sam3i_edge.data.tabletop.templates import Position, Wordings
from sam3i_edge.data.tabletop.truth_set import TruthSet

REQUESTABLE = frozenset(
    ("the", "both", "all", "every", "each", "what", "whatever", "something", "everything", "a", "an")
)
"""What begins with one of these words can follow "pick up"."""


LANDMARKS_TRIED = 4


class TextRequest(NamedTuple):
    """One text to be made."""

    view: SceneQuery
    split: str
    target: int | None
    """A thing it shall mean, perhaps among others; None: it shall mean nothing."""
    dice: Rng

    def pick(self, choices: Wordings) -> str:
        """One of the wordings this split may use."""
        return self.dice.pick(usable(choices, self.split))

    def fulfilled(self, verdict: TruthSet) -> bool:
        """Whether that is what the text shall mean, without doubt."""
        if not verdict.sure:
            return False
        return verdict.yes == 0 if self.target is None else bool(verdict.yes >> self.target & 1)

    def other(self, *taken: int) -> int | None:
        """A thing that is neither the target nor among ``taken``; None if there is none."""
        left = [i for i in range(len(self.view.things)) if i != self.target and i not in taken]
        return self.dice.pick(left) if left else None

    def landmark(self, *taken: int) -> LandmarkPhrase | None:
        """Words for some other thing than the target; without a target at times for one that is not there."""
        if self.target is None and self.dice.chance(0.2):
            return noun_phrases.absent_landmark(self.view, self.dice)
        index = self.other(*taken)
        return None if index is None else noun_phrases.landmark(self.view, index, self.dice, self.split)

    def landmark_with(self, fits: Callable[[int], bool]) -> LandmarkPhrase | None:
        """Words for some other thing than the target that fits; the first of a few tried that can be named."""
        left = [i for i in range(len(self.view.things)) if i != self.target]
        for index in self.dice.shuffled(left)[:LANDMARKS_TRIED]:
            if fits(index):
                return noun_phrases.landmark(self.view, index, self.dice, self.split)
        return None


def related(ask: TextRequest, name: str, landmark: LandmarkPhrase) -> TruthSet:
    """What stands in that relation to a landmark; nothing, if the landmark is not there."""
    return TruthSet(0, 0) if landmark.at < 0 else ask.view.relation(name, landmark.at)


def some_relation(ask: TextRequest, landmark: LandmarkPhrase) -> str | None:
    """A relation of the target to the landmark that is beyond doubt; any relation, without a target."""
    names = ask.dice.shuffled(tuple(RELATIONS))
    for name in names:
        if ask.target is None or related(ask, name, landmark).yes >> ask.target & 1:
            return name
    return None


def some_related(ask: TextRequest) -> tuple[str, LandmarkPhrase] | None:
    """A relation and a landmark to which the target stands in it; without a target any two."""
    if ask.target is None:
        landmark = ask.landmark()
    else:
        landmark = ask.landmark_with(lambda index: ask.view.stands(int(ask.target or 0), index))
    name = some_relation(ask, landmark) if landmark else None
    return (name, landmark) if landmark and name else None


def plausible(name: str, head: str, landmark: LandmarkPhrase) -> bool:
    """Whether one may look for a ``head`` there: in a bowl, on a book, but not in a hammer."""
    supports = {"in": lexicon.CONTAINERS, "on": lexicon.SUPPORTS}.get(name)
    carries = {"holding": lexicon.CONTAINERS, "under": lexicon.SUPPORTS}.get(name)
    return (supports is None or landmark.head in supports) and (carries is None or head in carries)


def located(
    ask: TextRequest, position: Position, landmarks: tuple[LandmarkPhrase, ...], paired: bool, many: bool = False
) -> str:
    """A place in words, to stand after a noun; only words that also fit ``many`` or a ``paired`` noun, if asked."""
    clauses = position.clauses
    if many or paired or any(landmark.paired for landmark in landmarks):
        clauses = tuple(clause for clause in clauses if not clause.startswith("that ")) if not position.places else ()
    if clauses and (not position.places or ask.dice.chance(0.3)):
        text = ask.pick(clauses)
    else:
        text = ask.pick(templates.HOLDERS).replace("{p}", ask.pick(position.places))
    if many and position is templates.RELATION_WORDS["holding"]:
        text = text.replace(" it", " them")
    return filled(text, landmarks).replace("{is}", "are" if many or paired else "is")


def filled(text: str, landmarks: tuple[LandmarkPhrase, ...]) -> str:
    """``{l}`` and ``{m}`` replaced by the landmarks' words."""
    for slot, landmark in zip(("{l}", "{m}"), landmarks, strict=False):
        text = text.replace(slot, landmark.words)
    return text


def requested(ask: TextRequest, noun_phrase: str, probability: float) -> str:
    """A noun phrase as it is, or as the object of a request."""
    if not is_requestable(noun_phrase) or not ask.dice.chance(probability):
        return noun_phrase
    return ask.pick(templates.REQUESTS).replace("{x}", noun_phrase)


def is_requestable(noun_phrase: str) -> bool:
    """Whether a sentence can go on with it: "show me the mug", and not "show me mug"."""
    return noun_phrase.split(" ", 1)[0] in REQUESTABLE


def bits(landmarks: tuple[LandmarkPhrase, ...]) -> int:
    """The things the landmarks are."""
    return sum(1 << landmark.at for landmark in landmarks if landmark.at >= 0)
