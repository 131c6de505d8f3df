"""The stage clock: where the time of a frame goes. A ``Segmenter`` that is loaded with it as observer tells it.

A timed step costs two readings of the clock; ``cost_ns`` says how much that is here.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from sam3i_edge.engine import STAGES, Observer, timed

CALIBRATION_CALLS = 2000


class StageClock:
    """Sums up the time of each stage until ``take``."""

    def __init__(self) -> None:
        self._ns = dict.fromkeys(STAGES, 0)
        self._calls = 0

    def __call__(self, stage: str, ns: int) -> None:
        """As an ``Observer``."""
        self._ns[stage] += ns
        self._calls += 1

    def take(self) -> tuple[dict[str, float], int]:
        """Milliseconds by stage and the number of timed steps since the last time; both begin again."""
        taken = {stage: ns / 1e6 for stage, ns in self._ns.items()}
        calls, self._calls = self._calls, 0
        self._ns = dict.fromkeys(STAGES, 0)
        return taken, calls


def cost_ns() -> float:
    """What timing one step takes here: a step of nothing, timed, less the same step untimed."""
    return max(_per_call(_step(StageClock())) - _per_call(_step(None)), 0.0)


def _step(observer: Observer | None) -> Callable[[], None]:
    def step() -> None:
        with timed(observer, STAGES[0]):
            pass

    return step


def _per_call(function: Callable[[], None]) -> float:
    times = timeit.repeat(function, timer=time.perf_counter_ns, number=CALIBRATION_CALLS, repeat=5)
    return min(times) / CALIBRATION_CALLS
