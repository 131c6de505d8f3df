"""``benchmark``: bundles and baselines go in, a ``Report`` comes out; what was measured before Ctrl-C, too."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.benchmarks import build_report, machine
from sam3i_edge.benchmarks.candidates import Candidate, foreign
from sam3i_edge.benchmarks.interleave import BUDGET_S, LEAD_IN_S, interleave, until
from sam3i_edge.benchmarks.macs import GraphCount
from sam3i_edge.benchmarks.measurement import WARM_UP, BenchmarkPlan, Measured, Measurement
from sam3i_edge.benchmarks.process import Process
from sam3i_edge.benchmarks.report import Accuracy, LayerTime, Picture, Report, Skipped
from sam3i_edge.benchmarks.roofline import Peak
from sam3i_edge.benchmarks.scenarios import SCENARIOS
from sam3i_edge.benchmarks.worker import ItemFile, save_item
from sam3i_edge.benchmarks.workload import workload
from sam3i_edge.errors import BenchmarkError, RuntimeUnavailableError, Sam3iEdgeError
from sam3i_edge.manifest import read_manifest

Progress = Callable[[str], None]


def benchmark(
    candidates: Sequence[Candidate], plan: BenchmarkPlan | None = None, progress: Progress = lambda message: None
) -> Report:
    """Measure every candidate on this machine, by turns.

    Raises:
        RuntimeUnavailableError: one does not run here; its name and the reason are in the message.
        BundleError, DataError: a bundle or the data is damaged.
        KeyboardInterrupt: interrupted before the first round of frames was complete. Later than that, the report comes
            back, marked partial.
    """
    plan = plan or BenchmarkPlan()
    if not candidates:
        raise BenchmarkError("There is nothing to measure. Give one bundle or more.")
    session = Measurement(plan, machine.examine(plan.machine_name), workload(candidates[0].bundle, plan.data))
    with tempfile.TemporaryDirectory(prefix="sam3i-edge-benchmark-") as folder:
        files = [save_item(item, Path(folder), number) for number, item in enumerate(session.items)]
        with contextlib.ExitStack() as stack:
            try:
                for candidate in candidates:
                    _open(session, candidate, files, stack, progress)
                if not session.measured:
                    reasons = "; ".join(f"{one.bundle}: {one.why}" for one in session.skipped)
                    raise RuntimeUnavailableError(f"None of the bundles runs here: {reasons}")
                for step in _steps(session, files):
                    progress(step)
            except KeyboardInterrupt:
                if not session.measured or not all(one.frame_ms for one in session.measured):
                    raise
                session.partial = True
                for one in session.measured:
                    one.process.kill()  # it may be in the middle of a turn
    return build_report.report(session)


def _open(
    session: Measurement,
    candidate: Candidate,
    files: Sequence[ItemFile],
    stack: contextlib.ExitStack,
    progress: Progress,
) -> None:
    progress(f"loading {candidate.label}")
    reason = "" if candidate.baseline else foreign(read_manifest(Path(candidate.bundle)))
    try:
        if reason:
            raise RuntimeUnavailableError(reason)
        process = stack.enter_context(Process(candidate, files))
    except RuntimeUnavailableError as error:
        if not session.plan.skip_unavailable:
            label, bundle = candidate.label, candidate.bundle
            name = label if label == bundle else f"{label} ({bundle})"
            raise RuntimeUnavailableError(
                f"{name} does not run here: {str(error).rstrip('.')}. Leave it out, or name it in the report only: "
                f"--skip-unavailable"
            ) from error
        session.skipped.append(Skipped(candidate.label, str(error)))
        return
    process.ask("first_frame")
    first_ms = 1e3 * (time.monotonic() - process.started)
    session.measured.append(Measured(candidate, process, process.ask("describe"), first_ms))


def _steps(session: Measurement, files: Sequence[ItemFile]) -> Iterator[str]:
    """Measure one thing after the other; each is told before it begins."""
    plan, measured = session.plan, session.measured
    yield f"warming up: {WARM_UP} frames each"
    interleave(measured, lambda one, turn: one.process.ask("frame", turn=turn), lambda played: played >= WARM_UP)
    yield "frames, by turns" + ("" if plan.rounds is None else f": {plan.rounds} rounds")
    session.rounds = interleave(measured, _frame, until(plan.rounds, [one.frame_ms for one in measured]))
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
        _once(session, "layers", "layers", LayerTime)
    if plan.data:
        for one in measured:
            yield f"accuracy of {one.candidate.label}"
            answer = ask_or_note(session, one, "accuracy", data=schema.plain(plan.data))
            if answer is not None:
                one.extra["accuracy"] = schema.parse(Accuracy, answer)
    if plan.duration_s:
        yield f"sustained, {plan.duration_s:.0f} s"
        _sustain(session)


def _frame(one: Measured, turn: int) -> None:
    played = one.process.ask("frame", turn=turn, lead_in_s=LEAD_IN_S)
    one.frames.append(played)
    one.frame_ms.append(played["ms"])


def _scenario(session: Measurement, name: str) -> None:
    """Fewer rounds where a turn is long: as many as fit into the time that the frames took."""
    slowest = max(max(one.frame_ms) for one in session.measured) / 1e3
    wanted = max(2, min(session.plan.scenario_rounds, int(BUDGET_S / slowest / 2)))

    def turn(one: Measured, number: int) -> None:
        ms = one.process.ask("scenario", name=name, turn=number, lead_in_s=LEAD_IN_S)["ms"]
        if number:  # the first is warm-up: other shapes than before
            one.scenarios.setdefault(name, []).append(ms)

    interleave(session.measured, turn, lambda played: played > wanted)


def _cold_start(one: Measured, files: Sequence[ItemFile]) -> None:
    with Process(one.candidate, files) as process:
        first = process.ask("first_frame")
        whole = 1e3 * (time.monotonic() - process.started)
    one.cold.append({"whole": whole, "load": first["load_ms"], "first_frame": first["frame_ms"]})


def _once(session: Measurement, what: str, field_name: str, kind: type[Any]) -> None:
    for one in session.measured:
        if one.candidate.checkpoint and what == "layers":
            continue  # PyTorch is no runtime of ours
        answer = ask_or_note(session, one, what)
        if answer is not None:
            one.extra[field_name] = tuple(schema.parse(kind, value) for value in answer)


def _rooflines(session: Measurement) -> None:
    for one in session.measured:
        if one.candidate.checkpoint:
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


def _sustain(session: Measurement) -> None:
    start, before = time.monotonic(), machine.throttle_count()

    def turn(one: Measured, number: int) -> None:
        ms = one.process.ask("frame", turn=number)["ms"]
        now = time.monotonic() - start
        one.sustained.append((now, ms))
        session.clocks.append((now, machine.clock_mhz(), machine.temperature_c()))

    try:
        least = 2  # a first and a last window
        enough = start + session.plan.duration_s
        interleave(
            session.measured,
            turn,
            lambda played: played >= least and time.monotonic() >= enough,
            settle=False,  # a device that rests cools down
        )
    finally:
        after = machine.throttle_count()
        session.throttles = None if before is None or after is None else after - before


def ask_or_note(session: Measurement, one: Measured, do: str, **arguments: Any) -> Any:
    """A worker's answer; None, and a note, if it cannot be had: what else was measured is worth keeping."""
    try:
        return one.process.ask(do, **arguments)
    except Sam3iEdgeError as error:
        session.notes.append(f"{one.candidate.label}: no {do}: {error}")
        return None
