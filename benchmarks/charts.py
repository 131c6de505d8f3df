"""Charts, as SVG text to be put into a page.

Axes carry no round numbers of their own: what is labelled is a value of the report. Every chart has a title and a
description for whoever does not see it, and stands beside a table with the same values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from sam3i_edge.benchmarks.report import STAGES, Report
from sam3i_edge.benchmarks.tables import TIMES, named, number, placed

WIDTH = 960
LEFT = 190
"""Room for the runs' names."""
RIGHT = 90
ROW = 46
COLORS = 8
BINS = 48
LEAST_SPAN = 5.0
"""Of the accuracy's axis, in percent: a small loss must not look like a large one."""

_ids = itertools.count()


def latency(report: Report) -> str:
    """The distribution of each run's frame times, with its percentiles marked."""
    runs = report.runs
    low = min(min(run.frame_ms.samples) for run in runs)
    high = max(run.frame_ms.p99 for run in runs)
    scale = _Scale(low, high, LEFT, WIDTH - RIGHT, is_log=True)
    rows = []
    for i, run in enumerate(runs):
        base = 62 + i * (ROW + 22)
        rows += [_name(named(report, run), base - 8), _density(run.frame_ms.samples, scale, low, high, base, i)]
        for value, size in ((run.frame_ms.p50, 30), (run.frame_ms.p90, 18), (run.frame_ms.p99, 10)):
            rows.append(_line(scale(value), base - size, scale(value), base, "mark"))
        labels = f"p50 {number(run.frame_ms.p50)}   p90 {number(run.frame_ms.p90)}   p99 {number(run.frame_ms.p99)} ms"
        rows.append(_text(LEFT, base + 16, labels, "small"))
        rows.append(_line(LEFT, base, WIDTH - RIGHT, base, "axis"))
    described = "; ".join(f"{named(report, run)}: median {number(run.frame_ms.p50)} ms" for run in runs)
    return _svg(20 + len(runs) * (ROW + 22), "Distribution of frame times", f"{described}.", rows)


def stage_bars(report: Report) -> str:
    """Each run's stages, mean times end to end."""
    longest = max(sum(stage.mean for stage in run.stages_ms.values()) for run in report.runs)
    rows = [_legend(STAGES)]
    for i, run in enumerate(report.runs):
        top, x = 44 + i * ROW, float(LEFT)
        rows.append(_name(named(report, run), top + 20))
        for j, stage in enumerate(STAGES):
            width = run.stages_ms[stage].mean / longest * (WIDTH - LEFT - RIGHT)
            rows.append(_rect(x, top, width, 28, f"s{j}"))
            if width > 44:
                rows.append(_text(x + width / 2, top + 19, number(run.stages_ms[stage].mean), "in", "middle"))
            x += width
        rows.append(_text(x + 6, top + 19, f"{number(run.frame_ms.mean)} ms", "small"))
    described = "; ".join(
        f"{named(report, run)}: " + ", ".join(f"{stage} {number(run.stages_ms[stage].mean)} ms" for stage in STAGES)
        for run in report.runs
    )
    return _svg(54 + len(report.runs) * ROW, "Mean time of each stage", f"{described}.", rows)


def ratio_intervals(report: Report) -> str:
    """The frames' ratios to the reference, with their intervals; the line is the reference."""
    found = [ratio for ratio in report.ratios if ratio.what == "frame"]
    if not found:
        return ""
    low = min(1.0, *(ratio.ci95[0] for ratio in found))
    high = max(1.0, *(ratio.ci95[1] for ratio in found))
    scale = _Scale(low, high, LEFT, WIDTH - RIGHT, is_log=True)
    bottom = 30 + len(found) * ROW
    rows = [_line(scale(1.0), 14, scale(1.0), bottom - 8, "reference")]
    for i, ratio in enumerate(found):
        y = 40 + i * ROW
        rows += [
            _name(placed(report, ratio.of, ratio.machine), y + 5),
            _line(scale(ratio.ci95[0]), y, scale(ratio.ci95[1]), y, f"whisker k{i % COLORS}"),
            f'<circle cx="{scale(ratio.p50):.1f}" cy="{y}" r="6" class="c{i % COLORS}"/>',
            _text(scale(ratio.ci95[1]) + 10, y + 5, f"{TIMES} {ratio.p50:.3f}", "strong"),
            _text(LEFT, y + 22, f"of {ratio.to}", "small"),
        ]
    described = "; ".join(
        f"{placed(report, ratio.of, ratio.machine)}: {ratio.p50:.3f} times {ratio.to}" for ratio in found
    )
    return _svg(bottom, "Time against the reference", f"{described}.", rows)


def tradeoff(report: Report) -> str:
    """Latency and accuracy of each run; the line joins those that no other beats in both."""
    points = [(run, run.frame_ms.p50, run.accuracy.giou) for run in report.runs if run.accuracy and run.accuracy.giou]
    if len(points) < 2:
        return ""
    times, scores = [point[1] for point in points], [point[2] for point in points]
    x = _Scale(min(times), max(times), LEFT, WIDTH - 210, is_log=True)
    middle, half = (min(scores) + max(scores)) / 2, max(max(scores) - min(scores), LEAST_SPAN) / 2
    y = _Scale(middle - half, middle + half, 250, 50)
    best = sorted(pareto([(time, score) for _, time, score in points]))
    rows = [_path([(x(time), y(score)) for time, score in best], "front")] if len(best) > 1 else []
    taken: list[tuple[float, float]] = []
    for i, (run, time, score) in enumerate(points):
        px, py = x(time), y(score)
        while any(abs(px - ox) < 170 and abs(py - oy) < 34 for ox, oy in taken):
            py += 34
        taken.append((px, py))
        rows += [
            f'<circle cx="{x(time):.1f}" cy="{y(score):.1f}" r="7" class="c{i % COLORS}"/>',
            _line(x(time), y(score), x(time) + 10, py, "axis"),
            _text(x(time) + 12, py + 4, named(report, run), "strong"),
            _text(x(time) + 12, py + 19, f"{number(time)} ms, gIoU {number(score)} %", "small"),
        ]
    height = max(310.0, max(oy for _, oy in taken) + 60)
    rows += [
        _line(LEFT - 20, 30, LEFT - 20, height - 30, "axis"),
        _line(LEFT - 20, height - 30, WIDTH - 40, height - 30, "axis"),
        _text(WIDTH - 40, height - 12, "median frame time, ms: left is faster", "small", "end"),
        _text(10, 44, "gIoU, %: up is better", "small"),
    ]
    described = "; ".join(
        f"{named(report, run)}: {number(time)} ms, gIoU {number(score)} %" for run, time, score in points
    )
    return _svg(height, "Latency and accuracy", f"{described}. The line joins those that none beats in both.", rows)


def bars(report: Report, values: Sequence[float | None], unit: str, title: str) -> str:
    """One value per run."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    rows = []
    for i, (run, value) in enumerate(zip(report.runs, values, strict=True)):
        top = 10 + i * 38
        width = (value or 0.0) / max(known) * (WIDTH - LEFT - RIGHT - 60)
        label = "not measured" if value is None else f"{number(value)} {unit}"
        rows += [
            _name(named(report, run), top + 18),
            _rect(LEFT, top, width, 26, f"c{i % COLORS}"),
            _text(LEFT + width + 8, top + 18, label, "small"),
        ]
    described = "; ".join(
        f"{named(report, run)}: {number(value, 'not measured')}" for run, value in zip(report.runs, values, strict=True)
    )
    return _svg(20 + len(values) * 38, title, f"{described}; in {unit}.", rows)


def over_time(report: Report) -> str:
    """Latency in the windows of a sustained run."""
    lasting = [(i, run, run.sustained) for i, run in enumerate(report.runs) if run.sustained]
    if not lasting:
        return ""
    windows = [window for _, _, sustained in lasting for window in sustained.windows]
    low, high = min(w.p50_ms for w in windows), max(w.p50_ms for w in windows)
    x = _Scale(0, max(w.at_s for w in windows), LEFT, WIDTH - 210)
    y = _Scale(low, max(high, 1.2 * low), 220, 30, is_log=True)
    rows = [_line(LEFT, 236, WIDTH - 210, 236, "axis")]
    labels = _apart([y(sustained.windows[-1].p50_ms) for _, _, sustained in lasting])
    for (i, run, sustained), label in zip(lasting, labels, strict=True):
        points = [(x(window.at_s), y(window.p50_ms)) for window in sustained.windows]
        rows += [_path(points, f"line k{i % COLORS}")]
        rows += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" class="c{i % COLORS}"/>' for px, py in points]
        last = sustained.windows[-1]
        rows.append(_text(WIDTH - 200, label + 4, f"{named(report, run)}: {number(last.p50_ms)} ms", "small"))
    rows.append(_text(WIDTH - 210, 254, f"{number(max(w.at_s for w in windows))} s", "small", "end"))
    described = "; ".join(
        f"{named(report, run)}: {number(s.windows[0].p50_ms)} ms at first, {number(s.windows[-1].p50_ms)} ms at last"
        for _, run, s in lasting
    )
    return _svg(260, "Median frame time over a sustained run", f"{described}.", rows)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (time, score) those that no other beats: none is as fast and as good, and better in one."""
    return [
        point
        for point in points
        if not any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)
    ]


class _Scale:
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


def _apart(places: Sequence[float], gap: float = 18) -> list[float]:
    """Labels' places, moved down as far as they would cover each other."""
    moved = [0.0] * len(places)
    last = -gap
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        last = moved[i] = max(places[i], last + gap)
    return moved


def _density(samples: Sequence[float], scale: _Scale, low: float, high: float, base: float, color: int) -> str:
    edges = np.geomspace(low, high if high > low else 2 * low, BINS + 1)
    counts, _ = np.histogram(samples, edges)
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    smooth = np.convolve(counts, kernel, "same")
    heights = smooth / (smooth.max() or 1) * (ROW - 6)
    middles = (edges[:-1] + edges[1:]) / 2
    points = [(scale(x), base - height) for x, height in zip(middles, heights, strict=True)]
    return _path([(points[0][0], base), *points, (points[-1][0], base)], f"area c{color % COLORS}")


def _legend(names: Sequence[str]) -> str:
    parts, x = [], float(LEFT)
    for i, name in enumerate(names):
        parts += [_rect(x, 10, 16, 16, f"s{i}"), _text(x + 22, 23, name, "small")]
        x += 40 + 8 * len(name)
    return "".join(parts)


def _svg(height: float, title: str, description: str, rows: Sequence[str]) -> str:
    number_ = next(_ids)
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="t{number_} d{number_}">'
        f'<title id="t{number_}">{escape(title)}</title><desc id="d{number_}">{escape(description)}</desc>'
    )
    return head + "".join(rows) + "</svg>"


def _name(text: str, y: float) -> str:
    shown = text if len(text) <= 24 else text[:23] + "…"
    return _text(LEFT - 14, y, shown, "name", "end")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="{kind}"/>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height}" class="{kind}"/>'


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" class="{kind}"/>'


def all_charts(report: Report) -> Iterator[tuple[str, str]]:
    """Each chart that has something to show, under the key of the table that it stands with."""
    yield "ratios", ratio_intervals(report)
    yield "overview", latency(report)
    yield "stages", stage_bars(report)
    yield "memory", bars(report, [run.peak_rss_mb for run in report.runs], "MB", "Peak memory of the process")
    cold = [run.cold_start.whole_ms.p50 if run.cold_start else None for run in report.runs]
    yield "cold", bars(report, cold, "ms", "From a fresh process to the first masks")
    yield "accuracy", tradeoff(report)
    yield "sustained", over_time(report)
