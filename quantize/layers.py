"""The sizes in one call of a linear layer, convolution or attention: what it costs depends on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from sam3i_edge.model.layers import attend
from sam3i_edge.quantize.quantizer import CONV, PRODUCT

CONV_DEFAULTS: tuple[Any, ...] = ([1, 1], [0, 0], [1, 1], 1)
"""Of aten.conv2d: stride, padding, dilation, groups."""


@dataclass(frozen=True)
class LayerCall:
    """The shapes of an input and a weight, and how a convolution moves."""

    input: tuple[int, ...]
    """Of an attention: its queries' (N, heads, Q, size)."""
    weight: tuple[int, ...]
    """Of an attention: that of its keys, transposed (N, heads, size, L)."""
    convolution: tuple[Any, ...] = ()
    """Stride, padding, dilation and groups; empty: a linear layer or an attention."""
    is_attention: bool = False
    """It is the two products of an attention, with the softmax between them."""

    @classmethod
    def of(cls, node: Node, args: tuple[Any, ...]) -> LayerCall:
        """What a node of a traced graph is called with."""
        sizes = tuple(args[0].shape), tuple(args[1].shape)
        if node.target is not CONV:
            return cls(*sizes, is_attention=node.target is PRODUCT)
        given = args[3:]
        stride, padding, dilation, groups = [*given, *CONV_DEFAULTS[len(given) :]]
        return cls(*sizes, (tuple(stride), tuple(padding), tuple(dilation), groups))

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what goes in, by name."""
        if not self.is_attention:
            return {"x": self.input}
        keys = (*self.weight[:2], self.weight[3], self.weight[2])
        return {"q": self.input, "k": keys, "v": keys}

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of what comes out."""
        with torch.device("meta"):
            return tuple(self._layer()(*(torch.empty(shape) for shape in self.inputs.values())).shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: every output value sums over one output channel's weights."""
        if self.is_attention:
            return 2 * torch.Size(self.input).numel() * self.weight[3]
        return torch.Size(self.output).numel() * torch.Size(self.weight[1:]).numel()

    def _layer(self) -> nn.Module:
        """One of these sizes."""
        if self.is_attention:
            return _Attention()
        outputs, inputs, *kernel = self.weight
        if not self.convolution:
            return nn.Linear(inputs, outputs)
        stride, padding, dilation, groups = self.convolution
        height, width = kernel
        moves = (stride, padding, dilation, groups)
        return nn.Conv2d(inputs * groups, outputs, (height, width), *moves)


class _Attention(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v)
