"""A measurement under way: what is asked for, and what is known so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sam3i_edge.benchmarks.candidates import Candidate
from sam3i_edge.benchmarks.process import Process
from sam3i_edge.benchmarks.report import Skipped
from sam3i_edge.benchmarks.scenarios import WorkloadItem
from sam3i_edge.benchmarks.workload import Data
from sam3i_edge.errors import BenchmarkError

WARM_UP = 3


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure."""

    rounds: int | None = None
    """Of frames; None: until the ratios are known to 1 %, or a minute per candidate has passed."""
    scenario_rounds: int = 15
    cold_starts: int = 3
    data: Data | None = None
    details: bool = True
    """What the answers look like, what the machine can do, and single operators' times."""
    duration_s: float = 0.0
    """Of a sustained run afterwards."""
    skip_unavailable: bool = False
    """Leave out, and name, what does not run here, rather than refuse."""
    machine_name: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("scenario_rounds", 0), ("cold_starts", 0), ("duration_s", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BenchmarkError(f"{name} is {value}; it must be at least {least}.")


@dataclass
class Measured:
    """What is known of a candidate so far."""

    candidate: Candidate
    process: Process
    described: dict[str, Any]
    first_ms: float
    frames: list[dict[str, Any]] = field(default_factory=list)
    frame_ms: list[float] = field(default_factory=list)
    scenarios: dict[str, list[float]] = field(default_factory=dict)
    cold: list[dict[str, float]] = field(default_factory=list)
    memory: dict[str, float | None] = field(default_factory=dict)
    sustained: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the beginning, and milliseconds."""
    roofline: dict[str, Any] = field(default_factory=dict)
    """What ``roofline.roofline`` takes but the stages' times."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Of ``report.Run``: what the worker measured once."""


@dataclass
class Measurement:
    """One measurement under way."""

    plan: BenchmarkPlan
    machine: Any
    items: list[WorkloadItem]
    measured: list[Measured] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clocks: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    """Of a sustained run: seconds, MHz, degrees."""
    throttles: int | None = None
    rounds: int = 0
    partial: bool = False
