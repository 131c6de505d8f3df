"""A report as one HTML page that needs nothing else: no network, no script, pictures inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sam3i_edge.benchmarks.charts import all_charts
from sam3i_edge.benchmarks.html_style import style
from sam3i_edge.benchmarks.markup import Markup, joined, markup
from sam3i_edge.benchmarks.report import Picture, Report
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

TEXT = Markup(' class="text"')
"""Of a column that is not all figures."""

CAPTIONS = {
    "ratios": "Dot: median of the rounds; bar: interval of confidence; dashed: the reference. Logarithmic scale.",
    "overview": "Marks: p50, p90, p99. Logarithmic scale, up to the slowest run's p99; slower frames lie beyond it.",
    "stages": "Means, end to end; at the right the whole frame's.",
    "memory": "Peak memory of the process, up to the last timed frame.",
    "cold": "From a fresh process to the first masks.",
    "sustained": "Median of each window. Logarithmic scale.",
    "accuracy": "Logarithmic scale of time. Dotted: the runs that no other beats in both.",
}


def render_html(report: Report) -> Markup:
    """The whole document."""
    title = "SAM3-I on " + " and ".join(machine.name for machine in report.machines)
    return markup(
        """\
<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title><style>{style}</style></head><body>
<header><h1>{title}</h1>
{opening}
</header><main>
{sections}
</main>
{method}
</body></html>
""",  # without an icon of its own, a browser asks the server for one
        policy=POLICY,
        title=title,
        style=Markup(style()),
        opening=joined(_opening(report), "\n"),
        sections=joined(
            [*_sections(report, SECTIONS[:-1]), *_pictures(report), *_sections(report, SECTIONS[-1:])], "\n"
        ),
        method=joined(_method(report), "\n"),
    )


def _opening(report: Report) -> Iterator[Markup]:
    yield markup('<p class="sub">Latency, accuracy and memory, measured {when}</p>', when=report.created)
    if report.partial:
        yield markup(
            '<p class="warn"><strong>Partial.</strong> The measurement was interrupted: the rest is missing.</p>'
        )
    items = [
        markup("<li>{before} <strong>{figure}</strong> {after}</li>", before=before, figure=figure, after=after)
        for before, figure, after in headline(report)
    ]
    yield markup('<ul class="head">{items}</ul>', items=joined(items, "\n"))
    left_out = [f"Left out: {one.bundle}: {one.why}" for one in report.skipped]
    yield from (markup('<p class="warn">{text}</p>', text=text) for text in [*report.notes, *left_out])


def _sections(report: Report, sections: Sequence[Section]) -> Iterator[Markup]:
    charts = dict(all_charts(report))
    made = list(tables(report))
    for heading, keys, folded in sections:
        parts = [part for key in keys for part in _shown(key, charts, [table for table in made if table.key == key])]
        for table in (table for table in made if table.key in folded):
            form = "<details><summary>{title}</summary>{table}</details>"
            parts.append(markup(form, title=table.title, table=_table(table)))
        if parts:
            yield markup("<section><h2>{heading}</h2>{parts}</section>", heading=heading, parts=joined(parts, "\n"))


def _shown(key: str, charts: Mapping[str, Markup], made: Sequence[Table]) -> Iterator[Markup]:
    if key in charts:
        caption = markup("<figcaption>{text}</figcaption>", text=CAPTIONS[key]) if key in CAPTIONS else Markup()
        yield markup('<figure class="card">{chart}{caption}</figure>', chart=charts[key], caption=caption)
    yield from map(_table, made)


def _table(table: Table) -> Markup:
    kinds = [Markup() if all(map(_is_figure, column)) else TEXT for column in zip(*table.rows, strict=True)]
    head = [
        markup('<th scope="col"{kind}>{name}</th>', kind=kind, name=name or "name")
        for name, kind in zip(table.head, kinds, strict=True)
    ]
    rows = []
    for first, *others in table.rows:
        cells = [
            markup("<td{kind}>{cell}</td>", kind=kind, cell=cell) for cell, kind in zip(others, kinds[1:], strict=True)
        ]
        rows.append(markup('<tr><th scope="row">{first}</th>{cells}</tr>', first=first, cells=joined(cells)))
    return markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}</caption>'
        "<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}",
        title=table.title,
        head=joined(head),
        rows=joined(rows),
        note=markup('<p class="note">{text}</p>', text=table.note) if table.note else Markup(),
    )


def _is_figure(text: str) -> bool:
    return text in (NONE, NOT_MEASURED) or text.replace(".", "").replace("-", "").isdigit()


def _pictures(report: Report) -> Iterator[Markup]:
    asked = list(dict.fromkeys((picture.item, picture.text) for run in report.runs for picture in run.pictures))
    if not asked:
        return
    yield markup("<section><h2>What the answers look like</h2>")
    for item, text in asked:
        figures = [
            _picture(named(report, run), picture)
            for run in report.runs
            for picture in run.pictures
            if (picture.item, picture.text) == (item, text)
        ]
        form = '<h3>“{text}”</h3><div class="pictures">{figures}</div>'
        yield markup(form, text=text, figures=joined(figures, "\n"))
    yield markup("</section>")


def _picture(run: str, picture: Picture) -> Markup:
    return markup(
        '<figure><img src="data:image/jpeg;base64,{jpeg}" alt="{about}"><figcaption>{caption}</figcaption></figure>',
        jpeg=picture.jpeg,
        about=f"{picture.item} with the instances that {run} found for: {picture.text}",
        caption=f"{run}: route {picture.route}, {picture.found} found",
    )


def _method(report: Report) -> Iterator[Markup]:
    yield markup("<footer><h2>Method</h2>")
    yield markup("<p>A frame: {frames}</p>", frames=described([settings.frame for settings in report.settings]))
    for settings in report.settings:
        images = "; ".join(settings.images)
        told = f"{settings.rounds} rounds after {settings.warm_up} of warm-up; images: {images}."
        yield markup("<p>{method}</p>\n<p>{told}</p>", method=settings.method, told=told)
        if settings.command:
            yield markup("<p>Command: <code>{command}</code></p>", command=settings.command)
    yield markup(
        "<p>Every number on this page stands in the report.json that it was made from, the single samples, too.</p>"
        "</footer>"
    )
