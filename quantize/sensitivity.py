"""How much each block suffers in int8: alone, all others in floating point, by what it does to the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from sam3i_edge.graphs import GRAPHS, GraphSpec
from sam3i_edge.instances import sigmoid
from sam3i_edge.quantize.inputs import Inputs
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.ptq import LayerErrors, calibrate
from sam3i_edge.quantize.quantizer import Scheme
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.quantize.simulate import Simulated, fake_quantizers
from sam3i_edge.verification import align

Key = tuple[str, str]
"""A graph and a block of it."""
Case = tuple[tuple[Inputs, Inputs], Inputs]
"""What the vision and the text graph are given, and the grounding graph after them."""
FEATURES, TEXT = slice(0, 3), 3
"""Where the grounding graph's inputs hold what the other two graphs put out."""


@dataclass(frozen=True)
class Sensitivity:
    """What int8 does to the answers in one block."""

    graph: str
    block: str
    noise: float
    """Noise over signal, in the masks and in the scores, summed. Small ones of several blocks add up."""


@dataclass(frozen=True)
class Simulation:
    """The three graphs with every block's int8 at hand, and nothing quantized yet."""

    graphs: dict[str, Simulated]
    calls: dict[Key, list[LayerCall]]
    """By graph and block, the layers of one call."""
    together: dict[str, int]
    """By graph, how many images, texts or prompts such a call has."""

    def blocks(self, graph: str) -> list[str]:
        """The names of a graph's blocks."""
        return [block for of_graph, block in self.calls if of_graph == graph]

    def use(self, int8: Iterable[Key]) -> None:
        """Let these blocks, and no others, compute in int8."""
        chosen = set(int8)
        for name, graph in self.graphs.items():
            graph.int8 = {block for of_graph, block in chosen if of_graph == name}


def simulate(
    modules: Mapping[str, torch.nn.Module],
    specs: Mapping[str, GraphSpec],
    recipe: QuantRecipe,
    scheme: Scheme,
    inputs: Callable[[str], Iterable[Inputs]],
) -> Simulation:
    """Calibrate all blocks of all graphs once; ``inputs`` gives a graph's on the calibration data."""
    graphs: dict[str, Simulated] = {}
    calls: dict[Key, list[LayerCall]] = {}
    together: dict[str, int] = {}
    for name in GRAPHS:
        found = calibrate(
            modules[name],
            specs[name],
            lambda blocks: dict.fromkeys(blocks, "int8"),
            recipe.observer,
            scheme,
            partial(inputs, name),
        )
        quantizers = fake_quantizers(found.prepared)
        errors = LayerErrors(found.traced, quantizers)
        call = next(iter(inputs(name)))
        with torch.no_grad():
            errors.run(*call)
        together[name] = {"vision": 1, "text": len(call[0]), "grounding": len(call[-1])}[name]
        for layer in errors.layers():
            calls.setdefault((name, layer.block), []).extend([layer.call] if layer.call else [])
        graphs[name] = Simulated(found.traced, quantizers)
    return Simulation(graphs, calls, together)


@torch.no_grad()
def sensitivities(
    simulation: Simulation,
    cases: Iterable[Case],
    progress: Callable[[int, int], None] = lambda done, total: None,
    known: Mapping[Key, float] | None = None,
    keep: Callable[[Key, float], None] = lambda key, noise: None,
) -> list[Sensitivity]:
    """Try every block alone.

    Args:
        simulation: its blocks are switched on and off.
        cases: inputs of the vision and the text graph, and what the grounding graph is given for them.
        progress: called after every block.
        known: noise measured before, which is not measured again.
        keep: told of every noise as soon as it is measured.
    """
    simulation.use(())
    held = [(before, grounding, _answer(simulation, grounding)) for before, grounding in cases]
    found = []
    for number, key in enumerate(simulation.calls, 1):
        graph, block = key
        noise = (known or {}).get(key)
        if noise is None:
            simulation.use([key])
            answers = _answers(simulation, graph, [case[:2] for case in held])
            noise = float(np.mean([_noise(answer, case[2]) for answer, case in zip(answers, held, strict=True)]))
            keep(key, noise)
        found.append(Sensitivity(graph, block, noise))
        progress(number, len(simulation.calls))
    simulation.use(())
    return found


def _answers(simulation: Simulation, graph: str, cases: Iterable[Case]) -> Iterator[dict[str, np.ndarray]]:
    """The answers with the current blocks in int8; only what lies behind ``graph`` runs again."""
    seen, pyramid = None, ()
    for (picture, text), given in cases:
        grounding = given
        if graph == "vision":
            if picture is not seen:  # several calls may ask about one picture
                seen, pyramid = picture, simulation.graphs["vision"].run(*picture)
            grounding = (*pyramid, *given[FEATURES.stop :])
        elif graph == "text":
            grounding = (*given[:TEXT], simulation.graphs["text"].run(*text), *given[TEXT + 1 :])
        yield _answer(simulation, grounding)


def _answer(simulation: Simulation, grounding: Inputs) -> dict[str, np.ndarray]:
    names = ("logits", "presence", "boxes", "masks", "query_index")
    return dict(zip(names, (value.numpy() for value in simulation.graphs["grounding"].run(*grounding)), strict=True))


def _noise(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    aligned, _ = align(found, wanted["query_index"])
    total = 0.0
    for pair in ((aligned["masks"], wanted["masks"]), (_scores(aligned), _scores(wanted))):
        actual, reference = (values.astype(np.float64) for values in pair)
        total += float(np.square(actual - reference).sum() / max(np.square(reference).sum(), 1e-12))
    return total


def _scores(answer: dict[str, np.ndarray]) -> np.ndarray:
    scores: np.ndarray = sigmoid(answer["logits"]) * sigmoid(answer["presence"])
    return scores
