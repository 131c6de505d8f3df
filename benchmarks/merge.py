"""Reports of several devices as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sam3i_edge.benchmarks.report import Report
from sam3i_edge.errors import BenchmarkError


def merge(reports: Sequence[Report]) -> Report:
    """Put the runs of all reports side by side. Machines of one name are told apart: name#2.

    Raises:
        BenchmarkError: there are fewer than two.
    """
    if len(reports) < 2:
        raise BenchmarkError(f"Merging takes two reports or more; given: {len(reports)}.")
    taken: set[str] = set()
    renamed = []
    for report in reports:
        names = {}
        for machine in report.machines:
            names[machine.name] = _free(machine.name, taken)
            taken.add(names[machine.name])
        renamed.append(_with_machines(report, names))
    return replace(
        renamed[0],
        created=max(report.created for report in renamed),
        partial=any(report.partial for report in renamed),
        settings=tuple(one for report in renamed for one in report.settings),
        machines=tuple(one for report in renamed for one in report.machines),
        runs=tuple(one for report in renamed for one in report.runs),
        ratios=tuple(one for report in renamed for one in report.ratios),
        skipped=tuple(one for report in renamed for one in report.skipped),
        notes=tuple(one for report in renamed for one in report.notes),
    )


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def _with_machines(report: Report, names: dict[str, str]) -> Report:
    return replace(
        report,
        machines=tuple(replace(machine, name=names[machine.name]) for machine in report.machines),
        runs=tuple(replace(run, machine=names[run.machine]) for run in report.runs),
        ratios=tuple(replace(ratio, machine=names[ratio.machine]) for ratio in report.ratios),
    )
