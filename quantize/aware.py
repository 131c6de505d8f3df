"""Training that feels int8: the layers of a recipe compute with rounded inputs and weights, and learn to live with it.

Rounding passes gradients straight through (torch's own fake quantization). The weights stay in floating point: what
comes out is an ordinary checkpoint, which quantizes with less loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Node
from torch.overrides import TorchFunctionMode

from sam3i_edge.export.modules import graph_modules
from sam3i_edge.graphs import default_limits, graph_specs
from sam3i_edge.model import Sam3i
from sam3i_edge.quantize.observers import LEAST_SCALE
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.quantize.quantizer import Scheme, block_of, quantizable_nodes
from sam3i_edge.quantize.recipe import Recipe

MOMENTUM = 0.01
"""Of the ranges: what a new batch counts."""


class FakeInt8(nn.Module):
    """The layers of a model that are to be int8, and the ranges of their inputs, which follow the batches.

    ``with fake_int8.active(): …`` every call of such a layer rounds its input and weight. A module, so that the ranges
    are saved, resumed and shared between processes with the model that they belong to.
    """

    seen: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, model: Sam3i, recipe: Recipe, scheme: Scheme) -> None:
        """Raises ConfigError if the recipe names a block that the model does not have."""
        super().__init__()
        self._scheme = scheme
        self._weights = list(_int8_weights(model, recipe))  # in a list of pairs: they are the model's parameters
        count = sum(parts for _, parts in self._weights)
        self.register_buffer("seen", torch.zeros(count))
        self.register_buffer("low", torch.zeros(count))
        self.register_buffer("high", torch.zeros(count))

    def active(self) -> AbstractContextManager[Any]:
        """A context in which the layers compute so."""
        return _Rounding(self, self._sites())

    def rounded_input(self, site: int, x: Tensor) -> Tensor:
        """``x`` as int8 would hold it; in training its range is counted in."""
        x = x.float()
        if self.training:
            with torch.no_grad():
                low, high = torch.aminmax(x.detach())
                share = MOMENTUM if float(self.seen[site]) else 1.0
                self.low[site].lerp_(low, share)
                self.high[site].lerp_(high, share)
                self.seen[site] = 1.0
        scheme = self._scheme
        low, high = self.low[site].clamp(max=0.0), self.high[site].clamp(min=0.0)
        if scheme.qscheme == torch.per_tensor_symmetric:
            scale, zero = torch.maximum(-low, high) / scheme.highest, torch.zeros_like(low)
        else:
            scale = (high - low) / (scheme.highest - scheme.lowest)
            zero = scheme.lowest - (low / scale.clamp(min=LEAST_SCALE)).round()
        return torch.fake_quantize_per_tensor_affine(
            x, scale.clamp(min=LEAST_SCALE), zero.int(), scheme.lowest, scheme.highest
        )

    def _sites(self) -> dict[int, int]:
        """From where a weight lies in memory to its number; a projection of three parts has three."""
        sites: dict[int, int] = {}
        for weight, parts in self._weights:
            step = weight.numel() // parts * weight.element_size()
            for part in range(parts):
                sites[weight.data_ptr() + part * step] = len(sites)
        return sites


class _Rounding(TorchFunctionMode):
    """Steps in where a layer computes: attention calls ``linear`` on slices, which no hook on a module sees."""

    def __init__(self, ranges: FakeInt8, sites: Mapping[int, int]) -> None:
        super().__init__()
        self._ranges, self._sites = ranges, sites

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.linear, F.conv2d):
            x, weight, *rest = args
            site = self._sites.get(weight.data_ptr())
            if site is not None and x.dim() > 2:  # a single row per prompt has no integer kernel
                return func(self._ranges.rounded_input(site, x), _rounded_weight(weight), *rest, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _rounded_weight(weight: Tensor) -> Tensor:
    scale = (weight.detach().flatten(1).abs().amax(1) / 127).clamp(min=LEAST_SCALE)
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)


def _int8_weights(model: Sam3i, recipe: Recipe) -> Iterable[tuple[nn.Parameter, int]]:
    """The weights that the recipe has in int8, and in how many parts each is used: as quantization will find them."""
    limits = default_limits(model.config)
    modules, specs = graph_modules(model, limits), graph_specs(model.config, limits)
    for graph, module in modules.items():
        nodes = list(quantizable_nodes(trace(module, specs[graph])))
        table = recipe.filled(graph, dict.fromkeys(block_of(node) for node in nodes))
        for name in dict.fromkeys(_weight_name(node) for node in nodes if table[block_of(node)] == "int8"):
            yield module.get_parameter(name), 3 if name.endswith(".in_proj_weight") else 1


def _weight_name(node: Node) -> str:
    """Of the parameter that a layer's weight is, or is a slice of."""
    source = node.args[1]
    while isinstance(source, Node) and source.op != "get_attr":
        source = source.args[0]
    assert isinstance(source, Node)
    return str(source.target)
