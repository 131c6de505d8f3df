"""From samples to figures: percentiles, and ratios with a confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sam3i_edge.benchmarks.report import Summary

RESAMPLES = 2000
DIGITS = 4


class Interval(NamedTuple):
    """A median ratio and its 95 % bootstrap interval."""

    p50: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's length, as a fraction of the median."""
        return (self.high - self.low) / 2 / self.p50


def summarize(samples: Sequence[float]) -> Summary:
    """Of n >= 1 samples. Percentiles are interpolated linearly."""
    values = np.asarray(samples, np.float64)
    p50, p90, p99 = (rounded(value) for value in np.percentile(values, [50, 90, 99]))
    std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    kept = tuple(rounded(value) for value in values)
    return Summary(p50, p90, p99, rounded(values.mean()), rounded(std), len(values), kept)


def paired_ratio(of: Sequence[float], to: Sequence[float], seed: int = 0) -> Interval:
    """The median over rounds of ``of[i] / to[i]``, with its interval by resampling whole rounds.

    What slows both turns of a round, such as another program, cancels out.
    """
    ratios = np.asarray(of, np.float64) / np.asarray(to, np.float64)
    draws = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    return _interval(float(np.median(ratios)), np.median(ratios[draws], axis=1))


def unpaired_ratio(of: Sequence[float], to: Sequence[float], seed: int = 0) -> Interval:
    """The ratio of the medians of two measurements that were not interleaved, each resampled on its own."""
    dice = np.random.default_rng(seed)
    first, second = (np.asarray(samples, np.float64) for samples in (of, to))
    medians = [
        np.median(values[dice.integers(len(values), size=(RESAMPLES, len(values)))], axis=1)
        for values in (first, second)
    ]
    return _interval(float(np.median(first) / np.median(second)), medians[0] / medians[1])


def _interval(p50: float, resampled: np.ndarray) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(rounded(p50), rounded(low), rounded(high))


def rounded(value: float) -> float:
    """As it is kept in a report: to a tenth of a microsecond, where it is a time."""
    return round(float(value), DIGITS)
