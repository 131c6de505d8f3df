"""A report as one HTML page that needs nothing else: no network, no script, pictures inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from sam3i_edge.benchmarks.charts import all_charts
from sam3i_edge.benchmarks.page_style import style
from sam3i_edge.benchmarks.report import Report
from sam3i_edge.benchmarks.tables import NONE, NOT_MEASURED, Table, described, headline, named, tables

Section = tuple[str, tuple[str, ...], tuple[str, ...]]

SECTIONS: tuple[Section, ...] = (
    ("Against the reference", ("ratios",), ("scenario_ratios",)),
    ("Latency", ("overview",), ()),
    ("Where a frame's time goes", ("stages", "roofline"), ("layers",)),
    ("Other ways to ask", ("scenarios",), ()),
    ("Accuracy", ("accuracy", "recipe"), ()),
    ("Memory and cold start", ("memory", "cold"), ()),
    ("Over time", ("sustained",), ()),
    ("What ran, and where", ("identity", "machines"), ()),
)
"""Heading; keys of charts and tables; keys of tables that are folded away."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser itself sees to it that nothing is loaded from anywhere."""

CAPTIONS = {
    "ratios": "Dot: median of the rounds; bar: interval of confidence; dashed: the reference. Logarithmic scale.",
    "overview": "Marks: p50, p90, p99. Logarithmic scale, up to the slowest run's p99; slower frames lie beyond it.",
    "stages": "Means, end to end; at the right the whole frame's.",
    "memory": "Peak memory of the process, up to the last timed frame.",
    "cold": "From a fresh process to the first masks.",
    "sustained": "Median of each window. Logarithmic scale.",
    "accuracy": "Logarithmic scale of time. Dotted: the runs that no other beats in both.",
}


def render_page(report: Report) -> str:
    """The whole document."""
    title = "SAM3-I on " + " and ".join(machine.name for machine in report.machines)
    return "\n".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',  # or a browser asks the server for one
            f"<title>{escape(title)}</title><style>{style()}</style></head><body>",
            f"<header><h1>{escape(title)}</h1>",
            *_opening(report),
            "</header><main>",
            *_sections(report, SECTIONS[:-1]),
            *_pictures(report),
            *_sections(report, SECTIONS[-1:]),
            "</main>",
            *_method(report),
            "</body></html>\n",
        )
    )


def _opening(report: Report) -> Iterator[str]:
    yield f'<p class="sub">Latency, accuracy and memory, measured {escape(report.created)}</p>'
    if report.partial:
        yield '<p class="warn"><strong>Partial.</strong> The measurement was interrupted: the rest is missing.</p>'
    yield '<ul class="head">'
    for before, figure, after in headline(report):
        yield f"<li>{escape(before)} <strong>{escape(figure)}</strong> {escape(after)}</li>"
    yield "</ul>"
    yield from (f'<p class="warn">{escape(note)}</p>' for note in report.notes)
    yield from (f'<p class="warn">Left out: {escape(f"{one.bundle}: {one.why}")}</p>' for one in report.skipped)


def _sections(report: Report, sections: Sequence[Section]) -> Iterator[str]:
    charts = {key: chart for key, chart in all_charts(report) if chart}
    made = list(tables(report))
    for heading, keys, folded in sections:
        parts = [part for key in keys for part in _shown(key, charts, [table for table in made if table.key == key])]
        for table in (table for table in made if table.key in folded):
            parts.append(f"<details><summary>{escape(table.title)}</summary>{_table(table)}</details>")
        if parts:
            yield f"<section><h2>{heading}</h2>"
            yield from parts
            yield "</section>"


def _shown(key: str, charts: dict[str, str], made: Sequence[Table]) -> Iterator[str]:
    if key in charts:
        caption = f"<figcaption>{CAPTIONS[key]}</figcaption>" if key in CAPTIONS else ""
        yield f'<figure class="card">{charts[key]}{caption}</figure>'
    yield from map(_table, made)


def _table(table: Table) -> str:
    label = escape(table.title)
    kinds = ["" if all(map(_is_figure, column)) else ' class="text"' for column in zip(*table.rows, strict=True)]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name) or "name"}</th>' for name, kind in zip(table.head, kinds, strict=True)
    )
    rows = []
    for row in table.rows:
        cells = [f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True)]
        rows.append(f'<tr><th scope="row">{escape(row[0])}</th>{"".join(cells)}</tr>')
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><caption>{label}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _is_figure(text: str) -> bool:
    return text in (NONE, NOT_MEASURED) or text.replace(".", "").replace("-", "").isdigit()


def _pictures(report: Report) -> Iterator[str]:
    asked = list(dict.fromkeys((picture.item, picture.text) for run in report.runs for picture in run.pictures))
    if not asked:
        return
    yield "<section><h2>What the answers look like</h2>"
    for item, text in asked:
        yield f'<h3>“{escape(text)}”</h3><div class="pictures">'
        for run in report.runs:
            for picture in run.pictures:
                if (picture.item, picture.text) == (item, text):
                    caption = f"{named(report, run)}: route {picture.route}, {picture.found} found"
                    alternative = f"{item} with the instances that {named(report, run)} found for: {text}"
                    yield (
                        f'<figure><img src="data:image/jpeg;base64,{picture.jpeg}" alt="{escape(alternative)}">'
                        f"<figcaption>{escape(caption)}</figcaption></figure>"
                    )
        yield "</div>"
    yield "</section>"


def _method(report: Report) -> Iterator[str]:
    yield "<footer><h2>Method</h2>"
    yield f"<p>A frame: {escape(described([settings.frame for settings in report.settings]))}</p>"
    for settings in report.settings:
        yield f"<p>{escape(settings.method)}</p>"
        images = "; ".join(settings.images)
        yield f"<p>{settings.rounds} rounds after {settings.warm_up} of warm-up; images: {escape(images)}.</p>"
        if settings.command:
            yield f"<p>Command: <code>{escape(settings.command)}</code></p>"
    yield "<p>Every number on this page stands in the report.json that it was made from, the single samples, too.</p>"
    yield "</footer>"
