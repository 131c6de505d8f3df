"""The words for things: which nouns name which kinds, what may be mistaken for what, and how plurals are built."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Noun:
    """A countable word for things."""

    singular: str
    plural: str
    means: frozenset[str]
    """The kinds it names."""
    doubtful: frozenset[str] = frozenset()
    """The kinds somebody could also call that: with one of them in view, the word is not used."""
    paired: bool = False
    """Grammatically plural though it names one thing: "the scissors are"."""

    @property
    def head(self) -> str:
        """One name for all words of the same meaning: the kind, or the hypernym's own."""
        return next(iter(self.means)) if len(self.means) == 1 else self.singular


def _noun(singular: str, means: str, doubtful: str = "", plural: str = "", paired: bool = False) -> Noun:
    return Noun(singular, plural or plural_of(singular), frozenset(means.split()), frozenset(doubtful.split()), paired)


def plural_of(noun: str) -> str:
    """The regular English plural, and "knives".

    >>> [plural_of(noun) for noun in ("knife", "box", "mug", "dish")]
    ['knives', 'boxes', 'mugs', 'dishes']
    """
    if noun.endswith("knife"):
        return noun[:-2] + "ves"
    return noun + ("es" if noun.endswith(("x", "s", "sh", "ch")) else "s")


def with_article(phrase: str) -> str:
    """``phrase`` with "a" or "an"; by its first letter, which is right for every word used here."""
    return f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}"


NOUNS: tuple[Noun, ...] = (
    _noun("mug", "mug"),
    _noun("coffee mug", "mug"),
    _noun("cup", "cup", "mug"),
    _noun("teacup", "cup"),
    _noun("tea cup", "cup"),
    _noun("bottle", "bottle"),
    _noun("bowl", "bowl"),
    _noun("soup bowl", "bowl"),
    _noun("plate", "plate"),
    _noun("dinner plate", "plate"),
    _noun("can", "can"),
    _noun("tin can", "can"),
    _noun("tin", "can", "jar box"),
    _noun("jar", "jar"),
    _noun("storage jar", "jar"),
    _noun("box", "box"),
    _noun("book", "book"),
    _noun("ball", "ball"),
    _noun("apple", "apple"),
    _noun("banana", "banana"),
    _noun("lemon", "lemon"),
    _noun("knife", "knife"),
    _noun("spoon", "spoon"),
    _noun("fork", "fork"),
    _noun("screwdriver", "screwdriver"),
    _noun("hammer", "hammer"),
    _noun("scissors", "scissors", plural="pairs of scissors", paired=True),
    _noun("pair of scissors", "scissors", plural="pairs of scissors"),
    _noun("laptop", "laptop"),
    _noun("laptop computer", "laptop"),
    _noun("notebook computer", "laptop"),
    _noun("computer", "laptop", "phone"),
    _noun("phone", "phone"),
    _noun("smartphone", "phone"),
    _noun("cell phone", "phone"),
    _noun("mobile phone", "phone"),
    _noun("lamp", "lamp"),
    _noun("table lamp", "lamp"),
    _noun("candle", "candle"),
    _noun("trivet", "trivet"),
    _noun("pot mat", "trivet"),
    _noun("hot pad", "trivet"),
)
"""The first noun of a kind is its usual one."""

HYPERNYMS: tuple[Noun, ...] = (
    _noun("fruit", "apple banana lemon"),
    _noun("piece of fruit", "apple banana lemon", plural="pieces of fruit"),
    _noun("citrus fruit", "lemon"),
    _noun("piece of cutlery", "knife spoon fork", "scissors", plural="pieces of cutlery"),
    _noun("eating utensil", "knife spoon fork", "scissors"),
    _noun("tool", "hammer screwdriver", "scissors knife lamp"),
    _noun("hand tool", "hammer screwdriver", "scissors knife"),
    _noun("dish", "plate bowl", "mug cup jar trivet"),
    _noun("electronic device", "laptop phone", "lamp"),
    _noun("gadget", "laptop phone", "lamp scissors screwdriver"),
    _noun("drinking vessel", "mug cup", "bottle can bowl jar"),
)

MASS_NOUNS: tuple[Noun, ...] = (
    _noun("fruit", "apple banana lemon", plural="fruit"),
    _noun("cutlery", "knife spoon fork", "scissors", plural="cutlery"),
    _noun("silverware", "knife spoon fork", "scissors", plural="silverware"),
    _noun("crockery", "mug cup bowl plate", "jar bottle trivet", plural="crockery"),
)
"""Words for all of a sort at once: "the red fruit", never "both fruit"."""

SIMILAR_COLOURS = frozenset(
    frozenset(pair.split())
    for pair in ("grey white", "grey black", "pink purple", "pink red", "brown orange", "brown red", "orange yellow")
)
"""Under odd light one passes for the other, so neither is said of one thing to tell it from the other."""

SIMILAR_MATERIALS = frozenset(
    frozenset(pair.split())
    for pair in (
        "ceramic plastic",
        "ceramic glass",
        "ceramic metal",
        "ceramic paper",
        "plastic glass",
        "plastic metal",
        "plastic paper",
    )
)

NAMED_MATERIALS: dict[str, tuple[str, ...]] = {
    "mug": ("ceramic",),
    "cup": ("ceramic",),
    "bottle": ("glass", "plastic"),
    "bowl": ("ceramic", "wooden", "metal"),
    "plate": ("ceramic",),
    "can": ("metal",),
    "jar": ("glass",),
    "box": ("paper", "wooden"),
    "ball": ("plastic",),
    "knife": ("metal",),
    "spoon": ("metal", "wooden", "plastic"),
    "fork": ("metal", "wooden", "plastic"),
    "trivet": ("wooden", "metal"),
}
"""The materials people mention, by kind: nobody says "a paper book"."""

OF_MANY_MATERIALS = frozenset({"knife", "screwdriver", "hammer", "scissors", "laptop", "phone", "lamp", "book"})
"""Whether such a thing is "made of metal" is anybody's guess."""

HANDLED = frozenset({"knife", "screwdriver", "hammer", "scissors"})
"""Their colour is that of their handle."""

CONTAINERS = frozenset({"mug", "cup", "bowl", "dish", "drinking vessel"})
SUPPORTS = frozenset({"book", "box", "plate", "trivet", "dish"})
"""Nouns of things in which, and on which, others are found: where else to look would be an odd question."""

COLOUR_WORDS: dict[str, tuple[str, ...]] = {"grey": ("grey", "gray"), "purple": ("purple", "purple", "violet")}
MATERIAL_WORDS: dict[tuple[str, str], str] = {("box", "paper"): "cardboard"}
MATERIAL_NOUNS: dict[str, str] = {"wooden": "wood"}
PATTERN_WORDS: dict[str, tuple[str, ...]] = {
    "striped": ("striped", "striped", "stripy"),
    "dotted": ("dotted", "spotted", "polka-dot"),
    "plain": ("plain",),
}
PATTERN_PHRASES: dict[str, tuple[str, ...]] = {
    "striped": ("with stripes", "with a striped pattern"),
    "dotted": ("with dots", "with spots", "with polka dots"),
    "plain": ("without a pattern",),
}


@cache
def usual_noun(kind: str) -> Noun:
    """The word most people would use for a kind."""
    return next(noun for noun in NOUNS if kind in noun.means)


@cache
def synonyms(kind: str) -> tuple[Noun, ...]:
    """All words that mean this kind and no other."""
    return tuple(noun for noun in NOUNS if kind in noun.means)


@cache
def nouns(kind: str) -> tuple[str, ...]:
    """Every noun, singular and plural, that names ``kind`` and no other: ``nouns("phone")`` has "cell phones", too."""
    return tuple(dict.fromkeys(word for noun in synonyms(kind) for word in (noun.singular, noun.plural)))


@cache
def hypernyms(kind: str) -> tuple[str, ...]:
    """Every noun, singular and plural, that names ``kind`` among others: "fruit", "tools"."""
    wider = [noun for noun in (*HYPERNYMS, *MASS_NOUNS) if kind in noun.means]
    return tuple(dict.fromkeys(word for noun in wider for word in (noun.singular, noun.plural)))
