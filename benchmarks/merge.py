"""Reports of several devices as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sam3i_edge.benchmarks.candidates import unique
from sam3i_edge.benchmarks.report import Report
from sam3i_edge.errors import BenchmarkError


def merge(reports: Sequence[Report]) -> Report:
    """Put the runs of all reports side by side. Machines of one name are told apart: name#2.

    Raises:
        BenchmarkError: there are fewer than two.
    """
    if len(reports) < 2:
        raise BenchmarkError(f"Merging takes two reports or more; given: {len(reports)}.")
    free = iter(unique([machine.name for report in reports for machine in report.machines]))
    renamed = [_with_machines(report, {machine.name: next(free) for machine in report.machines}) for report in reports]
    lists = ("settings", "machines", "runs", "ratios", "skipped", "notes")
    joined: dict[str, Any] = {name: tuple(one for report in renamed for one in getattr(report, name)) for name in lists}
    created, partial = max(report.created for report in renamed), any(report.partial for report in renamed)
    return replace(renamed[0], created=created, partial=partial, **joined)


def _with_machines(report: Report, names: dict[str, str]) -> Report:
    return replace(
        report,
        machines=tuple(replace(machine, name=names[machine.name]) for machine in report.machines),
        runs=tuple(replace(run, machine=names[run.machine]) for run in report.runs),
        ratios=tuple(replace(ratio, machine=names[ratio.machine]) for ratio in report.ratios),
    )
