"""How relations, places, comparisons, numbers and requests are put into words. Data only.

In a wording stand ``{n}`` for a noun phrase without article, ``{ns}`` for its plural, ``{l}``, ``{m}`` for landmarks
with article, ``{p}`` for a position in words, ``{is}`` for "is" or "are", ``{x}`` for a whole phrase.
"""

from __future__ import annotations

from dataclasses import dataclass

Wordings = tuple[str, ...]


@dataclass(frozen=True)
class Position:
    """The ways to say where something is."""

    places: Wordings
    """They follow a noun, and "is", too."""
    clauses: Wordings = ()
    """They follow a noun only."""


RELATION_WORDS: dict[str, Position] = {
    "left of": Position(
        (
            "left of {l}",
            "to the left of {l}",
            "on the left of {l}",
            "on the left side of {l}",
            "to the left side of {l}",
            "further left than {l}",
            "on the left-hand side of {l}",
        ),
        ("with {l} to its right", "that has {l} to its right"),
    ),
    "right of": Position(
        (
            "right of {l}",
            "to the right of {l}",
            "on the right of {l}",
            "on the right side of {l}",
            "to the right side of {l}",
            "further right than {l}",
            "on the right-hand side of {l}",
        ),
        ("with {l} to its left", "that has {l} to its left"),
    ),
    "behind": Position(
        (
            "behind {l}",
            "on the far side of {l}",
            "beyond {l}",
            "in back of {l}",
        ),
        ("with {l} in front of it", "that has {l} in front of it"),
    ),
    "in front of": Position(
        (
            "in front of {l}",
            "on the near side of {l}",
            "before {l}",
        ),
        ("with {l} behind it", "that has {l} behind it"),
    ),
    "right behind": Position(
        ("right behind {l}", "just behind {l}", "directly behind {l}", "close behind {l}", "immediately behind {l}"),
    ),
    "right in front of": Position(
        (
            "right in front of {l}",
            "just in front of {l}",
            "directly in front of {l}",
            "immediately in front of {l}",
            "close in front of {l}",
        ),
    ),
    "next to": Position(
        (
            "next to {l}",
            "beside {l}",
            "right next to {l}",
            "close to {l}",
            "near {l}",
            "by {l}",
            "right beside {l}",
            "close by {l}",
            "alongside {l}",
        ),
        ("standing next to {l}", "that stands beside {l}", "with {l} next to it"),
    ),
    "on": Position(
        ("on {l}", "on top of {l}", "right on top of {l}", "atop {l}"),
        ("lying on {l}", "resting on {l}", "placed on {l}", "that rests on {l}", "put on top of {l}", "sitting on {l}"),
    ),
    "in": Position(
        ("in {l}", "inside {l}", "inside of {l}", "within {l}"),
        ("sitting in {l}", "lying in {l}", "placed in {l}", "that was put in {l}", "kept in {l}", "resting in {l}"),
    ),
    "under": Position(
        ("under {l}", "underneath {l}", "beneath {l}", "below {l}"),
        (
            "with {l} on it",
            "with {l} on top",
            "with {l} on top of it",
            "carrying {l}",
            "that carries {l}",
            "that {l} rests on",
            "that {l} was put on",
        ),
    ),
    "holding": Position(
        (),
        (
            "with {l} in it",
            "with {l} inside",
            "holding {l}",
            "containing {l}",
            "that holds {l}",
            "that contains {l}",
            "with {l} inside it",
            "that {l} was put in",
        ),
    ),
    "between": Position(
        (
            "between {l} and {m}",
            "in between {l} and {m}",
            "in the middle between {l} and {m}",
            "in the gap between {l} and {m}",
            "somewhere between {l} and {m}",
            "halfway between {l} and {m}",
        ),
        ("with {l} on one side and {m} on the other", "standing between {l} and {m}", "flanked by {l} and {m}"),
    ),
    "closest to": Position(
        ("closest to {l}", "nearest to {l}", "nearest {l}", "least far from {l}"),
        ("with the smallest distance to {l}", "that is the nearest one to {l}", "lying closest to {l}"),
    ),
}

PLACE_WORDS: dict[str, Position] = {
    "on the left": Position(
        (
            "on the left",
            "on the left side",
            "on the left-hand side",
            "in the left part of the picture",
            "at the left of the image",
            "over on the left",
            "on the left half of the image",
        )
    ),
    "on the right": Position(
        (
            "on the right",
            "on the right side",
            "on the right-hand side",
            "in the right part of the picture",
            "at the right of the image",
            "over on the right",
            "on the right half of the image",
        )
    ),
    "in the middle": Position(
        (
            "in the middle",
            "in the centre",
            "in the middle of the picture",
            "in the center of the image",
            "near the middle of the image",
        )
    ),
}

HOLDERS: Wordings = ("{p}", "{p}", "{p}", "{p}", "that {is} {p}", "which {is} {p}", "located {p}", "placed {p}")
"""Between a noun and its place. "{p}" several times: it is what people say most."""

SUPERLATIVE_ADJECTIVES: dict[str, Wordings] = {
    "biggest": ("biggest", "largest"),
    "smallest": ("smallest", "tiniest"),
    "tallest": ("tallest",),
    "shortest": ("shortest", "least tall"),
    "nearest": ("nearest", "closest", "frontmost"),
    "farthest": ("farthest", "furthest", "rearmost", "most distant"),
    "leftmost": ("leftmost",),
    "rightmost": ("rightmost",),
}

SUPERLATIVE_PHRASES: dict[str, Wordings] = {
    "biggest": ("that {is} bigger than the others", "of the largest size", "that {is} biggest"),
    "smallest": ("that {is} smaller than the others", "of the smallest size", "that {is} smallest"),
    "tallest": ("that {is} taller than the others", "of the greatest height", "that {is} tallest"),
    "shortest": ("that {is} less tall than the others", "of the least height", "that {is} shortest"),
    "nearest": (
        "closest to the camera",
        "nearest to us",
        "at the very front",
        "nearest to the viewer",
        "closest to the front",
        "that {is} nearest to you",
    ),
    "farthest": (
        "farthest from the camera",
        "furthest away",
        "at the very back",
        "furthest from us",
        "farthest from the viewer",
        "that {is} furthest back",
    ),
    "leftmost": (
        "on the far left",
        "furthest to the left",
        "at the far left",
        "at the very left",
        "that {is} furthest left",
    ),
    "rightmost": (
        "on the far right",
        "furthest to the right",
        "at the far right",
        "at the very right",
        "that {is} furthest right",
    ),
}

SUPERLATIVE_NOUNS: Wordings = (
    "the {a} {n}",
    "the {a} {n}",
    "the {a} {n}",
    "{a} {n}",
    "the {a} of the {ns}",
    "the {a} one of the {ns}",
    "of the {ns}, the {a} one",
)

COMPARATIVES: dict[str, Wordings] = {
    "biggest": ("bigger", "larger"),
    "smallest": ("smaller",),
    "tallest": ("taller",),
    "shortest": ("shorter", "less tall"),
    "nearest": ("nearer", "closer"),
    "farthest": ("farther", "more distant"),
    "leftmost": ("left",),
    "rightmost": ("right",),
}

COMPARATIVE_NOUNS: Wordings = (
    "the {a} {n}",
    "the {a} one of the two {ns}",
    "the {a} of the two {ns}",
    "of the two {ns}, the {a} one",
    "of both {ns}, the {a} one",
)

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

ORDINAL_WORDS: Wordings = (
    "the {o} {n} from the {side}",
    "the {o} {n} from the {side}",
    "{o} {n} from the {side}",
    "the {n} that {is} {o} from the {side}",
    "the {o} {n} counted from the {side}",
    "counting from the {side}, the {o} {n}",
    "the {o} of the {ns} from the {side}",
    "starting on the {side}, the {o} {n}",
)

NEGATIONS: Wordings = (
    "the {n} that {is} not {c}",
    "the {n} which {is} not {c}",
    "the {n} of another colour than {c}",
    "any {n} but the {c} one",
    "the {n} that {is} anything but {c}",
    "the {n} that does not look {c}",
)
NEGATIONS_MANY: Wordings = (
    "the {ns} that are not {c}",
    "all {ns} that are not {c}",
    "every {n} that is not {c}",
    "all the {ns} except the {c} ones",
    "all {ns} of another colour than {c}",
    "each {n} that is not {c}",
)

ONE: Wordings = ("the {n}", "the {n}", "the {n}", "the {n}", "{n}")
BOTH: Wordings = ("both {ns}", "both of the {ns}", "the two {ns}", "both {ns}", "the pair of {ns}", "all {ns}")
ALL: Wordings = (
    "all {ns}",
    "all the {ns}",
    "all of the {ns}",
    "every {n}",
    "each {n}",
    "the {ns}",
    "every single {n}",
)
COUNTED: Wordings = ("the {k} {ns}", "all {k} {ns}", "{k} {ns}", "all {k} of the {ns}")
MASS: Wordings = ("all the {n}", "the {n}", "all {n}", "all of the {n}", "all of this {n}")

EVERYTHING_MADE: Wordings = (
    "everything made of {c}",
    "all objects made of {c}",
    "every object made of {c}",
    "all the {adjective} objects",
    "everything {adjective}",
    "each object made from {c}",
)
EVERYTHING_COLOURED: Wordings = (
    "all {c} objects",
    "all the {c} objects",
    "every {c} object",
    "everything {c}",
    "each object that is {c}",
    "the {c} objects",
)
WHOLE_TABLE: Wordings = (
    "everything on the table",
    "all objects",
    "all the objects on the table",
    "every object in the picture",
    "each object here",
    "all objects you see",
)

UNIONS: Wordings = (
    "{x} and {y}",
    "{x} and {y}",
    "{x} together with {y}",
    "{x} as well as {y}",
    "both {x} and {y}",
    "{x} plus {y}",
)

LYING: Wordings = (
    "{n} lying on its side",
    "{n} that has fallen over",
    "{n} that was knocked over",
    "tipped-over {n}",
    "{n} that is lying down",
    "toppled {n}",
    "{n} that no longer stands upright",
    "fallen {n}",
)
UPRIGHT: Wordings = (
    "{n} standing upright",
    "upright {n}",
    "{n} that is still standing",
    "{n} that has not fallen over",
    "{n} that stands upright",
)

REQUESTS: Wordings = (
    "pick up {x}",
    "show me {x}",
    "segment {x}",
    "find {x}",
    "point to {x}",
    "grab {x}",
    "hand me {x}",
    "select {x}",
    "mark {x}",
    "highlight {x}",
    "take {x}",
    "get me {x}",
    "look for {x}",
    "bring me {x}",
    "could you pass me {x}?",
    "please pick up {x}",
    "can you see {x}?",
    "I am looking for {x}",
    "please give me {x}",
    "outline {x}",
)
QUESTIONS: Wordings = (
    "where {is} {x}?",
    "could you show me where {x} {is}?",
    "do you see {x}?",
    "where do you see {x}?",
)
"""About {x} as the subject."""
