"""The sizes in one call of a linear layer or convolution: what it costs depends on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from sam3i_edge.quantize.quantizer import CONV

CONV_DEFAULTS: tuple[Any, ...] = ([1, 1], [0, 0], [1, 1], 1)
"""Of aten.conv2d: stride, padding, dilation, groups."""


@dataclass(frozen=True)
class LayerCall:
    """The shapes of an input and a weight, and how a convolution moves."""

    input: tuple[int, ...]
    weight: tuple[int, ...]
    convolution: tuple[Any, ...] = ()
    """Stride, padding, dilation and groups; empty: a linear layer."""

    @classmethod
    def of(cls, node: Node, args: tuple[Any, ...]) -> LayerCall:
        """What a node of a traced graph is called with."""
        sizes = tuple(args[0].shape), tuple(args[1].shape)
        if node.target is not CONV:
            return cls(*sizes)
        given = args[3:]
        stride, padding, dilation, groups = [*given, *CONV_DEFAULTS[len(given) :]]
        return cls(*sizes, (tuple(stride), tuple(padding), tuple(dilation), groups))

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of what comes out."""
        with torch.device("meta"):
            return tuple(self.layer()(torch.empty(self.input)).shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: every output value sums over one output channel's weights."""
        return torch.Size(self.output).numel() * torch.Size(self.weight[1:]).numel()

    def layer(self) -> nn.Module:
        """One of these sizes, with random weights."""
        outputs, inputs, *kernel = self.weight
        if not self.convolution:
            return nn.Linear(inputs, outputs)
        stride, padding, dilation, groups = self.convolution
        height, width = kernel
        return nn.Conv2d(inputs * groups, outputs, (height, width), stride, padding, dilation, groups)
