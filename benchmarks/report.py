"""The report: plain data, versioned. Everything that is shown anywhere is in here; ``render`` and ``compare`` read it.

Times are in milliseconds, shares in percent. What could not be measured is None, never a guess.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.engine import STAGES
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.files import write_json
from sam3i_edge.text_files import read_json

SCHEMA = "sam3i-edge-report"
SCHEMA_VERSION = 1
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class Summary:
    """How long one thing took, with every sample."""

    p50: float
    p90: float
    p99: float
    mean: float
    std: float
    count: int
    samples: tuple[float, ...]
    """In the order in which they were taken."""


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    name: str
    system: str
    processor: str
    architecture: str
    cores: int
    memory_mb: float | None
    governor: str
    power_mode: str
    clock_mhz: float | None
    busy_cores_before: float | None
    """How many cores were busy with something else in the second before the measurement."""
    load_before: float | None
    """Processes that wanted to run, averaged over the minute before the measurement;"""
    load_after: float | None
    """and over its last minute, the measurement included."""
    accelerators: tuple[str, ...]
    versions: dict[str, str]
    environment: dict[str, str]
    """Variables that change how runtimes use threads."""


SCORES = ("giou", "ciou", "p50", "ap", "instance_f1", "count_accuracy", "duplicate_rate", "false_positive_rate")
"""Of a level: fields of ``RouteAccuracy`` and of ``evaluate.RouteScores``."""


@dataclass(frozen=True)
class RouteAccuracy:
    """Of the texts of one level, in percent."""

    giou: float | None
    ciou: float | None
    p50: float | None
    ap: float | None
    texts: int
    drop_giou: float | None
    """Against the reference; None where there is none."""
    instance_f1: float | None = None
    count_accuracy: float | None = None
    """Texts that mean something, for which as many instances were found as were meant."""
    duplicate_rate: float | None = None
    """Texts for which one thing was found more than once."""
    false_positive_rate: float | None = None
    """This and the three above are None in older reports, too."""


@dataclass(frozen=True)
class Accuracy:
    """What ``sam3i-edge evaluate`` finds, through the runtime that was timed."""

    data: str
    split: str
    images: int
    giou: float | None
    """Mean of the levels' gIoU, in percent."""
    cgf1: float | None
    routes: dict[str, RouteAccuracy]
    reference: str
    """The float run that drops are measured against; empty: none."""
    drop_giou: float | None


@dataclass(frozen=True)
class Energy:
    """Of the whole device while frames were computed, idle power included."""

    meter: str
    """What was read; ``not measured`` where the device has no meter."""
    joules_per_frame: float | None
    watts: float | None


@dataclass(frozen=True)
class ColdStart:
    """From the start of a fresh process to the first masks. The system's file cache is warm."""

    whole_ms: Summary
    parts_ms: dict[str, Summary]
    """process: Python and imports; load: ``Segmenter.load``; first_frame."""
    first_ms: float
    """The very first start, which may have had to compile."""


@dataclass(frozen=True)
class GraphCost:
    """One graph's work, counted, and how much of the machine it gets."""

    gmacs: float
    weights_mb: float
    activations_mb: float
    """What all operators read and write, as if none were fused."""
    p50_ms: float | None
    gmacs_per_s: float | None
    peak_share_pct: float | None
    """Of the matrix product's rate."""
    bandwidth_share_pct: float | None
    """Of the memory's rate, if every weight, input and output were moved exactly once."""


@dataclass(frozen=True)
class Roofline:
    """What the machine can do, measured in the same run through the same runtime, and what the graphs get of it."""

    peak_gmacs_per_s: float
    peak_of: str
    bandwidth_gb_per_s: float | None
    bandwidth_of: str
    graphs: dict[str, GraphCost]


@dataclass(frozen=True)
class LayerTime:
    """One operator in the runtime's own profile."""

    graph: str
    name: str
    kind: str
    ms: float
    share_pct: float
    """Of its graph."""


@dataclass(frozen=True)
class Window:
    """A stretch of a sustained run."""

    at_s: float
    frames: int
    p50_ms: float
    clock_mhz: float | None
    temperature_c: float | None


@dataclass(frozen=True)
class Sustained:
    """Latency over time."""

    duration_s: float
    windows: tuple[Window, ...]
    slowdown: float
    """Median of the last window over that of the first."""
    throttled: int | None
    """How often the processor says it throttled meanwhile; None where it does not say."""


@dataclass(frozen=True)
class Picture:
    """An answer, drawn on its image."""

    item: str
    """The same for all runs' answers to the same question."""
    text: str
    route: str
    found: int
    jpeg: str
    """Base64."""


@dataclass(frozen=True)
class Run:
    """All that was measured of one bundle, or of a baseline."""

    bundle: str
    """Its name here: the folder's, made unique."""
    machine: str
    baseline: bool
    runtime: str
    device: str
    target: str
    precision: str
    threads: int
    """0: the runtime's own choice."""
    image_size: int
    checkpoint: str
    checkpoint_sha256: str
    bundle_sha256: str
    """Of the manifest, which holds those of all files; empty for PyTorch."""
    bundle_mb: float | None
    note: str
    recipe: dict[str, str]
    """How precision was chosen, as the manifest tells it."""
    frame_ms: Summary
    stages_ms: dict[str, Summary]
    frames_per_second: float
    stages_sum_pct: float
    """The stages' mean times together, of the frame's."""
    harness_pct: float
    """What the stage clock itself takes of a frame."""
    scenarios_ms: dict[str, Summary] = field(default_factory=dict)
    cold_start: ColdStart | None = None
    peak_rss_mb: float | None = None
    gpu_memory_mb: float | None = None
    energy: Energy | None = None
    accuracy: Accuracy | None = None
    roofline: Roofline | None = None
    layers: tuple[LayerTime, ...] = ()
    sustained: Sustained | None = None
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Ratio:
    """How many times as long ``of`` takes as ``to``: median over rounds in which both took their turn."""

    of: str
    to: str
    machine: str
    what: str
    p50: float
    ci95: tuple[float, float]
    rounds: int


@dataclass(frozen=True)
class Skipped:
    """A bundle that was asked for and does not run here."""

    bundle: str
    why: str


@dataclass(frozen=True)
class Settings:
    """How it was measured."""

    frame: str
    """What a frame is, in words."""
    scenarios: dict[str, str]
    method: str
    rounds: int
    warm_up: int
    seed: int
    images: tuple[str, ...]
    """Name and size of each."""
    command: str


@dataclass(frozen=True)
class Report:
    """One measurement, or several merged."""

    schema: str
    schema_version: int
    created: str
    partial: bool
    """It was interrupted: what is here was measured, the rest is missing."""
    settings: tuple[Settings, ...]
    machines: tuple[Machine, ...]
    runs: tuple[Run, ...]
    ratios: tuple[Ratio, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def write_report(path: Path, report: Report) -> Path:
    """Write ``report.json`` into the folder ``path``, whole or not at all. Returns the file."""
    path.mkdir(parents=True, exist_ok=True)
    file = path / REPORT_FILE
    write_json(file, schema.plain(report))
    return file


def read_report(path: str | Path) -> Report:
    """Read a ``report.json``, or the one in a folder. Raises BenchmarkError."""
    file = Path(path) / REPORT_FILE if Path(path).is_dir() else Path(path)
    try:
        content = read_json(file)
    except OSError as error:
        raise BenchmarkError(
            f"Cannot read the report {file}: {error.strerror}. Make one with: sam3i-edge benchmark BUNDLE -o DIR"
        ) from error
    except ValueError as error:
        raise BenchmarkError(f"{file} is no report: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BenchmarkError(f"{file} is no {SCHEMA}. Give a folder that sam3i-edge benchmark wrote.")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BenchmarkError(
            f"{file} has report version {version!r}; this package reads {SCHEMA_VERSION}. Update it, or measure anew."
        )
    try:
        report = schema.parse(Report, content)
    except schema.SchemaError as error:
        raise BenchmarkError(f"{file}: {error}") from error
    if problem := _problem(report):
        raise BenchmarkError(f"{file}: {problem}. It was changed, or not written by sam3i-edge benchmark.")
    return report


def _problem(report: Report) -> str:
    """What keeps a report that has all its fields from being shown; empty if nothing does."""
    machines = {machine.name for machine in report.machines}
    if not report.runs:
        return "it has no runs"
    for run in report.runs:
        if run.machine not in machines:
            return f"there is no machine {run.machine!r}, on which {run.bundle} ran"
        if missing := [stage for stage in STAGES if stage not in run.stages_ms]:
            return f"{run.bundle} has no times of {', '.join(missing)}"
        for summary in (run.frame_ms, *run.stages_ms.values(), *run.scenarios_ms.values()):
            if not summary.samples or not all(0 < sample < math.inf for sample in summary.samples):
                return f"{run.bundle} has times that are none"
        if not all(map(_is_base64, (picture.jpeg for picture in run.pictures))):
            return f"{run.bundle} has a picture that is not base64"
        if run.sustained and not run.sustained.windows:
            return f"{run.bundle} has a sustained run of no time"
    for ratio in report.ratios:
        if ratio.machine not in machines or len(ratio.ci95) != 2:
            return f"the ratio of {ratio.of} to {ratio.to} has no interval, or was taken on no machine"
    return ""


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
