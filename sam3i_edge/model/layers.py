"""Small building blocks that several parts of the model share."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiheadAttention(nn.Module):
    """Batch-first multi-head attention with the parameter names of ``torch.nn.MultiheadAttention``.

    torch's own module has a fused inference path, which does not export, and takes masks in three forms; this one
    takes a single additive bias.
    """

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden_size))
        self.out_proj = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend from ``query`` (N, Q, D) to ``key``/``value`` (N, L, D); ``bias`` broadcasts to (N, heads, Q, L)."""
        size = self.out_proj.in_features
        parts = [slice(i * size, (i + 1) * size) for i in range(3)]  # chunk() would stay in an exported graph
        q, k, v = (
            split_heads(F.linear(x, self.in_proj_weight[part], self.in_proj_bias[part]), self.num_heads)
            for x, part in zip((query, key, value), parts, strict=True)
        )
        return self.out_proj(merge_heads(attend(q, k, v, bias)))


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention over (N, heads, L, size), with an additive bias.

    Exported, it is spelled out: the exporter's rendering of the fused operator computes its scale from shapes at run
    time, and fused attention has lost accuracy in half precision on devices. So it is in bf16 on a CPU, whose fused
    kernel takes four times as long backward.
    """
    in_bf16_on_cpu = q.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if not torch.compiler.is_exporting() and not in_bf16_on_cpu:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return (scores if bias is None else scores + bias).softmax(-1) @ v


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(N, L, D) to (N, heads, L, D / heads)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(N, heads, L, D / heads) to (N, L, D)."""
    return x.transpose(1, 2).flatten(2)


def padding_bias(padding: Tensor, dtype: torch.dtype) -> Tensor:
    """The additive attention bias (N, 1, 1, L) that hides the keys where ``padding`` (N, L) is True."""
    zero = torch.zeros((), dtype=dtype, device=padding.device)
    return torch.where(padding, torch.full_like(zero, -math.inf), zero)[:, None, None]


class Mlp(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class SeparableConv(nn.Module):
    """A 3 x 3 convolution of each channel by itself, then a mix of the channels: a ninth of the work of a whole one."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(size, size, kernel_size=3, padding=1, groups=size, bias=False)
        self.pointwise = nn.Conv2d(size, size, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) to (N, D, h, w)."""
        return self.pointwise(self.depthwise(x))


def conv_3x3(size: int, separable: bool) -> nn.Module:
    """(N, D, h, w) to (N, D, h, w), whole as published, or separable."""
    return SeparableConv(size) if separable else nn.Conv2d(size, size, kernel_size=3, padding=1)


def inverse_sigmoid(x: Tensor, eps: float = 1e-3) -> Tensor:
    """logit(x), with x kept ``eps`` away from 0 and 1."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def box_cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """(…, 4) centre-size boxes to corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def sine_frequencies(num_features: int, temperature: float = 10000.0) -> np.ndarray:
    """The ``num_features`` divisors of a sine position encoding; neighbours 2i, 2i+1 share one."""
    exponents = 2 * (np.arange(num_features) // 2) / num_features
    return (temperature**exponents).astype(np.float32)


def sine_encode(positions: Tensor, frequencies: Tensor) -> Tensor:
    """Positions (…) in [0, 1] to (…, F): sine in the even places, cosine in the odd ones."""
    quarter_turns = torch.arange(len(frequencies), device=positions.device) % 2 * (math.pi / 2)  # to a cosine
    return ((positions * (2 * math.pi))[..., None] / frequencies + quarter_turns).sin()


def sine_position_map(grid_size: int, hidden_size: int) -> Tensor:
    """The constant sine position encoding (1, grid_size², hidden_size) of a square feature map, rows first."""
    frequencies = torch.from_numpy(sine_frequencies(hidden_size // 2))
    positions = torch.from_numpy(np.arange(1, grid_size + 1, dtype=np.float32)) / (grid_size + 1e-6)
    encoded = sine_encode(positions, frequencies)
    rows = encoded[:, None].expand(-1, grid_size, -1)
    columns = encoded[None].expand(grid_size, -1, -1)
    return torch.cat([rows, columns], dim=-1).reshape(1, grid_size**2, hidden_size)
