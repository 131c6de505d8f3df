"""The students beside their teacher: what each scores, what its scores are worth, and what it takes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.benchmarks.candidates import find_candidates
from sam3i_edge.benchmarks.macs import count_graph
from sam3i_edge.benchmarks.markup import markdown, markdown_row
from sam3i_edge.benchmarks.measurement import BenchmarkPlan
from sam3i_edge.benchmarks.runner import benchmark
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.samples import Sample
from sam3i_edge.doctor import check_ready
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.confidence import Confidence, measure_confidence
from sam3i_edge.exporter import export
from sam3i_edge.exporter.staging import staged
from sam3i_edge.files import write_json
from sam3i_edge.manifest import read_manifest
from sam3i_edge.model import load
from sam3i_edge.provenance import Provenance
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.targets import get_target

REPORT_FILE, PAGE_FILE = "students.json", "students.md"
SCORES = ("giou", "instance_f1", "count_accuracy", "duplicate_rate", "false_positive_rate")
"""Of a route: fields of ``evaluate.RouteScores`` and of ``RouteResult``."""
TEXT = "backbone.language_backbone."


@dataclass(frozen=True)
class RouteResult:
    """One route of one model."""

    giou: float | None
    drop_giou: float | None
    """Points of gIoU below the teacher."""
    instance_f1: float | None
    count_accuracy: float | None
    duplicate_rate: float | None
    false_positive_rate: float | None
    confidence: Confidence


@dataclass(frozen=True)
class Time:
    """A frame with one prompt in FP32, on one target."""

    p50_ms: float
    to_teacher: float
    """Median ratio to the teacher's, taken by turns."""
    ci95: tuple[float, float]
    peak_rss_mb: float | None


@dataclass(frozen=True)
class Student:
    """One model; the first of a report is the teacher."""

    name: str
    sha256: str
    parameters: int
    text_parameters: int
    """Of those, in the text encoder, token rows included."""
    macs: dict[str, int]
    """By graph, for one image or one prompt."""
    cgf1: float | None
    routes: dict[str, RouteResult]
    times: dict[str, Time]
    """By target."""


@dataclass(frozen=True)
class StudentReport:
    """Teacher and students on the same images and machine."""

    data: str
    images: int
    students: tuple[Student, ...]


def compare_students(
    models: Mapping[str, Path],
    samples: Sequence[Sample],
    data: str,
    targets: Sequence[str],
    output: Path,
    rounds: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> StudentReport:
    """Export, score and time the models, and write ``students.json`` and ``students.md`` beside their bundles.

    Args:
        models: checkpoints by name, the teacher first.
        samples: to score on, through the first target's runtime.
        data: where they came from, for the record.
        targets: to time on, FP32.
        output: a new or empty folder; nothing is left there unless all succeeds.
        rounds: of frames; None: until the ratios are known to 1 %.
        progress: told each step.

    Raises:
        BenchmarkError: no target, or less than one round.
        RuntimeUnavailableError: one is not ready here.
        CheckpointError, ExportError, DataError: as their makers.
    """
    if not targets:
        raise BenchmarkError("No target of this machine is ready. See: sam3i-edge doctor")
    for target in targets:
        check_ready(target)
    names = {get_target(target).name: target for target in targets}
    plan = BenchmarkPlan(rounds=rounds, scenario_rounds=0, cold_starts=0, details=False)
    sizes = {name: _sizes(checkpoint) for name, checkpoint in models.items()}  # all can be read, before hours of work
    with staged(output) as stage:
        for name, checkpoint in models.items():
            for folder, target in names.items():
                progress(f"exporting {name} for {folder}")
                export(checkpoint, output=stage / folder / name, target=target, precision="fp32")
        scored: dict[str, Student] = {}
        for name in models:
            progress(f"scoring {name} on {len(samples)} images")
            first = stage / next(iter(names)) / name
            scored[name] = _score(name, sizes[name], first, samples, next(iter(scored.values()), None))
        times = {folder: _times(stage / folder, list(models), plan, progress) for folder in names}
        students = [
            Student(**{**vars(one), "times": {target: found[name] for target, found in times.items()}})
            for name, one in scored.items()
        ]
        report = StudentReport(data, len(samples), tuple(students))
        write_json(stage / REPORT_FILE, schema.plain(report))
        (stage / PAGE_FILE).write_text(render(report), encoding="utf-8")
    return report


def _sizes(checkpoint: Path) -> dict[str, int]:
    """Values of each parameter."""
    model = load(checkpoint, ModelConfig.of_checkpoint(checkpoint, None))
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def _score(
    name: str, sizes: Mapping[str, int], bundle: Path, samples: Sequence[Sample], teacher: Student | None
) -> Student:
    manifest = read_manifest(bundle)
    source = Provenance.of(manifest.provenance).source
    with Segmenter.load(bundle) as segmenter:
        scores = evaluate(segmenter, samples)
        confidence = measure_confidence(segmenter, samples)
    routes = {}
    for route, found in scores.routes.items():
        best = teacher.routes[route].giou if teacher else None
        drop = None if best is None or found.giou is None else best - found.giou
        shared = {name: getattr(found, name) for name in SCORES}
        routes[route] = RouteResult(drop_giou=drop, confidence=confidence[route], **shared)
    return Student(
        name=name,
        sha256=source.sha256 if source else "",
        parameters=sum(sizes.values()),
        text_parameters=sum(count for n, count in sizes.items() if n.startswith(TEXT)),
        macs={graph: count_graph(bundle / spec.file).macs for graph, spec in manifest.runtime.graphs.items()},
        cgf1=scores.cgf1["cgF1"] if scores.cgf1 else None,
        routes=routes,
        times={},
    )


def _times(folder: Path, names: Sequence[str], plan: BenchmarkPlan, progress: Callable[[str], None]) -> dict[str, Time]:
    asked = find_candidates([str(folder / name) for name in names], [], None, "auto")
    measured = benchmark(asked, plan, lambda step: progress(f"{folder.name}: {step}"))
    ratios = {ratio.of: ratio for ratio in measured.ratios if ratio.what == "frame"}
    found = {}
    for run in measured.runs:
        ratio = ratios.get(run.bundle)
        p50, interval = (ratio.p50, ratio.ci95) if ratio else (1.0, (1.0, 1.0))
        found[run.bundle] = Time(run.frame_ms.p50, p50, interval, run.peak_rss_mb)
    return found


def render(report: StudentReport) -> str:
    """The report as Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: StudentReport) -> Iterator[str]:
    teacher = report.students[0]
    yield markdown("# {name} and its students\n", name=teacher.name)
    yield markdown(
        "{images} images of {data}, at each model's own thresholds. In percent: gIoU; behind: points below the "
        "teacher; F1 of single instances; count: texts for which as many instances are found as are meant; twice: "
        "texts for which a thing is found more than once; the false-positive rate on negative prompts, which mean "
        "nothing in their image; presence ECE: calibration error of presence. Score margin: median ratio of the best "
        "score to the second best where one instance is meant.\n",
        images=report.images,
        data=report.data,
    )
    shown = ("gIoU", "behind", "F1", "count", "twice", "false-positive rate", "score margin", "presence ECE")
    yield markdown_row(("", "route", *shown))
    yield "|---" * (2 + len(shown)) + "|"
    for one in report.students:
        for route, found in one.routes.items():
            values = (found.giou, found.drop_giou, found.instance_f1, found.count_accuracy, found.duplicate_rate)
            sure = (found.false_positive_rate, found.confidence.score_margin, found.confidence.presence_ece)
            yield markdown_row((one.name, route, *map(_number, (*values, *sure))))
    targets = list(teacher.times)
    heads = [head for target in targets for head in (f"{target}: frame ms", "to the teacher (95 %)", "peak MB")]
    yield ""
    yield markdown_row(("", "values", "of text", f"MACs: {', '.join(teacher.macs)}", *heads))
    yield "|---" * (4 + len(heads)) + "|"
    for one in report.students:
        macs = ", ".join(
            f"{count / 1e6:,.0f} M ({count / teacher.macs[graph]:.2f})" for graph, count in one.macs.items()
        )
        cells = [cell for target in targets for cell in _time_cells(one.times[target])]
        sizes = (f"{one.parameters / 1e6:.2f} M", f"{one.text_parameters / 1e6:.2f} M")
        yield markdown_row((one.name, *sizes, macs, *cells))
    yield "\nFrames: one image and one prompt, FP32, the models of a target by turns. Weights by SHA-256:\n"
    yield from (markdown("- {name}: {sha256}", name=one.name, sha256=one.sha256) for one in report.students)


def _time_cells(time: Time) -> tuple[str, str, str]:
    low, high = time.ci95
    return f"{time.p50_ms:.1f}", f"{time.to_teacher:.3f} ({low:.3f} to {high:.3f})", _number(time.peak_rss_mb)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
