"""SmoothQuant: a LayerNorm's outliers move into the weights behind it. In floating point nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam3i_edge.model import Sam3i
from sam3i_edge.model.encoder import EncoderLayer
from sam3i_edge.model.text import TextBlock
from sam3i_edge.model.vision import VisionBlock

LEAST = 1e-5


@dataclass(frozen=True)
class Pair:
    """A LayerNorm and all weights (out, in) that read its output and nothing else."""

    norm: nn.LayerNorm
    weights: tuple[Tensor, ...]


def pairs(model: Sam3i) -> Iterator[Pair]:
    """Those of SAM3-I. A norm whose output has positions added, or is read by several parts, is none."""
    for module in model.modules():
        if isinstance(module, VisionBlock):
            yield Pair(module.norm1, (module.attn.qkv.weight,))
            yield Pair(module.norm2, (module.mlp.fc1.weight,))
        elif isinstance(module, TextBlock):
            yield Pair(module.ln_1, (module.attn.in_proj_weight,))
            yield Pair(module.ln_2, (module.mlp.get_submodule("c_fc").get_parameter("weight"),))
        elif isinstance(module, EncoderLayer):
            yield Pair(module.norm3, (module.linear1.weight,))


@torch.no_grad()
def smooth(model: Sam3i, alpha: float, run: Callable[[], None], leave: Collection[Tensor] = ()) -> None:
    """Scale every pair's channels by s = max|x|^α / max|w|^(1-α): x / s and s · w, in place.

    Args:
        model: in evaluation mode.
        alpha: in 0..1; 0 leaves the model as it is.
        run: sends the calibration data through ``model``.
        leave: weights whose inputs are not quantized: nothing is to be gained there, and their own groups would suffer.
    """
    if not alpha:
        return
    left = {id(weight) for weight in leave}
    found = [pair for pair in pairs(model) if not left.issuperset(map(id, pair.weights))]
    highest: dict[nn.LayerNorm, Tensor] = {}

    def watch(norm: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(norm, nn.LayerNorm)
        peak = output.flatten(0, -2).abs().amax(0)
        highest[norm] = torch.maximum(highest[norm], peak) if norm in highest else peak

    hooks = [pair.norm.register_forward_hook(watch) for pair in found]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    for pair in found:
        if pair.norm not in highest:
            continue
        weight = torch.stack([w.abs().amax(0) for w in pair.weights]).amax(0)
        scale = highest[pair.norm].clamp(min=LEAST) ** alpha / weight.clamp(min=LEAST) ** (1 - alpha)
        scale = (scale / scale.log().mean().exp()).clamp(1 / 64, 64)  # only their proportions matter
        for name in ("weight", "bias"):
            parameter = pair.norm.get_parameter(name)
            parameter.copy_(parameter / scale)
        for w in pair.weights:
            w.copy_(w * scale)
