"""A float model and calibration data in, the three graphs with integers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from sam3i_edge.config import default_limits
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GRAPHS, GraphSpec, Limits, graph_specs
from sam3i_edge.model import Sam3i
from sam3i_edge.quantize.auto import Budget, find_recipe
from sam3i_edge.quantize.calibration import CalibrationData
from sam3i_edge.quantize.embedding import quantize_embedding
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.quantize.int4 import int4_weights, round_weights
from sam3i_edge.quantize.ptq import quantize_graph, weights_by_choice
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.quantize.sensitivity import Key
from sam3i_edge.quantize.smoothing import smooth
from sam3i_edge.tokenizer import Tokenizer

Progress = Callable[[str], None]


@dataclass(frozen=True)
class QuantizedModel:
    """The three graphs, and the recipe with every block's line filled in."""

    modules: dict[str, nn.Module]
    recipe: QuantRecipe
    note: str
    """How the recipe came about."""
    remarks: dict[Key, str]
    """By graph and block, what a search found there."""


def check_blocks(model: Sam3i, recipe: QuantRecipe) -> None:
    """Raises ConfigError if ``recipe`` names a block that the model does not have."""
    if any(recipe.of(graph) for graph in GRAPHS):
        limits = default_limits(model.config)
        weights_by_choice(graph_modules(model, limits), graph_specs(model.config.sizes, limits), recipe)


@torch.no_grad()
def quantize_model(
    model: Sam3i,
    specs: Mapping[str, GraphSpec],
    limits: Limits,
    tokenizer: Tokenizer,
    recipe: QuantRecipe,
    aim: QuantTarget,
    data: CalibrationData,
    budget: Budget | None = None,
    progress: Progress = lambda message: None,
) -> QuantizedModel:
    """Quantize a model for a target.

    ``model`` is smoothed in place, which changes nothing in floating point; its token table becomes integers, and the
    weights of int4 blocks are rounded. The data is read once per step and graph, never held. With a ``budget`` the
    blocks' lines are searched for.

    Raises:
        ConfigError: the recipe names a block that there is not.
        ExportError: no recipe keeps the budget.
    """
    modules = graph_modules(model, limits)
    inputs = GraphInputs(modules, data, tokenizer, limits, model.config.image_size)
    if recipe.smooth:
        progress("smoothing: outliers behind LayerNorms move into the weights")
        smooth(model, recipe.smooth, inputs.run, leave=int4_weights(modules, specs, recipe))
    quantize_embedding(model, recipe.embedding)
    round_weights(modules, specs, recipe)
    note = f"calibrated on {data.name}, {len(data)} images"
    remarks: dict[Key, str] = {}
    if budget:
        recipe, how, remarks = find_recipe(modules, model.config, specs, recipe, aim, inputs, budget, progress)
        note += f"\n{how}"
    quantized = {}
    for name in GRAPHS:
        progress(f"quantizing the {name} graph on {len(data)} images")
        quantized[name] = quantize_graph(
            modules[name], specs[name], name, recipe, aim.scheme, partial(inputs.of, name), aim.floating
        )
    return QuantizedModel(
        {name: result.module for name, result in quantized.items()},
        recipe.with_blocks({name: result.table for name, result in quantized.items()}),
        note,
        remarks,
    )
