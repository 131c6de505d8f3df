"""Noun phrases with their meaning: "striped red mug", "boxes made of wood", "the green one"."""

from __future__ import annotations

from typing import NamedTuple

from sam3i_edge.data.tabletop import lexicon
from sam3i_edge.data.tabletop.catalogue import KINDS, held_out, kind
from sam3i_edge.data.tabletop.frames import NAMELESS_LANDMARKS
from sam3i_edge.data.tabletop.holdout import usable
from sam3i_edge.data.tabletop.lexicon import Noun
from sam3i_edge.data.tabletop.rng import Rng
from sam3i_edge.data.tabletop.scene_query import SceneQuery
from sam3i_edge.data.tabletop.truth_set import TruthSet

OBJECT = Noun("object", "objects", frozenset(KINDS))
"""The noun that says nothing."""


class Phrase(NamedTuple):
    """A noun phrase without article, in both numbers, and what it means."""

    singular: str
    plural: str
    noun: Noun
    verdict: TruthSet
    colour: str = ""
    """The colour it names."""

    @property
    def be(self) -> str:
        """ "is" or "are", for one of them."""
        return "are" if self.noun.paired else "is"

    @property
    def unseen(self) -> bool:
        """It names a kind with a colour that training never shows together."""
        return bool(self.colour) and any(held_out(name, self.colour) for name in self.noun.means)


class Attributes(NamedTuple):
    """What is said of a thing beside its noun; "" where nothing is."""

    colour: str = ""
    material: str = ""
    pattern: str = ""


def phrase(view: SceneQuery, noun: Noun, attributes: Attributes, dice: Rng, after_noun: float = 0.3) -> Phrase:
    """The noun with its attributes, before it or (one of them, with this probability) after it."""
    verdict, before, after = view.noun(noun), [], ""
    if attributes.pattern:
        verdict &= view.pattern(attributes.pattern)
        if dice.chance(after_noun) and not attributes.material:
            after = dice.pick(lexicon.PATTERN_PHRASES[attributes.pattern])
        else:
            before.append(dice.pick(lexicon.PATTERN_WORDS[attributes.pattern]))
    if attributes.colour:
        verdict &= view.colour(attributes.colour)
        word = dice.pick(lexicon.COLOUR_WORDS.get(attributes.colour, (attributes.colour,)))
        if noun.means <= lexicon.HANDLED and not after and dice.chance(after_noun):
            after = f"with {lexicon.with_article(word)} handle"
        else:
            before.insert(len(before) if dice.chance(0.6) or attributes.pattern == "plain" else 0, word)
    if attributes.material:
        verdict &= view.material(attributes.material)
        word = lexicon.MATERIAL_WORDS.get((noun.head, attributes.material), attributes.material)
        if dice.chance(after_noun) and not after:
            after = f"made of {lexicon.MATERIAL_NOUNS.get(word, word)}"
        else:
            before.append(word)
    singular, plural = ([*before, number, *after.split()] for number in (noun.singular, noun.plural))
    if noun.plural.startswith(("pairs of ", "pieces of ")):
        plural = [*noun.plural.split(" ", 2)[:2], *before, noun.plural.split(" ", 2)[2], *after.split()]
    if noun.singular.startswith(("pair of ", "piece of ")):
        singular = [*noun.singular.split(" ", 2)[:2], *before, noun.singular.split(" ", 2)[2], *after.split()]
    return Phrase(" ".join(singular), " ".join(plural), noun, verdict, attributes.colour)


def random_noun(name: str, dice: Rng, wider: float = 0.1) -> Noun:
    """A word for a thing of that kind: half of the time the usual one, with probability ``wider`` a hypernym."""
    if dice.chance(wider):
        above = [noun for noun in lexicon.HYPERNYMS if name in noun.means]
        if above:
            return dice.pick(above)
    return lexicon.usual_noun(name) if dice.chance(0.5) else dice.pick(lexicon.synonyms(name))


def attributes_of(view: SceneQuery, index: int, dice: Rng, least: int = 0) -> Attributes:
    """Some of what can be said of a thing, at least ``least`` of it."""
    thing = view.things[index]
    patterned = kind(thing.kind).patterned
    colour = thing.colour if dice.chance(0.7) else ""
    named = thing.material in lexicon.NAMED_MATERIALS.get(thing.kind, ())
    material = thing.material if named and dice.chance(0.25) else ""
    contrast = patterned and (thing.pattern != "plain" or _patterned_twin(view, index))
    pattern = thing.pattern if contrast and dice.chance(0.5) else ""
    said = bool(colour) + bool(material) + bool(pattern)
    return Attributes(colour if said >= least else thing.colour, material, pattern)


def _patterned_twin(view: SceneQuery, index: int) -> bool:
    """Another thing of the kind has a pattern: then it says something that this one is plain."""
    return any(other.kind == view.things[index].kind and other.pattern != "plain" for other in view.things)


def describing(view: SceneQuery, index: int, dice: Rng, attributed: float, wider: float = 0.1) -> Phrase:
    """A phrase that fits a thing, with attributes at this probability."""
    attributes = attributes_of(view, index, dice) if dice.chance(attributed) else Attributes()
    return phrase(view, random_noun(view.things[index].kind, dice, wider), attributes, dice)


def absent(view: SceneQuery, dice: Rng, attributed: float, wider: float = 0.1) -> Phrase:
    """A phrase that could have fitted: another kind, or a kind in view with an attribute it does not have here."""
    present = tuple(thing.kind for thing in view.things)
    name = dice.pick(present) if present and dice.chance(0.5) else dice.pick(KINDS)
    attributes = Attributes()
    if name in present or dice.chance(attributed):
        attributes = _imagined(name, dice)
    return phrase(view, random_noun(name, dice, wider), attributes, dice)


def _imagined(name: str, dice: Rng) -> Attributes:
    """One attribute or two that a thing of this kind might have."""
    known = kind(name)
    colour = dice.pick(known.colours) if dice.chance(0.8) else ""
    pattern = dice.pick(("striped", "dotted")) if known.patterned and dice.chance(0.25) else ""
    materials = lexicon.NAMED_MATERIALS.get(name, ())
    material = dice.pick(materials) if len(materials) > 1 and dice.chance(0.2) else ""
    return Attributes(colour, material, pattern)


class LandmarkPhrase(NamedTuple):
    """Words, with article, for exactly one thing."""

    words: str
    at: int
    """Its index; -1 if it is not there."""
    head: str
    unseen: bool
    paired: bool = False


def landmark(view: SceneQuery, index: int, dice: Rng, split: str, nameless: float = 0.05) -> LandmarkPhrase | None:
    """A landmark phrase that means this one thing and no other, or None if three tries find none."""
    if dice.chance(nameless):
        colour = view.things[index].colour
        if view.colour(colour) == TruthSet(1 << index, 0):
            words = dice.pick(usable(NAMELESS_LANDMARKS, split)).replace("{c}", colour)
            return LandmarkPhrase(words, index, "one", False)
    for attributed in (0.25, 0.8, 1.0):
        found = describing(view, index, dice, attributed, wider=0.05)
        if found.verdict == TruthSet(1 << index, 0):
            return LandmarkPhrase(f"the {found.singular}", index, found.noun.head, found.unseen, found.noun.paired)
    return None


def absent_landmark(view: SceneQuery, dice: Rng) -> LandmarkPhrase | None:
    """Words for a thing that is not there; None if it might be."""
    found = absent(view, dice, 0.3)
    if found.verdict != TruthSet(0, 0):
        return None
    return LandmarkPhrase(f"the {found.singular}", -1, found.noun.head, found.unseen, found.noun.paired)
