"""Charts, as SVG text to be put into a page: each for a wide page, and for a narrow one such as a phone's.

Axes carry no round numbers of their own: what is labelled is a value of the report. Every chart has a title and a
description for whoever does not see it, and stands beside a table with the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from sam3i_edge.benchmarks.markup import Markup, markup
from sam3i_edge.benchmarks.report import Report
from sam3i_edge.benchmarks.svg import (
    LEFT,
    Scale,
    dot,
    fitting,
    legend,
    line,
    path,
    rect,
    svg,
    text,
    x_axis,
    y_axis,
)
from sam3i_edge.benchmarks.tables import NOT_MEASURED, TIMES, named, number, placed
from sam3i_edge.engine import STAGES

WIDE, NARROW = 960, 380
"""Widths in pixels, each shown about as large as it is: a narrow page does not shrink the text of a wide one."""
RIGHT = 96
"""Room for values beside bars."""
ROW = 46
COLORS = 8
BINS = 48
LEAST_SPAN = 5.0
"""Of the accuracy's axis, in percent: a small loss must not look like a large one."""


def latency(report: Report, width: int) -> Markup:
    """The distribution of each run's frame times, with its percentiles marked."""
    runs = report.runs
    low = min(min(run.frame_ms.samples) for run in runs)
    high = max(run.frame_ms.p99 for run in runs)
    scale = Scale(low, high, LEFT, width - LEFT, is_log=True)
    rows, step = [], ROW + 44
    for i, run in enumerate(runs):
        base = 66 + i * step
        rows += [_name(named(report, run), base - ROW - 4, width)]
        rows += [_density(run.frame_ms.samples, scale, low, high, base, i)]
        for value, size in ((run.frame_ms.p50, 30), (run.frame_ms.p90, 18), (run.frame_ms.p99, 10)):
            rows.append(line(scale(value), base - size, scale(value), base, "mark"))
        labels = f"p50 {number(run.frame_ms.p50)}   p90 {number(run.frame_ms.p90)}   p99 {number(run.frame_ms.p99)} ms"
        rows += [text(LEFT, base + 17, labels, "small"), line(LEFT, base, width - LEFT, base, "axis")]
    medians = sorted(run.frame_ms.p50 for run in runs)
    bottom = 66 + len(runs) * step - 40
    rows += x_axis(scale, [low, high, *medians], bottom, LEFT, width - LEFT, "ms")
    described = _described((named(report, run), f"median {number(run.frame_ms.p50)} ms") for run in runs)
    return svg(width, bottom + 28, "Distribution of frame times", described, rows)


def stage_bars(report: Report, width: int) -> Markup:
    """Each run's stages, mean times end to end."""
    longest = max(sum(stage.mean for stage in run.stages_ms.values()) for run in report.runs)
    rows, start = legend(STAGES, width)
    step = ROW + 14
    for i, run in enumerate(report.runs):
        top, x = start + 26 + i * step, float(LEFT)
        rows.append(_name(named(report, run), top - 7, width))
        for j, stage in enumerate(STAGES):
            wide = run.stages_ms[stage].mean / longest * (width - LEFT - RIGHT)
            rows.append(rect(x, top, wide, 28, f"s{j}"))
            if wide > 44:
                rows.append(text(x + wide / 2, top + 19, number(run.stages_ms[stage].mean), "in", "middle"))
            x += wide
        rows.append(text(x + 6, top + 19, f"{number(run.frame_ms.mean)} ms", "small"))
    described = _described(
        (named(report, run), ", ".join(f"{stage} {number(run.stages_ms[stage].mean)} ms" for stage in STAGES))
        for run in report.runs
    )
    return svg(width, start + 10 + len(report.runs) * step, "Mean time of each stage", described, rows)


def ratio_intervals(report: Report, width: int) -> Markup:
    """The frames' ratios to the reference, with their intervals; the line is the reference."""
    found = [ratio for ratio in report.ratios if ratio.what == "frame"]
    if not found:
        return Markup()
    low = min(1.0, *(ratio.ci95[0] for ratio in found))
    high = max(1.0, *(ratio.ci95[1] for ratio in found))
    scale = Scale(low, high, LEFT + 8, width - RIGHT, is_log=True)
    bottom = 20 + len(found) * (ROW + 8)
    rows = [line(scale(1.0), 8, scale(1.0), bottom, "reference")]
    for i, ratio in enumerate(found):
        y = 42 + i * (ROW + 8)
        rows += [
            _name(f"{placed(report, ratio.of, ratio.machine)}, of {ratio.to}", y - 16, width),
            line(scale(ratio.ci95[0]), y, scale(ratio.ci95[1]), y, f"whisker k{i % COLORS}"),
            dot(scale(ratio.p50), y, 6, f"c{i % COLORS}"),
            text(scale(ratio.ci95[1]) + 10, y + 5, f"{TIMES} {ratio.p50:.3f}", "strong"),
        ]
    ends = [value for ratio in found for value in ratio.ci95]
    rows += x_axis(scale, [min(ends), max(ends)], bottom, LEFT, width - LEFT, TIMES)
    rows.append(text(scale(1.0), bottom + 36, "the reference", "small", "start" if low == 1 else "middle"))
    described = _described((placed(report, one.of, one.machine), f"{one.p50:.3f} times {one.to}") for one in found)
    return svg(width, bottom + 44, "Time against the reference", described, rows)


def tradeoff(report: Report, width: int) -> Markup:
    """Latency and accuracy of each run; the line joins those that no other beats in both."""
    points = [(run, run.frame_ms.p50, run.accuracy.giou) for run in report.runs if run.accuracy and run.accuracy.giou]
    if len(points) < 2:
        return Markup()
    left, room = 58, 190
    times, scores = [point[1] for point in points], [point[2] for point in points]
    x = Scale(min(times), max(times), left + 16, width - room, is_log=True)
    middle, half = (min(scores) + max(scores)) / 2, max(max(scores) - min(scores), LEAST_SPAN) / 2
    y = Scale(middle - half, middle + half, 250, 50)
    best = sorted(pareto([(time, score) for _, time, score in points]))
    rows = [path([(x(time), y(score)) for time, score in best], "front")] if len(best) > 1 else []
    taken: list[tuple[float, float]] = []
    for i, (run, time, score) in enumerate(points):
        px, py = x(time), y(score)
        while any(abs(px - ox) < room and abs(py - oy) < 34 for ox, oy in taken):
            py += 34
        taken.append((px, py))
        rows += [
            dot(x(time), y(score), 7, f"c{i % COLORS}"),
            line(x(time), y(score), x(time) + 10, py, "axis"),
            text(x(time) + 12, py + 4, fitting(named(report, run), width - x(time) - 16), "strong"),
            text(x(time) + 12, py + 19, f"{number(time)} ms, gIoU {number(score)} %", "small"),
        ]
    bottom = max(280.0, max(oy for _, oy in taken) + 30)
    rows += y_axis(y, [min(scores), max(scores), *scores], left, 30, bottom)
    rows += x_axis(x, [min(times), max(times), *times], bottom, left, width - LEFT, "ms")
    rows += [
        text(width - LEFT, bottom + 38, "median frame time: left is faster", "small", "end"),
        text(LEFT, 18, "gIoU, %: up is better", "small"),
    ]
    described = _described((named(report, run), f"{number(t)} ms, gIoU {number(s)} %") for run, t, s in points)
    more = f"{described} The line joins those that none beats in both."
    return svg(width, bottom + 46, "Latency and accuracy", more, rows)


def bars(report: Report, width: int, values: Sequence[float | None], unit: str, title: str) -> Markup:
    """One value per run."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup()
    rows, names = [], [named(report, run) for run in report.runs]
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        top = 26 + i * 56
        wide = (value or 0.0) / max(known) * (width - LEFT - RIGHT)
        label = NOT_MEASURED if value is None else f"{number(value)} {unit}"
        rows += [
            _name(name, top - 7, width),
            rect(LEFT, top, wide, 26, f"c{i % COLORS}"),
            text(LEFT + wide + 8, top + 18, label, "small"),
        ]
    described = _described(zip(names, (number(value, NOT_MEASURED) for value in values), strict=True), f"; in {unit}.")
    return svg(width, 14 + len(values) * 56, title, described, rows)


def over_time(report: Report, width: int) -> Markup:
    """Latency in the windows of a sustained run."""
    lasting = [(i, run, run.sustained) for i, run in enumerate(report.runs) if run.sustained]
    if not lasting:
        return Markup()
    windows = [window for _, _, sustained in lasting for window in sustained.windows]
    low, high = min(w.p50_ms for w in windows), max(w.p50_ms for w in windows)
    times = [window.at_s for window in windows]
    x = Scale(min(times), max(times), 66, width - LEFT - 8)
    top = 34 + 18 * len(lasting)
    y = Scale(low, max(high, 1.2 * low), top + 190, top, is_log=True)
    rows = [text(LEFT, top - 14, "median ms", "small")]
    for place, (i, run, sustained) in enumerate(lasting):
        points = [(x(window.at_s), y(window.p50_ms)) for window in sustained.windows]
        rows += [path(points, f"line k{i % COLORS}")]
        rows += [dot(px, py, 3, f"c{i % COLORS}") for px, py in points]
        last = f"at last {number(sustained.windows[-1].p50_ms)} ms"
        rows += [dot(LEFT + 6, 10 + 18 * place, 5, f"c{i % COLORS}")]
        rows += [text(LEFT + 18, 15 + 18 * place, fitting(f"{last}: {named(report, run)}", width - 40), "small")]
    rows += y_axis(y, [low, high], 58, top, top + 206)
    rows += x_axis(x, [max(times), min(times)], top + 206, 58, width - LEFT, "s")
    described = _described(
        (named(report, run), f"{number(s.windows[0].p50_ms)} ms at first, {number(s.windows[-1].p50_ms)} ms at last")
        for _, run, s in lasting
    )
    return svg(width, top + 236, "Median frame time over a sustained run", described, rows)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (time, score) those that no other beats: none is as fast and as good, and better in one."""
    return [
        point
        for point in points
        if not any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)
    ]


def _described(lines: Iterable[tuple[str, str]], end: str = ".") -> str:
    return "; ".join(f"{name}: {told}" for name, told in lines) + end


def _density(samples: Sequence[float], scale: Scale, low: float, high: float, base: float, color: int) -> Markup:
    edges = np.geomspace(low, high if high > low else 2 * low, BINS + 1)
    counts, _ = np.histogram(samples, edges)
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    smooth = np.convolve(counts, kernel, "same")
    heights = smooth / (smooth.max() or 1) * (ROW - 6)
    middles = (edges[:-1] + edges[1:]) / 2
    points = [(scale(x), base - height) for x, height in zip(middles, heights, strict=True)]
    return path([(points[0][0], base), *points, (points[-1][0], base)], f"area c{color % COLORS}")


def _name(name: str, y: float, width: int) -> Markup:
    return text(LEFT, y, fitting(name, width - 2 * LEFT), "name")


def all_charts(report: Report) -> Iterator[tuple[str, Markup]]:
    """Each chart that has something to show, under the key of the table that it stands with."""
    memory = [run.peak_rss_mb for run in report.runs]
    cold = [run.cold_start.whole_ms.p50 if run.cold_start else None for run in report.runs]
    charts: dict[str, Callable[[int], Markup]] = {
        "ratios": lambda width: ratio_intervals(report, width),
        "overview": lambda width: latency(report, width),
        "stages": lambda width: stage_bars(report, width),
        "memory": lambda width: bars(report, width, memory, "MB", "Peak memory of the process"),
        "cold": lambda width: bars(report, width, cold, "ms", "From a fresh process to the first masks"),
        "accuracy": lambda width: tradeoff(report, width),
        "sustained": lambda width: over_time(report, width),
    }
    for key, draw in charts.items():
        if wide := draw(WIDE):
            yield key, markup('<div class="wide">{w}</div><div class="narrow">{n}</div>', w=wide, n=draw(NARROW))
