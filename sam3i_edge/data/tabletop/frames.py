"""The sentences of texts without a noun: around a function's clauses, around a place, around nothing. Data only.

``{you}``, ``{it}``, ``{to}``, ``{do}`` are a function's clauses of that form; ``{rel}`` is "you would drink from" or
"that rings"; ``{what}`` the same after "what"; ``{a}`` an adjective, ``{p}`` a position.
"""

from __future__ import annotations

Wordings = tuple[str, ...]

ONE: dict[str, Wordings] = {
    "you": ("the thing {you}", "the one {you}", "something {you}", "the item {you}", "the thing that {you}"),
    "it": ("the thing that {it}", "the one that {it}", "something that {it}", "it {it}", "an item that {it}"),
    "to": (
        "something to {to}",
        "a thing to {to}",
        "the thing to {to}",
        "the one to {to}",
        "an item to {to}",
    ),
    "do": (
        "the thing used to {do}",
        "something that helps to {do}",
        "the item you need to {do}",
        "a thing to help {do}",
    ),
}
"""Noun phrases that mean one thing."""

ANY: dict[str, Wordings] = {
    "you": ("what {you}", "what {you}", "whatever {you}", "anything {you}"),
    "it": ("what {it}", "what {it}", "whatever {it}", "anything that {it}"),
    "to": ("anything to {to}",),
    "do": ("what you need to {do}", "what one uses to {do}", "what helps you {do}", "whatever is used to {do}"),
}
"""Noun phrases that mean one thing or more."""

MANY: dict[str, Wordings] = {
    "you": ("everything {you}", "all the things {you}", "all that {you}", "the things {you}", "all items {you}"),
    "it": ("everything that {it}", "all that {it}", "each thing that {it}", "every item that {it}"),
    "to": ("everything to {to}", "all the things to {to}"),
    "do": ("everything used to {do}", "all the things that help to {do}"),
}

SENTENCES_ONE: dict[str, Wordings] = {
    "you": ("it is something {you}", "this is {what}"),
    "it": ("which one {it}?", "which of these {it}?", "which thing here {it}?"),
    "to": ("I need something to {to}", "is there something to {to}?", "I would like something to {to}"),
    "do": ("use this to {do}", "with this I want to {do}", "this helps to {do}"),
}
SENTENCES_ANY: dict[str, Wordings] = {
    "you": ("what is it {you}?",),
    "it": ("what here {it}?",),
    "to": (),
    "do": (
        "what do I need to {do}?",
        "what would you use to {do}?",
        "I want to {do}, what do I need?",
        "I want to {do}",
        "I would like to {do}",
        "I have to {do}, what do I use?",
        "what would you take to {do}?",
        "to {do}",
    ),
}

COLOURED_ONE: Wordings = (
    "the {a} one of the things {rel}",
    "of everything {rel}, the {a} one",
    "the {a} thing {rel}",
    "the {a} item {rel}",
    "{what}, the {a} one",
    "something {a} {rel}",
    "{what}, but only the {a} one",
    "the {a} one {rel}",
)
COLOURED_MANY: Wordings = (
    "all the {a} things {rel}",
    "everything {a} {rel}",
    "of everything {rel}, the {a} ones",
    "{what}, but only the {a} ones",
    "all {a} items {rel}",
)
MOST_ONE: Wordings = (
    "the {a} thing {rel}",
    "of everything {rel}, the {a} one",
    "the {a} one of the things {rel}",
    "{what}, the {a} one",
    "the {a} item {rel}",
)
PLACED_ONE: Wordings = (
    "{what}, the one {p}",
    "of everything {rel}, the one {p}",
    "the thing {p} {that}",
    "the one {p} {that}",
    "{what}, but the one {p}",
    "something {p} {that}",
)
PLACED_MANY: Wordings = (
    "{what}, but only the ones {p}",
    "of everything {rel}, the ones {p}",
    "everything {p} {that}",
    "all the things {p} {that}",
)

NAMELESS_ONE: Wordings = (
    "the thing {p}",
    "the one {p}",
    "the item {p}",
    "the thing that is {p}",
    "the one that is {p}",
    "whatever is {p}",
    "what is {p}",
    "what you see {p}",
    "whatever sits {p}",
    "the thing sitting {p}",
    "what do you see {p}?",
    "which thing is {p}?",
    "it is {p}",
    "what has been put {p}",
    "something {p}",
)
"""A place, and nothing of what is there."""
NAMELESS_CLAUSE: Wordings = ("the thing {p}", "the one {p}", "the item {p}", "something {p}")
NAMELESS_MANY: Wordings = (
    "everything {p}",
    "everything that is {p}",
    "whatever is {p}",
    "what is {p}",
    "all the things {p}",
    "all that is {p}",
    "the things {p}",
    "all items {p}",
    "whatever you see {p}",
)

NAMELESS_SUPERLATIVES: dict[str, Wordings] = {
    "biggest": (
        "the thing that takes up the most room",
        "whatever is biggest",
        "the biggest thing here",
        "the largest thing you can see",
        "what is larger than all the rest",
        "the one that is bigger than anything else",
    ),
    "smallest": (
        "the thing that takes up the least room",
        "whatever is smallest",
        "the smallest thing here",
        "the tiniest thing you see",
        "what is smaller than all the rest",
        "the one that is smaller than anything else",
    ),
    "tallest": (
        "whatever rises highest",
        "the tallest thing here",
        "what towers over the rest",
        "the thing that sticks up the most",
        "the one that reaches up the furthest",
        "it stands taller than everything else",
    ),
    "shortest": (
        "the least tall thing",
        "whatever is flattest",
        "the flattest thing here",
        "what rises least above the table",
        "the thing that lies lowest",
        "the one that sticks up the least",
    ),
    "nearest": (
        "whatever is closest to the camera",
        "the thing closest to you",
        "what is nearest to the viewer",
        "the one right at the front",
        "the thing you could reach first",
        "what stands in the very foreground",
        "the frontmost thing",
    ),
    "farthest": (
        "whatever stands furthest from the camera",
        "the thing farthest away",
        "what is furthest from the viewer",
        "the one at the very back",
        "the thing you would have to reach furthest for",
        "the rearmost thing",
        "what stands far behind the rest",
    ),
    "leftmost": (
        "whatever is furthest to the left",
        "the thing on the far left",
        "the leftmost thing",
        "what comes first from the left",
        "the one at the very left",
        "what you see at the left end",
    ),
    "rightmost": (
        "whatever is furthest to the right",
        "the thing on the far right",
        "the rightmost thing",
        "what comes first from the right",
        "the one at the very right",
        "what you see at the right end",
    ),
    "closest to": (
        "the thing closest to {l}",
        "whatever is nearest to {l}",
        "what is closest to {l}",
        "the nearest neighbour of {l}",
        "the one least far from {l}",
        "the thing with the smallest distance to {l}",
        "what you would bump into first if you moved {l}",
    ),
}

NAMELESS_LANDMARKS: Wordings = ("the {c} one", "the {c} thing", "the {c} object")
