"""A float graph that computes as if some of its blocks were in int8: no tracing or converting for every trial."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node

from sam3i_edge.quantize.quantizer import PRODUCT, WEIGHTED, recipe_block

FakeQuantizer = Callable[[Tensor], Tensor]
"""Rounds to what an int8 tensor could hold, and stays in floating point."""

FakeQuantizers = Mapping[str, tuple[FakeQuantizer, FakeQuantizer]]
"""For each layer's node, by name: of its input, and of its weight; of a product's two inputs."""


class Simulated(Interpreter):
    """Runs a traced graph. ``int8`` may be changed at any time: the blocks that compute in int8."""

    def __init__(self, graph: GraphModule, quantizers: FakeQuantizers, int8: Collection[str] = ()) -> None:
        super().__init__(graph)
        self.int8 = int8
        self.blocks = {node.name: recipe_block(node) for node in graph.graph.nodes if node.name in quantizers}
        self._quantizers = quantizers
        self._weights: dict[str, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        if self.blocks.get(n.name) in self.int8:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            return self.in_int8(n, args, kwargs)
        return super().run_node(n)

    def in_int8(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """What a layer gives for these arguments when its input and its weight are rounded."""
        of_input, of_second = self._quantizers[node.name]
        second = of_second(args[1]) if node.target is PRODUCT else self._weights.get(node.name)
        if second is None:
            second = self._weights[node.name] = of_second(args[1])
        assert callable(node.target)
        result: Tensor = node.target(of_input(args[0]), second, *args[2:], **kwargs)
        return result


class SimulatedGraph(nn.Module):
    """``Simulated`` where a module is wanted."""

    def __init__(self, simulated: Simulated) -> None:
        super().__init__()
        self.simulated = simulated
        self.anchor = nn.Parameter(torch.empty(0), requires_grad=False)  # says where the model lies

    def forward(self, *inputs: Tensor) -> Any:
        return self.simulated.run(*inputs)


def fake_quantizers(prepared: GraphModule) -> dict[str, tuple[FakeQuantizer, FakeQuantizer]]:
    """What the observers of a calibrated PT2E graph came to, for every layer that has them."""
    modules = dict(prepared.named_modules())
    found = {}
    for node in (node for node in prepared.graph.nodes if node.target in (*WEIGHTED, PRODUCT)):
        pair = [modules.get(str(source.target)) for source in node.args[:2] if isinstance(source, Node)]
        if all(hasattr(observer, "calculate_qparams") for observer in pair):
            found[node.name] = (_fake_quantizer(pair[0]), _fake_quantizer(pair[1]))
    return found


def _fake_quantizer(observer: Any) -> FakeQuantizer:
    scale, zero_point = observer.calculate_qparams()
    low, high = observer.quant_min, observer.quant_max
    if observer.qscheme in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return lambda x: torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero_point), low, high)
    axis = int(observer.ch_axis)
    return lambda x: torch.fake_quantize_per_channel_affine(x, scale.float(), zero_point.int(), axis, low, high)
