"""A report as Markdown, for issues, release notes and terminals."""

from __future__ import annotations

from collections.abc import Iterator

from sam3i_edge.benchmarks.report import Report
from sam3i_edge.benchmarks.tables import Table, described, headline, tables

HIDDEN = ("layers", "scenario_ratios")
"""Long; the page has them."""


def render_markdown(report: Report) -> str:
    """The headline, then every table."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "# SAM3-I benchmark"
    if report.partial:
        yield "\n**Partial: the measurement was interrupted. What is here was measured; the rest is missing.**"
    yield from (f"\n**{' '.join(parts)}**" for parts in headline(report))
    yield from (f"\n> {note}" for note in report.notes)
    yield from (f"\n> Left out: {one.bundle}: {one.why}" for one in report.skipped)
    for table in tables(report):
        if table.key not in HIDDEN:
            yield from _table(table)
    yield "\n## Method"
    yield f"\nA frame: {described([one.frame for one in report.settings])}"
    for settings in report.settings:
        images = "; ".join(settings.images)
        yield f"\n{settings.method} {settings.rounds} rounds after {settings.warm_up} of warm-up; images: {images}."
    yield f"\nMeasured {report.created}."


def _table(table: Table) -> Iterator[str]:
    yield f"\n## {table.title}\n"
    yield _row(table.head)
    yield _row(["---"] * len(table.head))
    yield from (_row(row) for row in table.rows)
    if table.note:
        yield f"\n{table.note}"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
