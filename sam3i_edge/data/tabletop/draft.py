"""A text with its meaning, and whether it may be said in a split."""

from __future__ import annotations

from typing import NamedTuple

from sam3i_edge.data.tabletop.holdout import Combination, held_out_combination
from sam3i_edge.data.tabletop.truth_set import TruthSet

MAX_WORDS = 22


class Draft(NamedTuple):
    """A text in the making: sure of its meaning, or thrown away."""

    text: str
    verdict: TruthSet
    combinations: tuple[Combination, ...] = ()
    """What it combines."""
    unseen: bool = False
    """It names a kind and colour that training never shows together."""
    landmarks: int = 0
    """The things it refers to beside its targets, as bits."""


def allowed(draft: Draft, split: str, held_out_things: int) -> bool:
    """Whether ``split`` may show it: training and validation nothing held out, ``compose`` only what is.

    ``held_out_things``: the scene's things of a held-out kind and colour, as bits.
    """
    unseen = draft.unseen or any(held_out_combination(combination) for combination in draft.combinations)
    if split != "compose":
        return not unseen
    return unseen or bool((draft.verdict.yes | draft.landmarks) & held_out_things)
