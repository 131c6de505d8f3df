"""The parts that charts are drawn of, as SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from sam3i_edge.benchmarks.markup import Markup, joined, markup
from sam3i_edge.benchmarks.tables import number

LEFT = 12
"""Of what is drawn, in pixels from the edge."""
LETTER = 7.2
"""Width of a letter, about."""

_ids = itertools.count()


class Scale:
    """Values to places; logarithmic where ratios matter."""

    def __init__(self, low: float, high: float, start: float, end: float, *, is_log: bool = False) -> None:
        self._is_log = is_log
        self._start = start
        self._low = self._place(low)
        self._factor = (end - start) / ((self._place(high) - self._low) or 1.0)

    def _place(self, value: float) -> float:
        return math.log(max(value, 1e-9)) if self._is_log else value

    def __call__(self, value: float) -> float:
        return self._start + (self._place(value) - self._low) * self._factor


def svg(width: int, height: float, title: str, description: str, rows: Iterable[Markup]) -> Markup:
    """The whole chart; title and description are for whoever does not see it."""
    return markup(
        '<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-labelledby="t{id} d{id}">'
        '<title id="t{id}">{title}</title><desc id="d{id}">{description}</desc>{rows}</svg>',
        width=width,
        height=height,
        id=next(_ids),
        title=title,
        description=description,
        rows=joined(rows),
    )


def text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> Markup:
    """``content`` that begins, ends or has its middle at x."""
    form = '<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{content}</text>'
    return markup(form, x=x, y=y, kind=kind, anchor=anchor, content=content)


def fitting(content: str, width: float) -> str:
    """``content``, cut where it would be wider than ``width``."""
    most = max(4, int(width / LETTER))
    return content if len(content) <= most else content[: most - 1] + "…"


def line(x0: float, y0: float, x1: float, y1: float, kind: str) -> Markup:
    """From one point to another."""
    form = '<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="{kind}"/>'
    return markup(form, x0=x0, y0=y0, x1=x1, y1=y1, kind=kind)


def dot(x: float, y: float, radius: float, kind: str) -> Markup:
    """A filled circle."""
    return markup('<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>', x=x, y=y, radius=radius, kind=kind)


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A bar."""
    form = '<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" class="{kind}"/>'
    return markup(form, x=x, y=y, width=max(width, 0), height=height, kind=kind)


def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Through all points."""
    places = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return markup('<path d="M{places}" class="{kind}"/>', places=places, kind=kind)


def x_axis(scale: Scale, values: Iterable[float], y: float, start: float, end: float, unit: str) -> Iterator[Markup]:
    """A line at ``y`` with a tick and a label at each value that leaves room for it."""
    yield line(start, y, end, y, "axis")
    taken: list[tuple[float, float]] = []
    for value in values:
        label = f"{number(value)} {unit}".strip()
        half = len(label) * LETTER / 2
        middle = min(max(scale(value), start + half), end - half)
        if any(middle - half < right + 8 and middle + half > left - 8 for left, right in taken):
            continue
        taken.append((middle - half, middle + half))
        yield line(scale(value), y, scale(value), y + 5, "tick")
        yield text(middle, y + 19, label, "small", "middle")


def y_axis(scale: Scale, values: Iterable[float], x: float, top: float, bottom: float) -> Iterator[Markup]:
    """A line at ``x`` with a tick and a label left of it at each value that leaves room for it."""
    yield line(x, top, x, bottom, "axis")
    taken: list[float] = []
    for value in values:
        y = scale(value)
        if any(abs(y - other) < 15 for other in taken):
            continue
        taken.append(y)
        yield line(x - 5, y, x, y, "tick")
        yield text(x - 8, y + 4, number(value), "small", "end")


def legend(names: Sequence[str], width: int) -> tuple[list[Markup], float]:
    """A square of each colour with its name, in as many lines as they need; and the height of it all."""
    parts: list[Markup] = []
    x, y = float(LEFT), 8.0
    for i, name in enumerate(names):
        wide = 40 + LETTER * len(name)
        if x > LEFT and x + wide > width:
            x, y = float(LEFT), y + 24
        parts += [rect(x, y, 16, 16, f"s{i}"), text(x + 22, y + 13, name, "small")]
        x += wide
    return parts, y + 24
