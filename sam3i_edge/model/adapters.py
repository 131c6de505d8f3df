"""The instruction adapters, and how a prompt's route chooses among them.

A route is a row of one-hot *gates* (concept, simple, complex), not a branch: every adapter runs and the gates pick,
so one batch can mix routes and one graph serves them all. ``simple`` is ``adapter1``; ``complex`` is
``adapter2(adapter12(x))``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.model.layers import MultiheadAttention

Route = Callable[[Tensor], Tensor]


def split_gates(gates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gates (N, 3) as three (N, 1, 1) factors for tensors (N, L, D)."""
    concept, simple, complex_ = gates[:, :, None, None].unbind(1)
    return concept, simple, complex_


def route_terms(gates: Tensor, x: Tensor, simple: Route, complex_: Route) -> list[Tensor]:
    """What the two instruction routes add for ``x``: each route's result times its gate.

    An exported graph holds both. Run eagerly, a route that no prompt of the batch takes is left out: its gates are
    zero, and most training batches are of one route.
    """
    _, *instruction_gates = split_gates(gates)
    taken = zip(instruction_gates, (simple, complex_), strict=True)
    return [gate * run(x) for gate, run in taken if torch.compiler.is_exporting() or bool(gate.any())]


class TextAdapter(nn.Module):
    """Attention over all 32 tokens (neither causal nor masked), then a bottleneck; both residual."""

    def __init__(self, hidden_size: int, bottleneck_size: int, num_heads: int) -> None:
        super().__init__()
        self.mha_adapter = MultiheadAttention(hidden_size, num_heads)
        self.down_proj = nn.Linear(hidden_size, bottleneck_size)
        self.up_proj = nn.Linear(bottleneck_size, hidden_size)
        self.norm1 = nn.LayerNorm(hidden_size)
        self.norm2 = nn.LayerNorm(hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 32, D) to (N, 32, D)."""
        normed = self.norm1(x)
        x = x + self.mha_adapter(normed, normed, normed)
        return x + self.up_proj(F.gelu(self.down_proj(self.norm2(x))))

    def reset_to_identity(self) -> None:
        """Make the adapter return its input, bit for bit; it can still learn."""
        for linear in (self.mha_adapter.out_proj, self.up_proj):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)


class BottleneckAdapter(nn.Module):
    """``up(GELU(LayerNorm(down(x))))``: what the fusion encoder and the decoder add to their FFN step."""

    def __init__(self, hidden_size: int, bottleneck_size: int) -> None:
        super().__init__()
        self.down_proj = nn.Linear(hidden_size, bottleneck_size)
        self.up_proj = nn.Linear(bottleneck_size, hidden_size)
        self.norm = nn.LayerNorm(bottleneck_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D) to (N, L, D)."""
        return self.up_proj(F.gelu(self.norm(self.down_proj(x))))

    def reset_to_identity(self) -> None:
        """Make the adapter return zero, so that the layer is the base model's; it can still learn."""
        nn.init.zeros_(self.up_proj.weight)
        nn.init.zeros_(self.up_proj.bias)
