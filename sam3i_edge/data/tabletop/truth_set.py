"""Which things of a scene something is said of: of these surely, of those perhaps, of the rest surely not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class TruthSet(NamedTuple):
    """A three-valued set of things, each bit one thing. ``&`` and ``without`` follow Kleene's logic.

    Bits rather than sets: a scene's texts take some thousand of these operations, in a millisecond.
    """

    yes: int
    """It is said of these."""
    doubt: int
    """Opinions may differ on these; disjoint from ``yes``."""

    def __and__(self, other: TruthSet) -> TruthSet:
        yes = self.yes & other.yes
        return TruthSet(yes, (self.yes | self.doubt) & (other.yes | other.doubt) & ~yes)

    def without(self, other: TruthSet) -> TruthSet:
        """What this says and ``other`` does not."""
        yes = self.yes & ~(other.yes | other.doubt)
        return TruthSet(yes, (self.yes | self.doubt) & ~other.yes & ~yes)

    @property
    def sure(self) -> bool:
        """No thing is in doubt."""
        return not self.doubt

    @property
    def number(self) -> int:
        """How many things it is surely said of."""
        return self.yes.bit_count()

    @property
    def things(self) -> tuple[int, ...]:
        """Their indices, ascending."""
        return indices(self.yes)


def indices(bits: int) -> tuple[int, ...]:
    """The positions of the set bits, ascending."""
    return tuple(i for i in range(bits.bit_length()) if bits >> i & 1)


def truth_set(answers: Iterable[bool | None]) -> TruthSet:
    """From one answer per thing: True, False, or None for doubt."""
    yes = doubt = 0
    for i, answer in enumerate(answers):
        if answer is None:
            doubt |= 1 << i
        elif answer:
            yes |= 1 << i
    return TruthSet(yes, doubt)


NOTHING = TruthSet(0, 0)
