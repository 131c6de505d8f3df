"""Post-training quantization with torchao's PT2E: export, prepare, calibrate, correct, convert."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from sam3i_edge.graph_modules.tracing import example, free_shapes, quiet
from sam3i_edge.graphs import GraphSpec
from sam3i_edge.quantize.inputs import Inputs
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.quantizer import (
    LINEAR,
    SCHEMES,
    WEIGHTED,
    BlockQuantizer,
    Scheme,
    makes_scores,
    quantizable_nodes,
    recipe_block,
    weight_name,
    weighted_nodes,
)
from sam3i_edge.quantize.recipe import CHOICES, QuantRecipe
from sam3i_edge.quantize.simulate import FakeQuantizers, Simulated, fake_quantizers

Data = Callable[[], Iterable[Inputs]]
"""A graph's inputs on the calibration data, from the beginning at every call."""


@dataclass(frozen=True)
class QuantizedLayer:
    """What quantization does to one linear layer, convolution or product, with the float model's own input."""

    block: str
    sqnr_db: float
    call: LayerCall | None
    """None: the second product of an attention, which the first one's call speaks for."""


@dataclass(frozen=True)
class Calibrated:
    """A graph twice: in floating point, and with the observers that have seen the calibration data."""

    traced: GraphModule
    prepared: GraphModule
    table: dict[str, str]


@dataclass(frozen=True)
class Quantized:
    """A graph with its integers in, the table it was made by, and the error of each layer on its own."""

    module: GraphModule
    table: dict[str, str]
    layers: tuple[QuantizedLayer, ...]


def trace(module: nn.Module, spec: GraphSpec) -> GraphModule:
    """``module`` as PT2E wants it: a graph of core operators, the number of prompts left free."""
    inputs = tuple(example(value) for value in spec.inputs)
    with quiet():
        graph = torch.export.export(module.eval(), inputs, dynamic_shapes=free_shapes(spec)).module()
    _inline_autocast(graph)
    return _with_folded_norms(graph)


def _with_folded_norms(graph: GraphModule) -> GraphModule:
    """Batch norms go into the convolutions before them: the weights that become integers, and whose error counts.

    PT2E does so when it prepares a graph; here it has nothing else to prepare.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    if not graph.graph.find_nodes(op="call_function", target=torch.ops.aten.batch_norm.default):
        return graph
    nothing = BlockQuantizer(dict.fromkeys(blocks(graph), "fp32"), SCHEMES["symmetric"], "mse")
    with quiet():
        folded: GraphModule = prepare_pt2e(graph, nothing)
    return folded


def _inline_autocast(graph: GraphModule) -> None:
    """Parts that switch autocast off, as backbones of timm do, are graphs of their own, which nothing here would see.

    They compute in what they are given, so autocast is off anyway.
    """
    parts = graph.graph.find_nodes(op="call_function", target=torch.ops.higher_order.wrap_with_autocast)
    if not parts:
        return
    for node in parts:
        _device, _dtype, enabled, _cache, part, *arguments = node.args
        assert not enabled
        inner: Any = graph.get_submodule(part.target).graph
        with graph.graph.inserting_before(node):
            results: Any = graph.graph.graph_copy(
                inner, dict(zip(inner.find_nodes(op="placeholder"), arguments, strict=True))
            )
        for user in list(node.users):  # each takes one of the results
            user.replace_all_uses_with(results[user.args[1]])
            graph.graph.erase_node(user)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()


def blocks(graph: GraphModule) -> list[str]:
    """The blocks of a traced graph, in order."""
    return list(dict.fromkeys(recipe_block(node) for node in quantizable_nodes(graph)))


def weights_by_choice(
    modules: Mapping[str, nn.Module], specs: Mapping[str, GraphSpec], recipe: QuantRecipe
) -> dict[str, dict[str, nn.Parameter]]:
    """The weights of the layers that a recipe speaks of: for each of its ``CHOICES``, by name.

    Raises:
        ConfigError: the recipe names a block that there is not.
    """
    found: dict[str, dict[str, nn.Parameter]] = {choice: {} for choice in CHOICES}
    for graph, module in modules.items():
        traced = trace(module, specs[graph])
        table = recipe.filled(graph, blocks(traced))
        for node in quantizable_nodes(traced):
            if node.target in WEIGHTED:
                name = weight_name(node)
                found[table[recipe_block(node)]][name] = module.get_parameter(name)
    return found


@torch.no_grad()
def calibrate(
    module: nn.Module,
    spec: GraphSpec,
    table: Callable[[list[str]], dict[str, str]],
    observer: str,
    scheme: Scheme,
    data: Data,
) -> Calibrated:
    """Show a graph the calibration data.

    Args:
        module: the float graph (see ``graph_modules``); it is not changed.
        spec: its inputs and outputs.
        table: from the names of its blocks to what each computes in.
        observer: of ``recipe.OBSERVERS``.
        scheme: the runtime's.
        data: its inputs.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    traced = trace(module, spec)
    chosen = table(blocks(traced))
    with quiet():
        prepared = prepare_pt2e(trace(module, spec), BlockQuantizer(chosen, scheme, observer))
        for inputs in data():
            prepared(*inputs)
    return Calibrated(traced, prepared, chosen)


def quantize_graph(
    module: nn.Module,
    spec: GraphSpec,
    name: str,
    recipe: QuantRecipe,
    scheme: Scheme,
    data: Data,
    floating: str = "fp32",
) -> Quantized:
    """Quantize the graph ``name`` (``vision``, ``text`` or ``grounding``) by a recipe; see ``calibrate``.

    ``floating`` is what ``Recipe.filled`` takes.

    Raises:
        ConfigError: the recipe names a block that the graph does not have.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    found = calibrate(module, spec, lambda names: recipe.filled(name, names, floating), recipe.observer, scheme, data)
    with quiet(), torch.no_grad():
        errors = LayerErrors(found.traced, fake_quantizers(found.prepared))
        for inputs in data():
            errors.run(*inputs)
        converted = convert_pt2e(found.prepared)
        if recipe.bias_correction:
            _correct(converted, errors.means())
    return Quantized(converted, found.table, errors.layers())


class LayerErrors(Simulated):
    """Runs the float graph, and beside each layer its twin in int8, on the same input."""

    def __init__(self, graph: GraphModule, quantizers: FakeQuantizers) -> None:
        super().__init__(graph, quantizers)
        self._calls: dict[str, LayerCall] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._power: dict[str, tuple[float, float]] = {}

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        if n.name in self.blocks:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            if n.name not in self._calls and (n.target in WEIGHTED or makes_scores(n)):
                self._calls[n.name] = LayerCall.of(n, args)
            self._count(n, self.in_int8(n, args, kwargs) - result, result)
        return result

    def _count(self, node: Node, error: Tensor, result: Tensor) -> None:
        name = node.name
        if node.target in WEIGHTED:
            by_channel = (error.flatten(0, -2).T if node.target is LINEAR else error.transpose(0, 1)).flatten(1)
            self._sums[name] = self._sums.get(name, torch.zeros(len(by_channel))) + by_channel.sum(1)
            self._counts[name] = self._counts.get(name, 0) + by_channel.shape[1]
        signal, noise = self._power.get(name, (0.0, 0.0))
        self._power[name] = signal + float(result.square().sum()), noise + float(error.square().sum())

    def means(self) -> dict[str, Tensor]:
        """The mean error of each layer's output channels, by the node's name."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}

    def layers(self) -> tuple[QuantizedLayer, ...]:
        """What became of each layer."""
        calls = self._calls
        return tuple(
            QuantizedLayer(self.blocks[name], decibels(*power), calls.get(name)) for name, power in self._power.items()
        )


def decibels(signal: float, noise: float) -> float:
    """The ratio of two powers in dB."""
    return 10 * math.log10(max(signal, 1e-30) / max(noise, 1e-30))


def _correct(converted: GraphModule, errors: dict[str, Tensor]) -> None:
    """Take each layer's mean error off its bias. A bias may be a slice of a parameter: it gets one of its own."""
    for node in list(weighted_nodes(converted)):
        source = node.args[2] if len(node.args) > 2 else None
        bias = _constant(converted, source) if isinstance(source, Node) else None
        if bias is None or node.name not in errors:
            continue
        attribute = f"corrected_bias_{node.name}"
        converted.register_buffer(attribute, bias - errors[node.name])
        with converted.graph.inserting_before(node):
            node.update_arg(2, converted.graph.get_attr(attribute))
    converted.graph.eliminate_dead_code()
    converted.recompile()


def _constant(graph: GraphModule, node: Node) -> Tensor | None:
    """The value of a node that depends on parameters alone, or None."""
    if node.op == "get_attr":
        value: Any = graph
        for part in str(node.target).split("."):
            value = getattr(value, part)
        return value.detach() if isinstance(value, Tensor) else None
    if node.op != "call_function" or not callable(node.target):
        return None
    sources = [_constant(graph, arg) if isinstance(arg, Node) else arg for arg in node.args]
    if any(isinstance(arg, Node) and source is None for arg, source in zip(node.args, sources, strict=True)):
        return None
    result = node.target(*sources, **node.kwargs)
    return result if isinstance(result, Tensor) else None
