"""What a function is: a use or property of things that a text can ask for without their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam3i_edge.data.tabletop.facts import Thing

Wordings = tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A use or a property, and the kinds that have it.

    Attributes:
        name: how combinations of it are known (``holdout``).
        fits: the kinds it is surely true of.
        doubtful: the kinds somebody might also mean: with one in view, nothing is asked about this function.
        you: clauses that follow "what" or "the thing": "you would drink from".
        it: clauses that follow "what" or "the thing that": "rings".
        to: infinitives that follow "something to": "drink from".
        do: infinitives that follow "what would you use to": "cut bread".
        one: whole texts that mean one thing.
        any: whole texts that mean whatever fits, one thing or more.
        many: whole texts that mean at least two.
        excludes: whole texts that mean everything it is not true of.
        question: answers for one thing where the kind alone does not tell; None leaves it to the kinds.
    """

    name: str
    fits: frozenset[str]
    doubtful: frozenset[str] = frozenset()
    you: Wordings = ()
    it: Wordings = ()
    to: Wordings = ()
    do: Wordings = ()
    one: Wordings = ()
    any: Wordings = ()
    many: Wordings = ()
    excludes: Wordings = ()
    question: Callable[[Thing], bool | None] | None = None

    def answer(self, thing: Thing) -> bool | None:
        """Whether ``thing`` serves: True, False, or None for doubt."""
        if thing.kind in self.doubtful:
            return None
        if self.question is not None and thing.kind in self.fits:
            return self.question(thing)
        return thing.kind in self.fits


def kinds(names: str) -> frozenset[str]:
    """Kinds, written in one string."""
    return frozenset(names.split())
