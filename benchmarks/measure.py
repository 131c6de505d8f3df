"""``benchmark``: bundles and baselines go in, a ``Report`` comes out; what was measured before Ctrl-C, too."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.benchmarks import assemble, machine, rounds
from sam3i_edge.benchmarks.items import Data, items
from sam3i_edge.benchmarks.macs import GraphCount
from sam3i_edge.benchmarks.process import Process
from sam3i_edge.benchmarks.report import Accuracy, Layer, Picture, Report, Skipped
from sam3i_edge.benchmarks.roofline import Peak
from sam3i_edge.benchmarks.scenarios import SCENARIOS, Item
from sam3i_edge.benchmarks.subjects import Subject, foreign
from sam3i_edge.benchmarks.worker import ItemFile, save_item
from sam3i_edge.bundle import read_manifest
from sam3i_edge.errors import BenchmarkError, RuntimeUnavailableError, Sam3iEdgeError

Progress = Callable[[str], None]

WARM_UP = 3


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    rounds: int | None = None
    """Of frames; None: until the ratios are known to 1 %, or a minute per subject has passed."""
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
    """What is known of a subject so far."""

    subject: Subject
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
class Session:
    """One measurement under way."""

    plan: Plan
    machine: Any
    items: list[Item]
    measured: list[Measured] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clocks: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    """Of a sustained run: seconds, MHz, degrees."""
    throttles: int | None = None
    rounds: int = 0
    partial: bool = False


def benchmark(
    subjects: Sequence[Subject], plan: Plan | None = None, progress: Progress = lambda message: None
) -> Report:
    """Measure every subject on this machine, by turns.

    Raises:
        RuntimeUnavailableError: one does not run here; its name and the reason are in the message.
        BundleError, DataError: a bundle or the data is damaged.
        KeyboardInterrupt: interrupted before the first round of frames was complete. Later than that, the report comes
            back, marked partial.
    """
    plan = plan or Plan()
    if not subjects:
        raise BenchmarkError("There is nothing to measure. Give one bundle or more.")
    session = Session(plan, machine.examine(plan.machine_name), items(subjects[0].bundle, plan.data))
    with tempfile.TemporaryDirectory(prefix="sam3i-edge-benchmark-") as folder:
        files = [save_item(item, Path(folder), number) for number, item in enumerate(session.items)]
        with contextlib.ExitStack() as stack:
            try:
                for subject in subjects:
                    _open(session, subject, files, stack, progress)
                if not session.measured:
                    raise RuntimeUnavailableError("None of the bundles runs here: " + _listed(session.skipped))
                for step in _steps(session, files):
                    progress(step)
            except KeyboardInterrupt:
                if not session.measured or not all(one.frame_ms for one in session.measured):
                    raise
                session.partial = True
                for one in session.measured:
                    one.process.kill()  # it may be in the middle of a turn
    return assemble.report(session)


def _open(
    session: Session, subject: Subject, files: Sequence[ItemFile], stack: contextlib.ExitStack, progress: Progress
) -> None:
    progress(f"loading {subject.label}")
    reason = "" if subject.baseline else foreign(read_manifest(Path(subject.bundle)))
    try:
        if reason:
            raise RuntimeUnavailableError(reason)
        process = stack.enter_context(Process(subject, files))
    except RuntimeUnavailableError as error:
        if not session.plan.skip_unavailable:
            raise RuntimeUnavailableError(
                f"{subject.label} ({subject.bundle}) does not run here: {error} Leave it out, or name it in the report "
                f"only: --skip-unavailable"
            ) from error
        session.skipped.append(Skipped(subject.label, str(error)))
        return
    process.ask("first_frame")
    first_ms = 1e3 * (time.monotonic() - process.started)
    session.measured.append(Measured(subject, process, process.ask("describe"), first_ms))


def _steps(session: Session, files: Sequence[ItemFile]) -> Iterator[str]:
    """Measure one thing after the other; each is told before it begins."""
    plan, measured = session.plan, session.measured
    yield f"warming up: {WARM_UP} frames each"
    rounds.play(measured, lambda one, turn: one.process.ask("frame", turn=turn), lambda played: played >= WARM_UP)
    yield "frames, by turns" + ("" if plan.rounds is None else f": {plan.rounds} rounds")
    session.rounds = rounds.play(measured, _frame, rounds.until(plan.rounds, [one.frame_ms for one in measured]))
    for one in measured:
        one.memory = one.process.ask("memory")
    for name in SCENARIOS if plan.scenario_rounds else ():
        yield f"{name}: {SCENARIOS[name]}"
        _scenario(session, name)
    for number in range(plan.cold_starts):
        yield f"cold start {number + 1} of {plan.cold_starts}"
        for one in measured:
            _cold_start(one, files)
    if plan.details:
        yield "what the answers look like"
        _once(session, "pictures", "pictures", Picture)
        yield "counting work, measuring what the machine can do"
        _rooflines(session)
        yield "where the time goes, operator by operator"
        _once(session, "layers", "layers", Layer)
    if plan.data:
        for one in measured:
            yield f"accuracy of {one.subject.label}"
            answer = ask_or_note(session, one, "accuracy", data=schema.plain(plan.data))
            if answer is not None:
                one.extra["accuracy"] = schema.parse(Accuracy, answer)
    if plan.duration_s:
        yield f"sustained, {plan.duration_s:.0f} s"
        _sustain(session)


def _frame(one: Measured, turn: int) -> None:
    played = one.process.ask("frame", turn=turn, lead_in_s=rounds.LEAD_IN_S)
    one.frames.append(played)
    one.frame_ms.append(played["ms"])


def _scenario(session: Session, name: str) -> None:
    """Fewer rounds where a turn is long: as many as fit into the time that the frames took."""
    slowest = max(max(one.frame_ms) for one in session.measured) / 1e3
    wanted = max(2, min(session.plan.scenario_rounds, int(rounds.BUDGET_S / slowest / 2)))

    def turn(one: Measured, number: int) -> None:
        ms = one.process.ask("scenario", name=name, turn=number, lead_in_s=rounds.LEAD_IN_S)["ms"]
        if number:  # the first is warm-up: other shapes than before
            one.scenarios.setdefault(name, []).append(ms)

    rounds.play(session.measured, turn, lambda played: played > wanted)


def _cold_start(one: Measured, files: Sequence[ItemFile]) -> None:
    with Process(one.subject, files) as process:
        first = process.ask("first_frame")
        whole = 1e3 * (time.monotonic() - process.started)
    one.cold.append({"whole": whole, "load": first["load_ms"], "first_frame": first["frame_ms"]})


def _once(session: Session, what: str, field_name: str, kind: type[Any]) -> None:
    for one in session.measured:
        if one.subject.checkpoint and what == "layers":
            continue  # PyTorch is no runtime of ours
        answer = ask_or_note(session, one, what)
        if answer is not None:
            one.extra[field_name] = tuple(schema.parse(kind, value) for value in answer)


def _rooflines(session: Session) -> None:
    for one in session.measured:
        if one.subject.checkpoint:
            continue
        counts = ask_or_note(session, one, "counts")
        peaks = ask_or_note(session, one, "peaks") if counts else None
        if counts and peaks:
            bandwidth = Peak(*peaks["bandwidth"]) if peaks["bandwidth"] else None
            one.roofline = {
                "counts": {name: GraphCount(**count) for name, count in counts.items()},
                "peak": Peak(*peaks["peak"]),
                "bandwidth": bandwidth,
            }


def _sustain(session: Session) -> None:
    start, before = time.monotonic(), machine.throttle_count()

    def turn(one: Measured, number: int) -> None:
        ms = one.process.ask("frame", turn=number)["ms"]
        now = time.monotonic() - start
        one.sustained.append((now, ms))
        session.clocks.append((now, machine.clock_mhz(), machine.temperature_c()))

    try:
        least = 2  # a first and a last window
        enough = start + session.plan.duration_s
        rounds.play(
            session.measured,
            turn,
            lambda played: played >= least and time.monotonic() >= enough,
            settle=False,  # a device that rests cools down
        )
    finally:
        after = machine.throttle_count()
        session.throttles = None if before is None or after is None else after - before


def _listed(skipped: Sequence[Skipped]) -> str:
    return "; ".join(f"{one.bundle}: {one.why}" for one in skipped)


def ask_or_note(session: Session, one: Measured, do: str, **arguments: Any) -> Any:
    """A worker's answer; None, and a note, if it cannot be had: what else was measured is worth keeping."""
    try:
        return one.process.ask(do, **arguments)
    except Sam3iEdgeError as error:
        session.notes.append(f"{one.subject.label}: no {do}: {error}")
        return None
