"""How a function becomes a text: the sentences its clauses stand in. Data only.

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
