"""The search on a real model: what is tried on which pictures, and how a trial is scored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from sam3i_edge.benchmarks.machine import processor
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.samples import Sample, read_sample
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.evaluate.cgf1 import CgF1
from sam3i_edge.evaluate.masks import overlap
from sam3i_edge.evaluate.run import own_route
from sam3i_edge.evaluate.torch_engine import engine_of_modules
from sam3i_edge.graphs import GRAPHS, GraphSpec
from sam3i_edge.prompt import ROUTES
from sam3i_edge.quantize.calibration import some_queries
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.quantize.latency import saved_ms
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.recipe import FLOATING, QuantRecipe
from sam3i_edge.quantize.search import Drop, SearchProgress, SearchResult, load_progress, ordered, save_progress, search
from sam3i_edge.quantize.sensitivity import Key, Sensitivity, Simulation, sensitivities, simulate
from sam3i_edge.quantize.simulate import SimulatedGraph
from sam3i_edge.runtimes import find_runtime
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.tokenizer import Tokenizer

SENSITIVITY_PICTURES = 4
"""On these, with all of their prompts, every block is tried alone."""
TEXTS_PER_ROUTE = 4
"""Of each picture, when a trial is scored."""
SEED = 0
MILLISECONDS, WORK = "ms", "MACs"
_ABOUT_GAINS = {
    MILLISECONDS: "milliseconds, layer by layer, timed here in the target's runtime",
    WORK: "work, since layers could not be timed",
}


@dataclass(frozen=True)
class Budget:
    """How much accuracy may go, and where that is measured."""

    max_drop: float
    """points of gIoU on every route, and of cgF1 on concepts"""
    samples: tuple[Sample, ...]
    """that calibration does not see"""
    kept: Path | None = None
    """a file for what was measured, so that an interrupted search goes on"""
    force: bool = False
    """Take the best trial where none keeps the budget."""


@dataclass(frozen=True)
class Scored:
    """Of one model: the IoU of every text that means something, by route, and the concepts' cgF1 of every picture."""

    ious: dict[str, np.ndarray]
    cgf1: tuple[CgF1, ...]


def find_recipe(
    modules: Mapping[str, nn.Module],
    config: ModelConfig,
    specs: Mapping[str, GraphSpec],
    recipe: QuantRecipe,
    aim: QuantTarget,
    inputs: GraphInputs,
    budget: Budget,
    progress: Callable[[str], None],
) -> tuple[QuantRecipe, str, dict[Key, str]]:
    """The recipe with the most int8 that keeps ``budget``, how it was found, and what was measured of each block.

    ``modules`` are the smoothed graphs. What a line of ``recipe`` has in floating point stays so.

    Raises:
        ConfigError: ``recipe`` names a block that there is not.
        ExportError: there is none.
    """
    progress("calibrating every block")
    simulation = simulate(modules, specs, recipe, aim.scheme, inputs.of)
    tables = _without_int8(recipe, simulation, aim)
    pinned = {(graph, block) for graph in GRAPHS for block in recipe.pinned(graph, simulation.blocks(graph))}
    kept = load_progress(budget.kept)
    gains, unit = _gains(simulation, aim, kept, budget, progress)
    noise = _noise(simulation, inputs, kept, budget, progress)
    order = [key for key in ordered(noise, gains) if key not in pinned]
    found = _search(order, simulation, config, inputs.tokenizer, kept, budget, progress)
    for graph, block in found.int8:
        tables[graph][block] = "int8"
    note = f"searched: at most {budget.max_drop} points on {len(budget.samples)} other images; {found.drop}\n"
    note += f"behind each block, its noise alone in int8, and what int8 saves there: {_ABOUT_GAINS[unit]}"
    remarks = {(s.graph, s.block): f"noise {s.noise:.1e}, saves {gains[s.graph, s.block]:.3g} {unit}" for s in noise}
    return recipe.with_blocks(tables), note, remarks


def _without_int8(recipe: QuantRecipe, simulation: Simulation, aim: QuantTarget) -> dict[str, dict[str, str]]:
    """By graph and block, what it computes in if the search does not make it int8."""
    tables: dict[str, dict[str, str]] = {}
    for graph in GRAPHS:
        filled = recipe.filled(graph, simulation.blocks(graph), aim.floating)
        tables[graph] = {block: choice if choice in FLOATING else aim.floating for block, choice in filled.items()}
    return tables


def _gains(
    simulation: Simulation, aim: QuantTarget, kept: SearchProgress, budget: Budget, progress: Callable[[str], None]
) -> tuple[dict[Key, float], str]:
    """What int8 saves in each block, per image or prompt, and the unit: time, or work where the target is not here."""
    calls = [call for of_block in simulation.calls.values() for call in of_block]
    try:
        here = f"{aim.target.runtime} {find_runtime(aim.target.runtime).version()} on {processor()}"
        if kept.timed_with != here:
            progress(f"timing {len(set(calls))} layers in floating point and in int8")
            saved = saved_ms(calls, aim, progress)
            kept.gains = {_name(key): gain for key, gain in _by_block(simulation, saved).items()}
            kept.timed_with, kept.drops = here, {}  # another order has other trials
            save_progress(budget.kept, kept)
        return {key: kept.gains[_name(key)] for key in simulation.calls}, MILLISECONDS
    except (RuntimeUnavailableError, BundleError) as error:
        progress(f"layers cannot be timed for {aim.target.name} here, so that work stands for time ({error})")
        if kept.timed_with:
            kept.timed_with, kept.drops = "", {}
        return _by_block(simulation, {call: float(call.macs) for call in calls}), WORK


def _by_block(simulation: Simulation, worth: Mapping[LayerCall, float]) -> dict[Key, float]:
    return {
        (graph, block): sum(worth[call] for call in calls) / simulation.together[graph]
        for (graph, block), calls in simulation.calls.items()
    }


def _noise(
    simulation: Simulation, inputs: GraphInputs, kept: SearchProgress, budget: Budget, progress: Callable[[str], None]
) -> list[Sensitivity]:
    progress(f"trying {len(simulation.calls)} blocks alone")

    def keep(key: Key, noise: float) -> None:
        kept.noise[_name(key)] = noise
        save_progress(budget.kept, kept)

    return sensitivities(
        simulation,
        inputs.cases(SENSITIVITY_PICTURES),
        known={key: kept.noise[_name(key)] for key in simulation.calls if _name(key) in kept.noise},
        progress=_every(20, progress),
        keep=keep,
    )


def _search(
    order: Sequence[Key],
    simulation: Simulation,
    config: ModelConfig,
    tokenizer: Tokenizer,
    kept: SearchProgress,
    budget: Budget,
    progress: Callable[[str], None],
) -> SearchResult:
    samples = [_thinned(sample) for sample in budget.samples]
    progress(f"scoring the float model on {len(samples)} images")
    reference = score(_segmenter(simulation, config, tokenizer, ()), samples)

    def keep(count: int, drop: Drop) -> None:
        kept.drops[str(count)] = drop
        save_progress(budget.kept, kept)

    return search(
        order,
        budget.max_drop,
        trial=lambda int8: drop_of(reference, score(_segmenter(simulation, config, tokenizer, int8), samples)),
        force=budget.force,
        keep=keep,
        known={int(count): drop for count, drop in kept.drops.items()},
        progress=progress,
    )


def score(segmenter: Segmenter, samples: Sequence[Sample]) -> Scored:
    """Ask all texts of the samples, each on the route of its level."""
    ious: dict[str, list[float]] = {route: [] for route in ROUTES}
    cgf1 = []
    for sample in samples:
        concepts = CgF1()
        image = read_sample(sample)
        answers = own_route(image, segmenter.encode(image), sample.queries, None)
        for query, found in zip(sample.queries, answers, strict=True):
            masks = found.rle()
            targets = [sample.instances[index].rle for index in query.targets]
            if query.route == "concept":
                concepts.add(masks, targets)
            if targets:
                intersection, union = overlap(masks, targets)
                ious[query.route].append(intersection / union)
        cgf1.append(concepts)
    return Scored({route: np.array(values) for route, values in ious.items() if values}, tuple(cgf1))


def drop_of(before: Scored, after: Scored) -> Drop:
    """The worst over the routes of what was lost, text by text, and the concepts' cgF1."""
    drops = []
    for route, ious in before.ious.items():
        lost = 100 * (ious - after.ious[route])
        drops.append(Drop(float(lost.mean()), float(lost.std() / math.sqrt(len(lost))), f"{route} gIoU"))
    if CgF1.sum(before.cgf1).defined:
        drops.append(_cgf1_drop(before.cgf1, after.cgf1))
    return max(drops, key=lambda drop: drop.pessimistic)


def _cgf1_drop(before: Sequence[CgF1], after: Sequence[CgF1]) -> Drop:
    """The jackknife's standard error: from the drops without one picture each."""

    def drop(chosen: Sequence[int]) -> float:
        was, now = (CgF1.sum(side[i] for i in chosen).result()["cgF1"] for side in (before, after))
        return 100 * (was - now)

    every = range(len(before))
    without = np.array([drop([i for i in every if i != left_out]) for left_out in every])
    error = math.sqrt((len(without) - 1) * float(np.square(without - without.mean()).mean()))
    return Drop(drop(every), error, "concept cgF1")


def _segmenter(simulation: Simulation, config: ModelConfig, tokenizer: Tokenizer, int8: Iterable[Key]) -> Segmenter:
    """A new one for every trial: it keeps the texts that it has encoded."""
    simulation.use(int8)
    modules = {name: SimulatedGraph(graph) for name, graph in simulation.graphs.items()}
    return Segmenter(engine_of_modules(modules, config, tokenizer=tokenizer))


def _thinned(sample: Sample) -> Sample:
    """The sample with a few of its texts of each route, always the same."""
    rng = np.random.default_rng([SEED, sample.image_id])
    return dataclasses.replace(sample, queries=tuple(some_queries(sample, TEXTS_PER_ROUTE, rng)))


def _name(key: Key) -> str:
    return "/".join(key)


def _every(count: int, progress: Callable[[str], None]) -> Callable[[int, int], None]:
    return lambda done, total: progress(f"tried {done} of {total} blocks") if done % count == 0 else None
