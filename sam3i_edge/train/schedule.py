"""The optimizers: which parameter learns how fast, and when."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sam3i_edge.model.layers import MultiheadAttention
from sam3i_edge.model.lite import LiteBackbone
from sam3i_edge.train.recipe import LearningRates, TrainRecipe

VISION, TEXT = "backbone.vision_backbone.", "backbone.language_backbone."
HIDDEN = 16
"""Fewest outputs and inputs of a layer whose weights are a matrix between hidden ones."""
TRUNK_BLOCK = re.compile(r"vision_backbone\.trunk\.blocks\.(\d+)\.")


def make_optimizers(model: nn.Module, recipe: TrainRecipe, trunk_layers: int) -> list[torch.optim.Optimizer]:
    """AdamW over the parameters that learn; with the recipe's ``muon``, Muon over the hidden layers' matrices instead.

    Of convolutions, Muon gets those of a backbone of timm and its neck, for which a rate of their own allows: at rates
    that suit convolutions of a teacher it moves them too slowly (docs/distillation.md).

    No weight decay on biases, layer norms and batch norms, a lower rate deep in the trunk. Each group's ``base_rate``
    is its highest learning rate; ``set_rates`` sets the one of a step.
    """
    norms = {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)
    }
    backbone = _backbone(model)
    hidden = _hidden_matrices(model, backbone) if recipe.muon else set()
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if "bias" in name or name in norms else recipe.weight_decay
            rate = recipe.rates.backbone if name in backbone else _rate(name, recipe.rates, trunk_layers)
            groups.setdefault((name in hidden, rate * recipe.rate_scale, decay), []).append(parameter)
    kinds: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for (is_hidden, rate, decay), parameters in groups.items():
        kinds[is_hidden].append({"params": parameters, "base_rate": rate, "lr": rate, "weight_decay": decay})
    others, matrices = kinds
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, fused=True)]  # fused: a fourth of the time
    if matrices:
        optimizers.append(ConvMuon(matrices, adjust_lr_fn="match_rms_adamw"))  # so AdamW's rates fit
    return optimizers


class ConvMuon(torch.optim.Muon):
    """Muon that takes a convolution (O, I, kh, kw) for a matrix of O rows, as its author does."""

    def __init__(self, groups: list[dict[str, Any]], **settings: Any) -> None:
        with _as_matrices(groups):
            super().__init__(groups, **settings)

    def step(self, closure: Any = None) -> Any:
        with _as_matrices(self.param_groups):
            return super().step(closure)  # type: ignore[no-untyped-call]


@contextmanager
def _as_matrices(groups: Iterable[dict[str, Any]]) -> Iterator[None]:
    """While in it, the parameters and their gradients have two dimensions, in the same memory."""
    filters = [parameter for group in groups for parameter in group["params"] if parameter.ndim > 2]
    shapes = [parameter.shape for parameter in filters]
    for parameter, shape in zip(filters, shapes, strict=True):
        _reshape(parameter, (shape[0], -1))
    try:
        yield
    finally:
        for parameter, shape in zip(filters, shapes, strict=True):
            _reshape(parameter, shape)


def _reshape(parameter: nn.Parameter, shape: Sequence[int]) -> None:
    gradient, parameter.grad = parameter.grad, None
    parameter.data = parameter.data.view(*shape)
    parameter.grad = None if gradient is None else gradient.view(*shape)


def set_rates(optimizers: Iterable[torch.optim.Optimizer], recipe: TrainRecipe, step: int, total: int) -> float:
    """Set every group's learning rate for ``step`` (0 is the first) of ``total``; returns the share of the highest."""
    share = rate_share(recipe, step, total)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * share
    return share


def rate_share(recipe: TrainRecipe, step: int, total: int) -> float:
    """Warm-up, inverse square root, cool-down: the learning rate at ``step`` as a share of the highest."""
    share = 1.0
    if step > recipe.warmup_steps:
        share /= math.sqrt((step - recipe.warmup_steps + recipe.timescale) / recipe.timescale)
    if recipe.warmup_steps:
        share *= min(1.0, (step + 1) / recipe.warmup_steps)
    if recipe.cooldown_steps:
        share *= min(1.0, (total - step) / recipe.cooldown_steps)
    return share


def _backbone(model: nn.Module) -> set[str]:
    """Names of the parameters of a backbone of timm and its neck."""
    found = ((name, module) for name, module in model.named_modules() if isinstance(module, LiteBackbone))
    return {f"{prefix}.{name}" for prefix, module in found for name, _ in module.named_parameters()}


def _hidden_matrices(model: nn.Module, backbone: set[str]) -> set[str]:
    """Names of the weights that map one hidden vector to another: no embeddings, and no heads of a few outputs.

    Of convolutions those of the ``backbone``, but none in groups, whose rows are small filters of their own.
    """
    names = set()
    for path, module in model.named_modules():
        weight = "in_proj_weight" if isinstance(module, MultiheadAttention) else "weight"
        name = f"{path}.{weight}"
        is_matrix = isinstance(module, nn.Linear | MultiheadAttention)
        is_filter = isinstance(module, nn.Conv2d) and module.groups == 1 and name in backbone
        if (is_matrix or is_filter) and min(module.get_parameter(weight).shape[:2]) >= HIDDEN:
            names.add(name)
    return names


def _rate(name: str, rates: LearningRates, trunk_layers: int) -> float:
    if TEXT in name:
        return rates.text
    if VISION not in name:
        return rates.detector
    if "trunk." not in name or "pos_embed" in name:
        return rates.vision
    block = TRUNK_BLOCK.search(name)
    depth = int(block[1]) + 1 if block else 0
    return rates.vision * rates.trunk_decay ** (trunk_layers + 1 - depth)
