"""Which student fits a device: frames estimated from the times of single blocks, before anyone trains.

A block's time is the difference between two models, exported and run here, of which one has more of such blocks. Times
depend on sizes and not on weights, so the weights are random.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3i_edge.benchmarks.candidates import find_candidates
from sam3i_edge.benchmarks.measurement import BenchmarkPlan
from sam3i_edge.benchmarks.runner import benchmark
from sam3i_edge.config import ModelConfig, TextConfig
from sam3i_edge.distill.students import PRESETS, layer_counts, plan
from sam3i_edge.doctor import check_ready
from sam3i_edge.engine import STAGES
from sam3i_edge.errors import ConfigError
from sam3i_edge.exporter import export
from sam3i_edge.model.random_weights import write_checkpoint

FULL = ModelConfig()
TEACHER = "teacher"
WIDEST_CHANGE = "default"

Times = dict[str, float]
"""Milliseconds by stage."""


@dataclass(frozen=True)
class Probe:
    """The layers of a model that is exported and timed."""

    global_layers: int = 1
    windowed_layers: int = 0
    text_layers: int = 1
    encoder_layers: int = 1
    decoder_layers: int = 1


PROBES = {
    "smallest": Probe(),
    "second": Probe(global_layers=2, text_layers=5, encoder_layers=2),
    "third": Probe(windowed_layers=4, decoder_layers=2),
}
"""Of what large models have dozens, four are added: a single block's time would carry the error of the difference into
every other block."""
BLOCKS = {
    "global": ("second", "vision"),
    "text": ("second", "text"),
    "encoder": ("second", "grounding"),
    "windowed": ("third", "vision"),
    "decoder": ("third", "grounding"),
}
"""The probe that has more of a block than the smallest, and the only stage of it that this makes longer."""


@dataclass(frozen=True)
class WidthTimes:
    """What models of one width take, in milliseconds."""

    smallest: Times
    """Stages of the model with one layer of each kind."""
    blocks: dict[str, float]
    """One more of each, by the names of ``BLOCKS``."""

    def stage(self, stage: str, config: ModelConfig) -> float:
        """One stage of a model of this width with other depths."""
        attending, trunk = len(config.vision.global_attention_layers), not config.vision.backbone
        more = {
            "global": trunk * (attending - 1),
            "windowed": trunk * (layer_counts(config)["vision"] - attending),
            "text": config.text.num_layers - 1,
            "encoder": config.encoder_layers - 1,
            "decoder": config.decoder_layers - 1,
        }
        return self.smallest[stage] + sum(more[b] * ms for b, ms in self.blocks.items() if BLOCKS[b][1] == stage)


@dataclass(frozen=True)
class Estimate:
    """A frame with one new prompt, of one model."""

    name: str
    stages_ms: Times
    about: str

    @property
    def frame_ms(self) -> float:
        """All of it."""
        return sum(self.stages_ms.values())


def estimate(
    teacher: ModelConfig,
    target: str,
    folder: Path,
    rounds: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Estimate]:
    """The teacher and the student of every preset that fits it, on a target of this machine, FP32.

    Args:
        teacher: its sizes; no weights are needed.
        target: one that is ready here.
        folder: for the exported models, three at a time; a few hundred MB each at full size.
        rounds: of frames, the models taken by turns.
        progress: told each step.

    Raises:
        RuntimeUnavailableError: the target is not ready here.
    """
    check_ready(target)
    students = dict(_fitting(teacher, progress))
    configs = {TEACHER: teacher} | {name: config for name, config in students.items() if config != teacher}
    abouts = {TEACHER: "as it is"} | {name: preset.about for name, preset in PRESETS.items()}
    known: dict[tuple[str, ModelConfig], WidthTimes] = {}
    planned = _planned(configs)
    models = sum(map(len, planned.values()))
    progress(f"{models} small models are exported and timed, in {len(planned)} groups, for {len(configs)} estimates")
    for number, (name, probes) in enumerate(planned.items(), 1):
        progress(f"group {number} of {len(planned)}, of the widths of {name}: {len(probes)} models")
        measured = _measure(configs[name], probes, target, folder / name, rounds, progress)
        keys = [(stage, _width(stage, configs[name])) for stage in STAGES]
        known |= dict.fromkeys([key for key in keys if key not in known], measured)
    return [
        Estimate(
            name,
            {stage: known[stage, _width(stage, config)].stage(stage, config) for stage in STAGES},
            abouts[name],
        )
        for name, config in configs.items()
    ]


def _planned(configs: Mapping[str, ModelConfig]) -> dict[str, dict[str, Probe]]:
    """The probes to be timed of each model that has a width which those before it have not."""
    known: set[tuple[str, ModelConfig]] = set()
    planned = {}
    # Two that have most widths between them come first.
    for name in sorted(configs, key=lambda name: name not in (TEACHER, WIDEST_CHANGE)):
        unknown = {key for stage in STAGES if (key := (stage, _width(stage, configs[name]))) not in known}
        if unknown:
            has_blocks = any(stage != "vision" for stage, _ in unknown) or not configs[name].vision.backbone
            planned[name] = dict(PROBES) if has_blocks else {"smallest": PROBES["smallest"]}
            known |= unknown
    return planned


def _fitting(teacher: ModelConfig, progress: Callable[[str], None]) -> Iterator[tuple[str, ModelConfig]]:
    """The presets that this teacher can have."""
    for name, preset in PRESETS.items():
        try:
            yield name, plan(preset, teacher).config
        except ConfigError as error:
            progress(f"left out: {name}. {error}")


def _width(stage: str, config: ModelConfig) -> ModelConfig:
    """A config that is the same for all whose ``stage`` differs in depth alone."""
    smallest = _resized(config, PROBES["smallest"])
    # Any text will do, but it must fit the adapters, which the grounding graph has, too.
    text = TextConfig(hidden_size=math.lcm(TextConfig().num_heads, config.adapter.num_heads))
    if stage == "vision":
        return dataclasses.replace(smallest, text=text, num_queries=FULL.num_queries)
    trunk = dataclasses.replace(smallest.vision, backbone="")
    if stage == "text":
        return dataclasses.replace(
            FULL,
            text=smallest.text,
            adapter=config.adapter,
            hidden_size=config.hidden_size,
            num_heads=config.num_heads,
        )
    return dataclasses.replace(smallest, vision=trunk, text=text)


def lines(estimates: Sequence[Estimate], latency_ms: float | None) -> Iterator[str]:
    """For people: fastest last; which ones fit, if a latency is wanted."""
    whole = estimates[0].frame_ms
    width = max(len(one.name) for one in estimates) + 1
    yield f"{'':{width}}{'frame ms':>10}{'of it':>7}" + "".join(f"{stage:>13}" for stage in STAGES)
    for one in sorted(estimates, key=lambda one: -one.frame_ms):
        fits = "" if latency_ms is None else "  fits" if one.frame_ms <= latency_ms else "  too slow"
        stages = "".join(f"{one.stages_ms[stage]:13.1f}" for stage in STAGES)
        yield f"{one.name:{width}}{one.frame_ms:10.1f}{one.frame_ms / whole:7.2f}{stages}{fits}   {one.about}"
    yield "of it: share of the teacher's frame, of one image and one new prompt; stages in ms, FP32, estimated"
    if latency_ms is not None:
        fitting = [one for one in estimates if one.frame_ms <= latency_ms]
        best = max(fitting, key=lambda one: one.frame_ms, default=None)
        if best is None:
            yield f"None takes {latency_ms:g} ms or less in FP32. INT8 may: export --precision int8, then benchmark."
        else:
            yield f"The largest that takes {latency_ms:g} ms or less: {best.name}"


def plain(estimates: Sequence[Estimate], target: str) -> dict[str, Any]:
    """The same for programs: values for JSON."""
    rows = [{"name": one.name, "frame_ms": one.frame_ms, "stages_ms": one.stages_ms} for one in estimates]
    return {"target": target, "precision": "fp32", "estimates": rows}


def _measure(
    config: ModelConfig,
    probes: Mapping[str, Probe],
    target: str,
    folder: Path,
    rounds: int,
    progress: Callable[[str], None],
) -> WidthTimes:
    """Export and time the probes of a width."""
    quick = BenchmarkPlan(rounds=rounds, scenario_rounds=0, cold_starts=0, details=False)
    for name, probe in probes.items():
        progress(f"exporting the {name} model, of a few layers")
        checkpoint = write_checkpoint(_resized(config, probe), folder / "checkpoints" / name)
        export(checkpoint, output=folder / name, target=target, precision="fp32", check=False)
    bundles = [str(folder / name) for name in probes]
    report = benchmark(find_candidates(bundles, [], None, "auto"), quick, progress)
    shutil.rmtree(folder)
    stages = {run.bundle: {stage: run.stages_ms[stage].p50 for stage in STAGES} for run in report.runs}
    smallest = stages["smallest"]
    longer = {block: (probe, stage) for block, (probe, stage) in BLOCKS.items() if probe in probes}
    more = {
        block: max(0.0, stages[probe][stage] - smallest[stage]) / added(block, probes[probe])
        for block, (probe, stage) in longer.items()
    }
    return WidthTimes(smallest, more)


def added(block: str, probe: Probe) -> int:
    """How many more of a block a probe has than the smallest."""
    return int(getattr(probe, f"{block}_layers") - getattr(PROBES["smallest"], f"{block}_layers"))


def _resized(config: ModelConfig, probe: Probe) -> ModelConfig:
    """A config of the same widths with the probe's layers; the trunk ends with a global one."""
    layers = probe.windowed_layers + probe.global_layers
    vision = dataclasses.replace(
        config.vision,
        num_layers=layers,
        global_attention_layers=tuple(range(probe.windowed_layers, layers)),
    )
    return dataclasses.replace(
        config,
        vision=vision,
        text=dataclasses.replace(config.text, num_layers=probe.text_layers),
        encoder_layers=probe.encoder_layers,
        decoder_layers=probe.decoder_layers,
    )
