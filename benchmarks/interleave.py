"""Taking turns: in every round each candidate plays once, so that drift and other programs hit all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sam3i_edge.benchmarks.statistics import paired_ratio

T = TypeVar("T")

SETTLE_S = 0.3
"""Thread pools of the last turn spin before they sleep, PyTorch's longest; in the next one's time they would take its
cores. After 5 ms PyTorch's frames took 42 to 197 ms, after 50 ms 48 to 136, after 300 ms 41 to 60 (two cores)."""
LEAD_IN_S = 0.1
"""So long a turn plays at least; its last frame counts. After the rest threads sleep and the caches hold others' data,
which is not so in the middle of a stream."""
MIN_ROUNDS, MAX_ROUNDS = 10, 600
CHECK_EVERY = 10
TARGET = 0.01
"""Half width of the ratios' intervals at which there are rounds enough."""
BUDGET_S = 60.0
"""Per candidate; at least ``FEW_ROUNDS`` are played all the same."""
FEW_ROUNDS = 5


def order(candidates: Sequence[T], number: int) -> Sequence[T]:
    """Who follows whom in a round: the first turn moves on, and every second time around the order is reversed."""
    start = number % len(candidates)
    turned = [*candidates[start:], *candidates[:start]]
    return turned[::-1] if number // len(candidates) % 2 else turned


def interleave(
    candidates: Sequence[T], turn: Callable[[T, int], None], enough: Callable[[int], bool], settle: bool = True
) -> int:
    """Play rounds until there are enough. Returns how many were played; ``turn`` keeps what it measures itself.

    With ``settle``, candidates that follow another one wait until that one's threads sleep.
    """
    number = 0
    while not enough(number):
        for candidate in order(candidates, number):
            if settle and len(candidates) > 1:
                time.sleep(SETTLE_S)
            turn(candidate, number)
        number += 1
    return number


def until(rounds: int | None, samples: Sequence[Sequence[float]]) -> Callable[[int], bool]:
    """When there are enough: after ``rounds``, or, for None, when the ratios to the first are known well enough.

    Args:
        rounds: exactly so many.
        samples: of every candidate, the lists that turns append to.
    """
    start = time.monotonic()

    def enough(played: int) -> bool:
        if rounds is not None:
            return played >= rounds
        if played < FEW_ROUNDS:
            return False
        if played >= MAX_ROUNDS or time.monotonic() - start > BUDGET_S * len(samples):
            return True
        if played < MIN_ROUNDS or played % CHECK_EVERY:
            return False
        others = samples[1:] or samples  # one alone: its ratio to itself is known; a few rounds more do
        widths = [paired_ratio(other, samples[0]).half_width for other in others]
        return max(widths) <= TARGET and played >= (MIN_ROUNDS if len(samples) > 1 else 3 * MIN_ROUNDS)

    return enough
