"""A sustained run in windows: does the device keep its speed?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from sam3i_edge.benchmarks.report import Run, Sustained, Window
from sam3i_edge.benchmarks.statistics import rounded

WINDOWS = 30
SLOWDOWN = 1.1

Frame = tuple[float, float]
"""Seconds since the beginning, and milliseconds."""
Clock = tuple[float, float | None, float | None]
"""Seconds since the beginning, MHz, degrees Celsius."""


def windows(frames: Sequence[Frame], clocks: Sequence[Clock], throttled: int | None) -> Sustained | None:
    """The medians of equal stretches of time; None of fewer than two frames. There is a clock for every frame."""
    if len(frames) < 2:
        return None
    duration = frames[-1][0]
    edges = np.linspace(0.0, duration, max(2, min(WINDOWS, len(frames) // 2)) + 1)
    edges[-1] = np.inf
    found = [
        _window(
            min(high, duration),
            [ms for at, ms in frames if low <= at < high],
            [c for c in clocks if low <= c[0] < high],
        )
        for low, high in itertools.pairwise(edges)
        if any(low <= at < high for at, _ in frames)
    ]
    return Sustained(rounded(duration), tuple(found), rounded(found[-1].p50_ms / found[0].p50_ms), throttled)


def slowdown_notes(runs: Iterable[Run]) -> list[str]:
    """A warning for each run that did not keep its speed."""
    return [
        f"{run.bundle} became slower in the sustained run: the last window's median is {run.sustained.slowdown} times "
        f"the first's. The device throttles, or something else began to run."
        for run in runs
        if run.sustained is not None and run.sustained.slowdown > SLOWDOWN
    ]


def _window(end: float, times: Sequence[float], clocks: Sequence[Clock]) -> Window:
    mhz, degrees = (
        _mean([value for value in column if value is not None]) for column in list(zip(*clocks, strict=True))[1:]
    )
    return Window(rounded(end), len(times), rounded(float(np.median(times))), mhz, degrees)


def _mean(values: Sequence[float]) -> float | None:
    return rounded(float(np.mean(values))) if values else None
