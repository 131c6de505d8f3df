"""From raw measurements to the report."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.benchmarks import machine, power
from sam3i_edge.benchmarks.accuracy import with_drops
from sam3i_edge.benchmarks.interleave import LEAD_IN_S
from sam3i_edge.benchmarks.measurement import WARM_UP, Measured, Measurement
from sam3i_edge.benchmarks.report import (
    SCHEMA,
    SCHEMA_VERSION,
    ColdStart,
    Energy,
    Ratio,
    Report,
    Run,
    Settings,
)
from sam3i_edge.benchmarks.roofline import roofline
from sam3i_edge.benchmarks.scenarios import FRAME, SCENARIOS
from sam3i_edge.benchmarks.statistics import RESAMPLES, paired_ratio, rounded, summarize
from sam3i_edge.benchmarks.sustained import slowdown_notes, windows
from sam3i_edge.bundle import sha256_of
from sam3i_edge.engine import STAGES
from sam3i_edge.manifest import MANIFEST_FILE

METHOD = (
    "Each bundle runs in a process of its own; in every round each takes one turn, in changing order, so that drift of "
    "the machine hits all alike. A ratio is the median over rounds of the quotient of two turns of one round, with its "
    f"95 % interval from {RESAMPLES} bootstrap resamples of rounds. Warm-up turns are not counted. A turn "
    f"is frames for {LEAD_IN_S:g} s, or a single longer one; the last one counts. Energy is the whole device's, idle "
    "power included. Peak memory is the process's, up to the last frame."
)


def report(session: Measurement) -> Report:
    """Everything that was measured so far."""
    place = replace(session.machine, load_after=machine.load())
    runs = with_drops([_run(session, one) for one in session.measured])
    notes = [machine.busy_note(place), *session.notes, *slowdown_notes(runs)]
    return Report(
        schema=SCHEMA,
        schema_version=SCHEMA_VERSION,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        partial=session.partial,
        settings=(_settings(session),),
        machines=(place,),
        runs=runs,
        ratios=tuple(_ratios(session.measured, place.name)),
        skipped=tuple(session.skipped),
        notes=tuple(note for note in notes if note),
    )


def _settings(session: Measurement) -> Settings:
    return Settings(
        frame=FRAME,
        scenarios=dict(SCENARIOS),
        method=METHOD,
        rounds=min(len(one.frame_ms) for one in session.measured),
        warm_up=WARM_UP,
        seed=0,
        images=tuple(f"{item.name}, {item.image.shape[1]} x {item.image.shape[0]}" for item in session.items),
        command=session.plan.command,
    )


def _run(session: Measurement, one: Measured) -> Run:
    frames = summarize(one.frame_ms)
    stages = {stage: summarize([frame["stages_ms"][stage] for frame in one.frames]) for stage in STAGES}
    return Run(
        **one.described["run"],
        machine=session.machine.name,
        bundle_sha256="" if one.candidate.checkpoint else sha256_of(Path(one.candidate.bundle) / MANIFEST_FILE),
        frame_ms=frames,
        stages_ms=stages,
        frames_per_second=rounded(1e3 / frames.mean),
        stages_sum_pct=rounded(100 * sum(stage.mean for stage in stages.values()) / frames.mean),
        harness_pct=rounded(float(np.mean([frame["harness_pct"] for frame in one.frames]))),
        scenarios_ms={name: summarize(samples) for name, samples in one.scenarios.items() if samples},
        cold_start=_cold_start(one),
        peak_rss_mb=_rounded(one.memory.get("peak_rss_mb")),
        gpu_memory_mb=_rounded(one.memory.get("gpu_memory_mb")),
        energy=_energy(one),
        roofline=roofline(**one.roofline, stages=stages) if one.roofline else None,
        sustained=windows(one.sustained, session.clocks, session.throttles),
        **one.extra,
    )


def _cold_start(one: Measured) -> ColdStart | None:
    if not one.cold:
        return None
    rows = [row | {"process": row["whole"] - row["load"] - row["first_frame"]} for row in one.cold]
    parts = {part: summarize([row[part] for row in rows]) for part in ("process", "load", "first_frame")}
    return ColdStart(summarize([row["whole"] for row in rows]), parts, rounded(one.first_ms))


def _energy(one: Measured) -> Energy:
    joules = [frame["joules"] for frame in one.frames if frame["joules"] is not None]
    if not joules:
        return Energy(power.NOT_MEASURED, None, None)
    seconds = sum(one.frame_ms) / 1e3
    return Energy(one.described["meter"], rounded(float(np.mean(joules))), rounded(sum(joules) / seconds))


def _ratios(measured: Sequence[Measured], place: str) -> list[Ratio]:
    """Of every candidate to the reference: the first baseline, or the first bundle."""
    reference = next((one for one in measured if one.candidate.baseline), measured[0])
    ratios = []
    for one, what in itertools.product(measured, ("frame", *SCENARIOS)):
        of, to = (_samples(side, what) for side in (one, reference))
        count = min(len(of), len(to))  # an interrupted round is incomplete
        if one is reference or count < 2:
            continue
        found = paired_ratio(of[:count], to[:count])
        names = one.candidate.label, reference.candidate.label
        ratios.append(Ratio(*names, place, what, found.p50, (found.low, found.high), count))
    return ratios


def _samples(one: Measured, what: str) -> Sequence[float]:
    return one.frame_ms if what == "frame" else one.scenarios.get(what, [])


def _rounded(value: Any) -> float | None:
    return None if value is None else rounded(value)
