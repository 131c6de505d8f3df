"""The command ``report``: show, render, merge and compare what ``benchmark`` wrote."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam3i_edge.benchmarks.compare import Condition, changes, failures, gone
from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.merge import merge
from sam3i_edge.benchmarks.render import write_all
from sam3i_edge.benchmarks.report import read_report
from sam3i_edge.commands.io import add_force, output_folder
from sam3i_edge.commands.progress import steps
from sam3i_edge.data.samples import spread
from sam3i_edge.doctor import examine
from sam3i_edge.errors import BenchmarkError, packages_for
from sam3i_edge.terminal import show


def add(commands: Any) -> None:
    """Register ``report`` on an argparse sub-parsers object."""
    parser = commands.add_parser("report", help="show, render, merge or compare benchmark reports")
    verbs = parser.add_subparsers(required=True)
    show = verbs.add_parser("show", help="print a report as Markdown")
    show.add_argument("report", metavar="REPORT", help="a report.json, or its folder")
    show.set_defaults(command=_show)
    rendering = verbs.add_parser("render", help="make the Markdown and the page again")
    rendering.add_argument("report", metavar="REPORT", help="a report.json, or its folder")
    rendering.add_argument("-o", "--output", metavar="DIR", help="report.json, .md and .html; none: beside the report")
    add_force(rendering)
    rendering.set_defaults(command=_render, in_files=True)
    merging = verbs.add_parser("merge", help="put reports, of several devices for example, into one")
    merging.add_argument("reports", metavar="REPORT", nargs="+", help="two or more")
    merging.add_argument("-o", "--output", default="merged", metavar="DIR", help="report.json, .md and .html")
    add_force(merging)
    merging.set_defaults(command=_merge)
    comparing = verbs.add_parser("compare", help="what changed from one report to another; exit status 1 if too much")
    comparing.add_argument("before", metavar="BEFORE", help="a report.json, or its folder")
    comparing.add_argument("after", metavar="AFTER", help="the one to be judged")
    comparing.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="'latency.p50 > 1.1x': AFTER over BEFORE; without the x: AFTER alone; may be repeated",
    )
    comparing.set_defaults(command=_compare)
    beside = verbs.add_parser("students", help="teacher and students: scores, what they are worth, and times")
    beside.add_argument("models", metavar="[NAME=]CHECKPOINT", nargs="+", help="the teacher first")
    beside.add_argument("--data", required=True, metavar="DIR", help="a dataset to score on")
    beside.add_argument("--split", default="val", metavar="NAME", help="of the dataset (%(default)s)")
    beside.add_argument("--limit", type=int, metavar="N", help="score on N images, spread over the dataset")
    beside.add_argument("--target", action="append", metavar="NAME", help="to time on; none: all that are ready here")
    beside.add_argument("--rounds", type=int, metavar="N", help="of frames; none: until ratios are known to 1 %%")
    beside.add_argument("-o", "--output", default="students", metavar="DIR", help="students.json, .md and the bundles")
    beside.set_defaults(command=_students)


def _show(arguments: argparse.Namespace) -> int:
    show(*render_markdown(read_report(arguments.report)).splitlines())
    return 0


def _render(arguments: argparse.Namespace) -> int:
    path = Path(arguments.report)
    report = read_report(path)
    beside = path if path.is_dir() else path.parent
    again = not arguments.output or Path(arguments.output).resolve() == beside.resolve()
    with output_folder(arguments.output or str(beside), arguments.force or again) as output:
        show(*write_all(output, report))
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    with output_folder(arguments.output, arguments.force) as output:
        show(*write_all(output, merge([read_report(report) for report in arguments.reports])))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    conditions = [Condition.parse(text) for text in arguments.fail_if]
    before, after = read_report(arguments.before), read_report(arguments.after)
    found = changes(before, after)
    for path, report in ((arguments.before, before), (arguments.after, after)):
        if report.partial:
            show(f"sam3i-edge: note: the measurement {path} was interrupted.", error=True)
    for change in found:
        show(*change.lines())
    missing = gone(before, after, found)
    show(*(f"{name}: not in {arguments.after}" for name in missing))
    failed = failures(found, conditions)
    if conditions:
        failed += [f"{name}: not measured in {arguments.after}" for name in missing]
    show(*(f"sam3i-edge: failed: {line}" for line in failed), error=True)
    return 1 if failed else 0


def _students(arguments: argparse.Namespace) -> int:
    with packages_for("Comparing students", "distill"):
        from sam3i_edge.data.hmpl import load_samples
        from sam3i_edge.distill.report import PAGE_FILE, compare_students
    samples = spread(load_samples(arguments.data, arguments.split).samples, arguments.limit)
    targets = arguments.target or [target.name for target in examine().targets if not target.problem]
    output = Path(arguments.output)
    models, data = _named(arguments.models), Path(arguments.data).name
    with steps() as step:
        compare_students(models, samples, data, targets, output, arguments.rounds, step)
    show(*(output / PAGE_FILE).read_text(encoding="utf-8").splitlines())
    return 0


def _named(models: Sequence[str]) -> dict[str, Path]:
    """Checkpoints by the names they were given, or by their files' own. Raises BenchmarkError."""
    named: dict[str, Path] = {}
    for text in models:
        name, equals, path = text.partition("=")
        name = name if equals else Path(text).stem
        if name in named or "/" in name:
            raise BenchmarkError(f"{name!r} is no name, or that of two models. Give others: NAME=CHECKPOINT.")
        named[name] = Path(path if equals else text)
    return named
