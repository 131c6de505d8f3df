"""Weights in 4 bits, for linear layers that go on computing in floating point: size where speed is no matter.

Every group of ``GROUP`` inputs of an output channel shares a scale. A weight is first rounded in the model, to values
that 4 bits hold exactly; when the graph is written, such weights are recognized by just that, and stored so. Both
runtimes of processors multiply by them as they are (OpenVINO's compressed weights, ONNX Runtime's MatMulNBits).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sam3i_edge.graphs import GraphSpec
from sam3i_edge.quantize.ptq import weights_by_choice
from sam3i_edge.quantize.recipe import QuantRecipe

GROUP = 32
HIGHEST = 7
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Of a group's largest weight: cutting it off lessens the error of the others. The least square error wins."""
SCALE_BITS = 11
"""With so few digits, and three of an integer, every product is exact in float32, and every quotient as well."""


class Packed(NamedTuple):
    """A weight of a MatMul: ``integers`` times ``scales``, group by group."""

    integers: np.ndarray
    """(in, out) int8 within ±7"""
    scales: np.ndarray
    """(in / GROUP, out) float32"""


def fits(weight: Tensor) -> bool:
    """Whether a weight (out, in) of a linear layer is made of whole groups."""
    return weight.dim() == 2 and weight.shape[1] % GROUP == 0


def rounded(weight: Tensor) -> Tensor:
    """The nearest that 4 bits hold to a weight (out, in); gradients pass straight through."""
    groups = weight.detach().float().unflatten(1, (-1, GROUP))
    highest = groups.abs().amax(-1, keepdim=True)
    best, least = torch.zeros_like(groups), torch.full_like(highest, torch.inf)
    for shrink in SHRINKS:
        scale = _few_digits(highest * (shrink / HIGHEST))
        integers = (groups / scale.clamp(min=torch.finfo(torch.float32).tiny)).round().clamp(-HIGHEST, HIGHEST)
        found = integers * scale
        error = (found - groups).square().sum(-1, keepdim=True)
        best, least = torch.where(error < least, found, best), torch.minimum(error, least)
    return weight + (best.flatten(1).to(weight.dtype) - weight).detach()


def _few_digits(x: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp((mantissa * 2**SCALE_BITS).round(), exponent - SCALE_BITS)


def packed(weight: np.ndarray) -> Packed | None:
    """A MatMul's weight (in, out) float32 as integers and scales, if 4 bits hold it exactly; or else None.

    One of nothing but zeros was not rounded to be so.
    """
    if weight.ndim != 2 or weight.dtype != np.float32 or weight.shape[0] % GROUP or not weight.any():
        return None
    groups = weight.reshape(-1, GROUP, weight.shape[1])
    scales = np.abs(groups).max(1, keepdims=True) / np.float32(HIGHEST)
    scales[scales == 0] = 1
    integers = np.rint(groups / scales)
    if not np.array_equal(integers * scales, groups):
        return None
    return Packed(integers.astype(np.int8).reshape(weight.shape), scales[:, 0])


def round_weights(modules: Mapping[str, nn.Module], specs: Mapping[str, GraphSpec], recipe: QuantRecipe) -> None:
    """Round, in place, the weights of the blocks that ``recipe`` has in int4.

    Raises:
        ConfigError: the recipe names a block that there is not.
    """
    for weight in int4_weights(modules, specs, recipe):
        with torch.no_grad():
            weight.copy_(rounded(weight))


def int4_weights(
    modules: Mapping[str, nn.Module], specs: Mapping[str, GraphSpec], recipe: QuantRecipe
) -> list[nn.Parameter]:
    """Those that ``round_weights`` rounds."""
    some = {name: module for name, module in modules.items() if "int4" in recipe.of(name).values()}
    return [weight for weight in weights_by_choice(some, specs, recipe)["int4"].values() if fits(weight)]
