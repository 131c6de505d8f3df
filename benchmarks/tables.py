"""A report as tables of text: Markdown prints them, the page shows them beside its charts. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sam3i_edge.benchmarks.report import SCORES, Ratio, Report, Run, Sustained
from sam3i_edge.engine import STAGES

T = TypeVar("T")

NONE = "–"
NOT_MEASURED = "not measured"
TIMES = "×"
ROOFLINE_LEGEND = (
    "GMAC: billions of multiplications with addition; % of peak, of bandwidth: what a graph gets of the rate that a "
    "matrix product, and a copy, reach on the machine."
)


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; the first column names the row."""

    key: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(report: Report) -> Iterator[Table]:
    """All that have something to show, in reading order."""
    made = (
        overview(report),
        *ratios(report),
        stages(report),
        scenarios(report),
        cold_starts(report),
        accuracy(report),
        roofline(report),
        *layers(report),
        sustained(report),
        *recipes(report),
        identity(report),
        machines(report),
    )
    return (table for table in made if table.rows)


def named(report: Report, run: Run) -> str:
    """A run's name; with several machines, its machine's, too."""
    return placed(report, run.bundle, run.machine)


def placed(report: Report, name: str, machine: str) -> str:
    """``name``; with several machines, with the ``machine``, too."""
    return name if len(report.machines) == 1 else f"{name} · {machine}"


def number(value: float | None, none: str = NONE) -> str:
    """Three digits or so, as many as a reader needs."""
    if value is None:
        return none
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return text.lstrip("-") if float(text) == 0 else text


def _by_run(
    report: Report,
    key: str,
    title: str,
    columns: Mapping[str, Callable[[T], str]],
    found: Iterable[tuple[Run, T]],
    note: str = "",
) -> Table:
    """A line per run, of what was ``found`` of it: under each head what its function makes of that."""
    rows = [(named(report, run), *(cell(part) for cell in columns.values())) for run, part in found]
    return Table(key, title, ("", *columns), tuple(rows), note)


def overview(report: Report) -> Table:
    """One line per run."""
    columns: dict[str, Callable[[Run], str]] = {
        "runs on": lambda run: f"{run.runtime}, {run.precision}",
        "p50 ms": lambda run: number(run.frame_ms.p50),
        "p90 ms": lambda run: number(run.frame_ms.p90),
        "p99 ms": lambda run: number(run.frame_ms.p99),
        "mean ms": lambda run: number(run.frame_ms.mean),
        "spread ms": lambda run: number(run.frame_ms.std),
        "frames/s": lambda run: number(run.frames_per_second),
        "peak MB": lambda run: number(run.peak_rss_mb, NOT_MEASURED),
        "J/frame": lambda run: number(run.energy.joules_per_frame if run.energy else None, NOT_MEASURED),
        "gIoU %": lambda run: number(run.accuracy.giou if run.accuracy else None, NOT_MEASURED),
    }
    note = (
        "Times of a frame: median (p50), percentiles, mean and standard deviation (spread). Peak MB: of the process. "
        "J/frame: energy. gIoU: mean IoU of what was found with what was meant, on the data below."
    )
    return _by_run(report, "overview", "A frame", columns, ((run, run) for run in report.runs), note)


def ratios(report: Report) -> Iterator[Table]:
    """Frames; then the scenarios."""
    for is_frame, key, title in (
        (True, "ratios", "Times against the reference"),
        (False, "scenario_ratios", "The other ways to ask, against the reference"),
    ):
        rows = [
            (
                placed(report, ratio.of, ratio.machine),
                ratio.to,
                spaced(ratio.what),
                *(f"{value:.3f}" for value in (ratio.p50, *ratio.ci95)),
                str(ratio.rounds),
            )
            for ratio in report.ratios
            if (ratio.what == "frame") == is_frame
        ]
        head = ("", "against", "what", "takes times", "at least", "at most", "rounds")
        yield Table(key, title, head, tuple(rows), "At least, at most: the interval of confidence; see the method.")


def stages(report: Report) -> Table:
    """Medians, and how much of the frame they are together."""
    rows = [
        (
            named(report, run),
            *(number(run.stages_ms[stage].p50) for stage in STAGES),
            number(run.stages_sum_pct),
            f"{run.harness_pct:.4f}",
        )
        for run in report.runs
    ]
    head = ("", *(f"{stage} ms" for stage in STAGES), "together, % of a frame", "the clock itself, %")
    return Table("stages", "Stages", head, tuple(rows), "Medians; together: of the means.")


def scenarios(report: Report) -> Table:
    """A line per scenario, a column per run."""
    told = {name: text for settings in report.settings for name, text in settings.scenarios.items()}
    rows = []
    for name, text in told.items():
        medians = [run.scenarios_ms.get(name) for run in report.runs]
        if any(medians):
            figures = [number(summary.p50 if summary else None) for summary in medians]
            rows.append((spaced(name), text, *figures))
    head = ("", "what", *(f"{named(report, run)}, ms" for run in report.runs))
    return Table("scenarios", "Medians", head, tuple(rows), "Median times of ways to ask other than a frame.")


def cold_starts(report: Report) -> Table:
    """From nothing to the first masks."""
    rows = [
        (
            named(report, run),
            *(number(summary.p50) for summary in (run.cold_start.whole_ms, *run.cold_start.parts_ms.values())),
            number(run.cold_start.first_ms),
        )
        for run in report.runs
        if run.cold_start
    ]
    head = ("", "whole ms", "Python and imports ms", "loading ms", "first frame ms", "very first start ms")
    note = "A fresh process; what the runtime compiles is cached, but for the very first start. File cache warm."
    return Table("cold", "Cold start", head, tuple(rows), note)


def accuracy(report: Report) -> Table:
    """A line per run and level."""
    rows = [
        (
            named(report, run),
            route,
            *(number(getattr(scores, name)) for name in (*SCORES, "drop_giou")),
            str(scores.texts),
        )
        for run in report.runs
        if run.accuracy
        for route, scores in run.accuracy.routes.items()
    ]
    first = next((run.accuracy for run in report.runs if run.accuracy), None)
    reference = next((run.accuracy.reference for run in report.runs if run.accuracy and run.accuracy.reference), "")
    scores = (
        "gIoU: mean IoU of a text's instances together; cIoU: summed intersections over summed unions; P@½: texts with "
        "an IoU of one half or more; AP and F1: of single instances; count: texts with as many instances found as "
        "meant; twice: texts for which a thing was found more than once; FPR: texts that mean nothing, for which "
        "something was found; drop: points of gIoU."
    )
    note = f"On {first.data}, split {first.split}, {first.images} images. {scores}" if first else ""
    against = f"drop against {reference}" if reference else "drop"
    shown = ("gIoU %", "cIoU %", "P@½ %", "AP %", "F1 %", "count %", "twice %", "FPR %")
    head = ("", "texts of level", *shown, against, "texts")
    return Table("accuracy", "Accuracy", head, tuple(rows), note)


def roofline(report: Report) -> Table:
    """Work, rates and shares of what the machine can do."""
    rows = [
        (
            named(report, run),
            graph,
            *(number(value) for value in (cost.gmacs, cost.weights_mb, cost.activations_mb, cost.p50_ms)),
            *(number(value) for value in (cost.gmacs_per_s, cost.peak_share_pct, cost.bandwidth_share_pct)),
        )
        for run in report.runs
        if run.roofline
        for graph, cost in run.roofline.graphs.items()
    ]
    head = ("", "graph", "GMAC", "weights MB", "activations MB", "p50 ms", "GMAC/s", "% of peak", "% of bandwidth")
    peaks = [
        f"{named(report, run)}: peak {number(run.roofline.peak_gmacs_per_s)} GMAC/s ({run.roofline.peak_of}), memory "
        f"{number(run.roofline.bandwidth_gb_per_s)} GB/s ({run.roofline.bandwidth_of})."
        for run in report.runs
        if run.roofline
    ]
    return Table("roofline", "What the machine could do", head, tuple(rows), " ".join([ROOFLINE_LEGEND, *peaks]))


def layers(report: Report) -> Iterator[Table]:
    """The longest operators, a table per run."""
    for run in report.runs:
        rows = [(one.name, one.kind, one.graph, number(one.ms), number(one.share_pct)) for one in run.layers]
        title = f"Longest operators: {named(report, run)}"
        yield Table(
            "layers", title, ("", "kind", "graph", "ms", "% of its graph"), tuple(rows), "As the runtime profiles them."
        )


def sustained(report: Report) -> Table:
    """First and last window of each sustained run."""
    columns: dict[str, Callable[[Sustained], str]] = {
        "seconds": lambda one: number(one.duration_s),
        "first window p50 ms": lambda one: number(one.windows[0].p50_ms),
        "last window p50 ms": lambda one: number(one.windows[-1].p50_ms),
        f"last {TIMES} first": lambda one: number(one.slowdown),
        "MHz": lambda one: number(one.windows[0].clock_mhz),
        "MHz at last": lambda one: number(one.windows[-1].clock_mhz),
        "throttled": lambda one: NOT_MEASURED if one.throttled is None else str(one.throttled),
    }
    found = ((run, run.sustained) for run in report.runs if run.sustained)
    note = "Median frame times in the windows of the run; MHz: of the processor; throttled: as often as it says."
    return _by_run(report, "sustained", "Sustained run", columns, found, note)


def recipes(report: Report) -> Iterator[Table]:
    """How precision was chosen, a table per run that says so."""
    for run in report.runs:
        yield Table("recipe", f"Precision recipe: {named(report, run)}", ("", "value"), tuple(run.recipe.items()))


def identity(report: Report) -> Table:
    """Exactly what ran."""
    columns: dict[str, Callable[[Run], str]] = {
        "target": lambda run: run.target,
        "device": lambda run: run.device,
        "precision": lambda run: run.precision,
        "threads": lambda run: str(run.threads) if run.threads else "runtime's choice",
        "image side": lambda run: str(run.image_size),
        "MB": lambda run: number(run.bundle_mb),
        "manifest hash": lambda run: run.bundle_sha256[:12] or NONE,
        "weights": lambda run: f"{run.checkpoint} {run.checkpoint_sha256[:12]}",
    }
    return _by_run(report, "identity", "What ran", columns, ((run, run) for run in report.runs))


def machines(report: Report) -> Table:
    """A column per machine."""
    facts = [
        {
            "processor": one.processor,
            "system": one.system,
            "cores": str(one.cores),
            "memory MB": number(one.memory_mb),
            "governor": one.governor,
            "power mode": one.power_mode,
            "clock MHz": number(one.clock_mhz),
            "cores busy before": number(one.busy_cores_before),
            "load before": number(one.load_before),
            "load at the end": number(one.load_after),
            "accelerators": "; ".join(one.accelerators) or "none",
            "environment": ", ".join(f"{name}={value}" for name, value in one.environment.items()) or "nothing set",
            "versions": ", ".join(f"{name} {version}" for name, version in one.versions.items()),
        }
        for one in report.machines
    ]
    rows = [(name, *(fact[name] for fact in facts)) for name in facts[0]]
    return Table("machines", "Machine", ("", *(one.name for one in report.machines)), tuple(rows))


def spaced(name: str) -> str:
    """A scenario's name for readers."""
    return name.replace("_", " ")


def headline(report: Report) -> list[tuple[str, str, str]]:
    """What a reader should remember, as (before, figure, after): ratios of frames, or else the frame times."""
    ratios = [
        (
            f"{placed(report, ratio.of, ratio.machine)} takes",
            f"{ratio.p50:.3f} {TIMES}",
            f"the time of {ratio.to} ({_interval(ratio)})",
        )
        for ratio in report.ratios
        if ratio.what == "frame"
    ]
    frames = [(f"{named(report, run)}:", f"{number(run.frame_ms.p50)} ms", "a frame (median)") for run in report.runs]
    return ratios or frames


def _interval(ratio: Ratio) -> str:
    return f"{ratio.ci95[0]:.3f} to {ratio.ci95[1]:.3f}, {ratio.rounds} rounds"


def described(settings: Sequence[object]) -> str:
    """``settings`` once each."""
    return " ".join(dict.fromkeys(map(str, settings)))
