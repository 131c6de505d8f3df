"""A report as Markdown, for issues, release notes and terminals."""

from __future__ import annotations

from collections.abc import Iterator

from sam3i_edge.benchmarks.markup import markdown, markdown_row
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
    yield from (markdown("\n**{line}**", line=" ".join(parts)) for parts in headline(report))
    yield from (markdown("\n> {note}", note=note) for note in report.notes)
    yield from (markdown("\n> Left out: {name}: {why}", name=one.bundle, why=one.why) for one in report.skipped)
    for table in tables(report):
        if table.key not in HIDDEN:
            yield from _table(table)
    yield "\n## Method"
    yield markdown("\nA frame: {frames}", frames=described([one.frame for one in report.settings]))
    for settings in report.settings:
        images = "; ".join(settings.images)
        told = f"{settings.method} {settings.rounds} rounds after {settings.warm_up} of warm-up; images: {images}."
        yield markdown("\n{told}", told=told)
    yield markdown("\nMeasured {when}.", when=report.created)


def _table(table: Table) -> Iterator[str]:
    yield markdown("\n## {title}\n", title=table.title)
    yield markdown_row(table.head)
    yield "|" + " --- |" * len(table.head)
    yield from map(markdown_row, table.rows)
    if table.note:
        yield markdown("\n{note}", note=table.note)
