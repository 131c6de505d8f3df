"""How the broad text says things: wordings per level, with slots in braces that ``words`` and ``PIECES`` fill."""

from __future__ import annotations

from pathlib import Path


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


PIECES: dict[str, tuple[str, ...]] = {
    "a_noun": _lines("""
        a {noun}
        a {attribute} {noun}
        the {noun}
        the {attribute} {noun}
        the {noun}
    """),
    "thing": _lines("""
        {noun}
        {attribute} {noun}
        {noun}
        {attribute} {attribute} {noun}
    """),
    "things": _lines("""
        {nouns}
        {attribute} {nouns}
        {group}
        {attribute} {group}
    """),
    "where": _lines("""
        {relation} {a_noun}
        {relation} {a_noun}
        {place}
        {action}
    """),
    "some": _lines("""
        something
        anything
        a thing
        an object
        an item
        one thing
        whatever
        the thing
        the object
        the item
        the one
    """),
    "need": _lines("""
        would need
        could use
        should take
        can use
        might use
        would use
        would reach for
        would want
        need
    """),
    "who": _lines("""
        you
        I
        one
        someone
        we
        people
        {role}
    """),
    "my": _lines("""
        this
        that
        my
        your
        her
        his
        our
        their
        its
    """),
    "these": _lines("""
        these
        those
        my
        our
        their
    """),
    "every": _lines("""
        every
        each
        every single
        any
    """),
    "number": _lines("""
        one
        two
        three
        seven
        ten
        5
        7
        12
    """),
    "placeholder": _lines("""
        thing
        item
        object
        one
    """),
    "placeholders": _lines("""
        things
        items
        objects
        ones
    """),
    "any_thing": _lines("""
        the {placeholder}
        the {attribute} {placeholder}
        the {superlative} {placeholder}
        the {superlative} {attribute} {placeholder}
        the {ordinal} {placeholder}
        the {placeholders}
        each {placeholder}
        every {placeholder}
        every {attribute} {placeholder}
        a {placeholder}
        all {placeholders}
        all the {placeholders}
        all the {attribute} {placeholders}
        everything
        everything {attribute}
        all
        something
        something {attribute}
        anything
        whatever
    """),
}
"""What wordings have in common. Slots may name other pieces."""

WORDINGS: dict[str, tuple[str, ...]] = {
    route: _lines(Path(__file__).with_name(f"{route}.txt").read_text(encoding="utf-8"))
    for route in ("concept", "simple", "complex")
}
"""The wordings of each route, from the text files beside this. A line that stands twice is said twice as often."""
