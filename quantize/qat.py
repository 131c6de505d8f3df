"""Training that feels integers: a recipe's layers compute with rounded weights, in int8 with rounded inputs, too.

Rounding passes gradients straight through (torch's own fake quantization). The weights stay in floating point: what
comes out is an ordinary checkpoint, which quantizes with less loss.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sam3i_edge.config import default_limits
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GRAPHS, graph_specs
from sam3i_edge.model import Sam3i
from sam3i_edge.quantize.int4 import fits, rounded
from sam3i_edge.quantize.observers import LEAST_SCALE
from sam3i_edge.quantize.ptq import weights_by_choice
from sam3i_edge.quantize.quantizer import Scheme
from sam3i_edge.quantize.recipe import PRODUCTS, QuantRecipe

logger = logging.getLogger("sam3i_edge")

MOMENTUM = 0.01
"""Of the ranges: what a new batch counts."""


class FakeIntegers(nn.Module):
    """The layers of a model that are to have integers, and the ranges of int8 inputs, which follow the batches.

    ``with fake.active(): …`` every call of such a layer rounds. A module, so that the ranges
    are saved, resumed and shared between processes with the model that they belong to.
    """

    seen: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, model: Sam3i, recipe: QuantRecipe, scheme: Scheme) -> None:
        """Raises ConfigError if the recipe names a block that the model does not have."""
        super().__init__()
        self._scheme = scheme
        limits = default_limits(model.config)
        found = weights_by_choice(graph_modules(model, limits), graph_specs(model.config.sizes, limits), recipe)
        # Lists of pairs: they are the model's parameters, not this module's.
        self._int8 = _learned(model, found["int8"])
        if any(choice == "int8" and PRODUCTS in line for graph in GRAPHS for line, choice in recipe.of(graph).items()):
            logger.warning("Training does not round the products of attention, though the recipe has some in int8.")
        self._int4 = [(name, weight) for name, weight in _learned(model, found["int4"]) if fits(weight)]
        count = sum(_parts(name) for name, _ in self._int8)
        self.register_buffer("seen", torch.zeros(count))
        self.register_buffer("low", torch.zeros(count))
        self.register_buffer("high", torch.zeros(count))

    def active(self) -> AbstractContextManager[Any]:
        """A context in which the layers compute so."""
        sites = (place for name, weight in self._int8 for place in _places(name, weight))
        narrow = {place for name, weight in self._int4 for place in _places(name, weight)}
        return _Rounding(self, {place: site for site, place in enumerate(sites)}, narrow)

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


class _Rounding(TorchFunctionMode):
    """Steps in where a layer computes: attention calls ``linear`` on slices, which no hook on a module sees.

    Args:
        ranges: of the inputs of int8 layers.
        sites: from where the weight of such a layer lies in memory to its number.
        narrow: where the weights of int4 layers lie.
    """

    def __init__(self, ranges: FakeIntegers, sites: Mapping[int, int], narrow: Collection[int]) -> None:
        super().__init__()
        self._ranges, self._sites, self._narrow = ranges, sites, narrow

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.linear, F.conv2d):
            x, weight, *rest = args
            site = self._sites.get(weight.data_ptr())
            if site is not None and x.dim() > 2:  # a single row per prompt has no integer kernel
                return func(self._ranges.rounded_input(site, x), _rounded_weight(weight), *rest, **(kwargs or {}))
            if weight.data_ptr() in self._narrow:
                return func(x, rounded(weight), *rest, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _learned(model: Sam3i, weights: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The model's own weights: of a backbone of timm, a graph has a copy whose branches may have been put together."""
    places = {parameter.data_ptr() for parameter in model.parameters()}
    found, lost = list[tuple[str, Tensor]](), list[str]()
    for name, weight in weights.items():
        origin = weight if weight.data_ptr() in places else _origin(model, f"backbone.{name}")
        if origin is None or origin.shape != weight.shape:
            lost.append(name)
        else:
            found.append((name, origin))
    if lost:
        logger.warning(
            "Training does not round %d layers of %s, which only come to be when its branches are put together for "
            "export; the first is %s.",
            len(lost),
            model.config.vision.backbone,
            lost[0].removesuffix(".weight"),
        )
    return found


def _origin(model: Sam3i, name: str) -> nn.Parameter | None:
    """The weight of that name; or the one that becomes it when a batch norm's factors, one for each row, go into it."""
    path, _, value = name.rpartition(".")
    try:
        module = model.get_submodule(path)
    except AttributeError:
        return None
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    if not hasattr(module, value) and len(convolutions) == len(norms) == 1:
        (module,) = convolutions
    origin = getattr(module, value, None)
    return origin if isinstance(origin, nn.Parameter) else None


def _places(name: str, weight: Tensor) -> list[int]:
    """Where in memory the parts of a weight begin."""
    step = weight.numel() // _parts(name) * weight.element_size()
    return [weight.data_ptr() + part * step for part in range(_parts(name))]


def _parts(name: str) -> int:
    """In how many parts a weight is used: the projection of queries, keys and values lies in one."""
    return 3 if name.endswith(".in_proj_weight") else 1


def _rounded_weight(weight: Tensor) -> Tensor:
    scale = (weight.detach().flatten(1).abs().amax(1) / 127).clamp(min=LEAST_SCALE)
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)
