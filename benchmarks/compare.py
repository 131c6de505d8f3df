"""Two reports against each other: what changed, and whether that is too much. For continuous integration."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam3i_edge.benchmarks.report import SCORES, Report, Run, Summary
from sam3i_edge.benchmarks.statistics import unpaired_ratio
from sam3i_edge.benchmarks.tables import named
from sam3i_edge.errors import BenchmarkError, unknown_name

CONDITION = re.compile(r"\s*([a-z0-9_.]+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*(x?)\s*")
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
PERCENTILES = ("p50", "p90", "p99", "mean")


@dataclass(frozen=True)
class Condition:
    """``latency.p50 > 1.1x``: the second report's value over the first's, or without the x the second's alone."""

    text: str
    metric: str
    sign: str
    limit: float
    is_ratio: bool

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises BenchmarkError."""
        found = CONDITION.fullmatch(text)
        if not found:
            raise BenchmarkError(
                f"Cannot read the condition {text!r}. Write METRIC, one of {' '.join(OPERATORS)}, and a number; with "
                f"an x for a ratio of the second report to the first: 'latency.p50 > 1.1x' or 'accuracy.giou < 50'."
            )
        metric, sign, limit, suffix = found.groups()
        return cls(text.strip(), metric, sign, float(limit), bool(suffix))

    def holds(self, before: Run, after: Run) -> bool:
        """Whether it is so. Raises BenchmarkError if a report does not have the metric: that must not pass a gate."""
        value = value_of(after, self.metric)
        if self.is_ratio:
            reference = value_of(before, self.metric)
            if reference == 0:
                raise BenchmarkError(f"{self.metric} of {before.bundle} is 0: there is no ratio to it.")
            value /= reference
        if not math.isfinite(value):
            raise BenchmarkError(f"{self.metric} of {after.bundle} is no number: nothing can be said of {self.text!r}.")
        return OPERATORS[self.sign](value, self.limit)


@dataclass(frozen=True)
class Change:
    """One run in both reports."""

    before: Run
    after: Run
    name: str
    """For people, in the second report."""

    def lines(self) -> list[str]:
        """What changed, for people."""
        interval = unpaired_ratio(self.after.frame_ms.samples, self.before.frame_ms.samples)
        lines = [
            f"{self.name}: latency.p50 {self.before.frame_ms.p50:.2f} -> {self.after.frame_ms.p50:.2f} ms, "
            f"{interval.p50:.3f}x (95 %: {interval.low:.3f} to {interval.high:.3f}; not taken by turns)"
        ]
        before, after = metrics(self.before), metrics(self.after)
        for name in ("memory.peak_rss_mb", "cold_start.p50", "energy.joules_per_frame", "accuracy.giou"):
            if name in before and name in after:
                lines.append(f"  {name} {before[name]:.2f} -> {after[name]:.2f}")
        return lines


def changes(before: Report, after: Report) -> list[Change]:
    """The runs of the same bundle in both, on the same machine where a report has several; a single run needs no name.

    A merged report is compared as those that it was made of: machines that merging renamed, name#2, keep their names
    here.

    Raises:
        BenchmarkError: they have nothing in common, or two runs of one name.
    """
    for report in (before, after):
        names = [named(report, run) for run in report.runs]
        if twice := [name for name in names if names.count(name) > 1]:
            raise BenchmarkError(f"A report has two runs named {twice[0]}: which of them is meant cannot be told.")
    if len(before.runs) == len(after.runs) == 1:
        return [Change(before.runs[0], after.runs[0], named(after, after.runs[0]))]
    left, right = list(before.runs), list(after.runs)
    found: dict[int, Run] = {}
    for key in (_exactly, _but_for_numbers, _bundle):  # each on what those before it left
        for run in [run for run in right if id(run) not in found]:
            wanted = [one for one in left if key(one) == key(run)]
            alike = [one for one in right if id(one) not in found and key(one) == key(run)]
            if len(wanted) == len(alike) == 1:
                found[id(run)] = wanted[0]
                left.remove(wanted[0])
    if not found:
        names = [", ".join(named(report, run) for run in report.runs) for report in (before, after)]
        raise BenchmarkError(f"The reports have no run in common: {names[0]} and {names[1]}. Name the bundles alike.")
    return [Change(found[id(run)], run, named(after, run)) for run in right if id(run) in found]


def _exactly(run: Run) -> tuple[str, str]:
    return run.bundle, run.machine


def _but_for_numbers(run: Run) -> tuple[str, str]:
    """Without the number that merging gives to the second machine of a name."""
    return run.bundle, re.sub(r"#\d+$", "", run.machine)


def _bundle(run: Run) -> str:
    return run.bundle


def gone(before: Report, after: Report, found: Sequence[Change]) -> list[str]:
    """The runs of ``before`` that ``after`` has not: a bundle that no longer runs must not pass a gate."""
    compared = [change.before for change in found]
    return [named(before, run) for run in before.runs if run not in compared]


def failures(found: Sequence[Change], conditions: Sequence[Condition]) -> list[str]:
    """Which conditions hold for which run, and with what values."""
    failed = []
    for condition in conditions:
        for change in found:
            if condition.holds(change.before, change.after):
                old, new = (value_of(run, condition.metric) for run in (change.before, change.after))
                failed.append(f"{change.name}: {condition.text}: {old:.4g} -> {new:.4g}")
    return failed


def value_of(run: Run, metric: str) -> float:
    """A metric of a run. Raises BenchmarkError if it has none of that name."""
    known = metrics(run)
    if metric not in known:
        others = PERCENTILES[1:]  # one of four stands for all
        listed = [name for name in known if name.rpartition(".")[2] not in others]
        raise BenchmarkError(
            f"{run.bundle}: {unknown_name('metric', metric, listed)} Beside p50 there are {', '.join(others)}. "
            f"What is not listed was not measured."
        )
    return known[metric]


def metrics(run: Run) -> dict[str, float]:
    """All single numbers of a run, under the names that conditions use."""
    found: dict[str, float | None] = {"memory.peak_rss_mb": run.peak_rss_mb, "memory.gpu_mb": run.gpu_memory_mb}
    summaries: dict[str, Summary] = {"latency": run.frame_ms}
    summaries |= {f"stages.{name}": summary for name, summary in run.stages_ms.items()}
    summaries |= {f"scenarios.{name}": summary for name, summary in run.scenarios_ms.items()}
    if run.cold_start:
        summaries["cold_start"] = run.cold_start.whole_ms
    for name, summary in summaries.items():
        found |= {f"{name}.{percentile}": getattr(summary, percentile) for percentile in PERCENTILES}
    if run.energy:
        found["energy.joules_per_frame"] = run.energy.joules_per_frame
    if run.sustained:
        found["sustained.slowdown"] = run.sustained.slowdown
    if run.accuracy:
        found |= {"accuracy.giou": run.accuracy.giou, "accuracy.cgf1": run.accuracy.cgf1}
        found["accuracy.drop_giou"] = run.accuracy.drop_giou
        for route, scores in run.accuracy.routes.items():
            for name in SCORES:
                found[f"accuracy.{route}.{name}"] = getattr(scores, name)
    return {name: value for name, value in found.items() if value is not None}
