"""The decoder: object queries and a presence token read the prompt and the fused image, and refine boxes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.adapters import BottleneckAdapter, route_terms
from sam3i_edge.model.layers import (
    Mlp,
    MultiheadAttention,
    box_cxcywh_to_xyxy,
    inverse_sigmoid,
    sine_encode,
    sine_frequencies,
)


class LayerOutput(NamedTuple):
    """What one decoder layer says of N prompts."""

    queries: Tensor
    """(N, Q, D), normalised"""
    boxes: Tensor
    """(N, Q, 4) normalised cx cy w h"""
    presence: Tensor
    """(N, 1) logit"""


class DecoderLayer(nn.Module):
    """Post-norm layer over 1 + Q tokens: the presence token first, then the queries."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, bottleneck = config.hidden_size, config.adapter.bottleneck_size
        self.cross_attn = MultiheadAttention(size, config.num_heads)
        self.norm1 = nn.LayerNorm(size)
        self.ca_text = MultiheadAttention(size, config.num_heads)
        self.catext_norm = nn.LayerNorm(size)
        self.self_attn = MultiheadAttention(size, config.num_heads)
        self.norm2 = nn.LayerNorm(size)
        self.linear1 = nn.Linear(size, config.ffn_size)
        self.linear2 = nn.Linear(config.ffn_size, size)
        self.norm3 = nn.LayerNorm(size)
        self.adapter1 = BottleneckAdapter(size, bottleneck)
        self.adapter12 = BottleneckAdapter(size, bottleneck)
        self.adapter2 = BottleneckAdapter(size, bottleneck)
        self.adapter_scale = config.adapter.scale
        self.dropout = nn.Dropout(0.0)

    def forward(
        self,
        x: Tensor,
        query_positions: Tensor,
        prompt: Tensor,
        prompt_bias: Tensor,
        memory_keys: Tensor,
        memory: Tensor,
        box_bias: Tensor,
        gates: Tensor,
        one_to_many: bool = False,
    ) -> Tensor:
        """(N or 1, 1 + Q, D) to (N, 1 + Q, D); with ``one_to_many`` half of the queries are not self-attended."""
        drop = self.dropout
        attending = 1 + (x.shape[1] - 1) // 2 if one_to_many else x.shape[1]
        placed = (x + query_positions)[:, :attending]
        attended = drop(self.self_attn(placed, placed, x[:, :attending]))
        x = self.norm2(x + F.pad(attended, (0, 0, 0, x.shape[1] - attending)) if one_to_many else x + attended)
        x = x.expand(prompt.shape[0], -1, -1)
        x = self.catext_norm(x + drop(self.ca_text(x + query_positions, prompt, prompt, prompt_bias)))
        x = self.norm1(x + drop(self.cross_attn(x + query_positions, memory_keys, memory, box_bias)))
        from_ffn = drop(self.linear2(drop(F.relu(self.linear1(x)))))
        adapted = route_terms(gates, x, self.adapter1, lambda x: self.adapter2(self.adapter12(x)))
        return self.norm3(x + sum(self.adapter_scale * term for term in adapted) + from_ffn)


class Decoder(nn.Module):
    frequencies: Tensor
    cell_starts: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, heads = config.hidden_size, config.num_heads
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(size)
        self.bbox_embed = Mlp(size, size, size, 4)
        self.query_embed = nn.Embedding(config.num_queries, size)
        self.reference_points = nn.Embedding(config.num_queries, 4)
        self.boxRPB_embed_x = Mlp(2, size, heads)
        self.boxRPB_embed_y = Mlp(2, size, heads)
        self.presence_token = nn.Embedding(1, size)
        self.presence_token_head = Mlp(size, size, size, 1)
        self.presence_token_out_norm = nn.LayerNorm(size)
        self.ref_point_head = Mlp(2 * size, size, size)
        cell_starts = np.arange(config.grid_size, dtype=np.float32) / config.grid_size
        self.register_buffer("frequencies", torch.from_numpy(sine_frequencies(size // 2)), persistent=False)
        self.register_buffer("cell_starts", torch.from_numpy(cell_starts), persistent=False)

    def forward(
        self,
        memory: Tensor,
        positions: Tensor,
        prompt: Tensor,
        prompt_bias: Tensor,
        gates: Tensor,
        one_to_many: bool = False,
    ) -> list[LayerOutput]:
        """Decode N prompts.

        Args:
            memory: fused image (N, g², D).
            positions: its encoding (1, g², D).
            prompt: (N, L, D).
            prompt_bias: additive, hides padding.
            gates: (N, 3).
            one_to_many: in training, run every query twice; the second copies do not see one another, so that
                several of them may take the same target.

        Returns:
            What each layer says, the last one's being the answer; Q is doubled with ``one_to_many``.
        """
        copies = 2 if one_to_many else 1
        tokens = torch.cat([self.presence_token.weight, *[self.query_embed.weight] * copies])
        # Without dropout the first self-attention is the same for all prompts; exported, it is a constant.
        first = memory.shape[0] if self.training else 1
        x = tokens[None].expand(first, -1, -1)
        boxes = self.reference_points.weight.sigmoid().repeat(copies, 1)[None].expand(first, -1, -1)
        memory_keys = memory + positions
        outputs = []
        for layer in self.layers:
            start = boxes.detach()  # a layer learns from its own boxes and the next ones', not through its inputs
            # The presence token has no place in the image: zero position and zero bias.
            query_positions = F.pad(self.ref_point_head(self._encode_boxes(start)), (0, 0, 1, 0))
            box_bias = F.pad(self._box_bias(start), (0, 0, 1, 0))
            x = layer(x, query_positions, prompt, prompt_bias, memory_keys, memory, box_bias, gates, one_to_many)
            queries = self.norm(x[:, 1:])
            boxes = (self.bbox_embed(queries) + inverse_sigmoid(boxes)).sigmoid()
            # The published code calls clamp(±10) on this logit and drops the result; so it is not clamped.
            presence = self.presence_token_head(self.presence_token_out_norm(x[:, 0]))
            outputs.append(LayerOutput(queries, boxes, presence))
        return outputs

    def _encode_boxes(self, boxes: Tensor) -> Tensor:
        cx, cy, width, height = boxes.unbind(-1)
        return sine_encode(torch.stack([cy, cx, width, height], dim=-1), self.frequencies).flatten(-2)

    def _box_bias(self, boxes: Tensor) -> Tensor:
        """How far each map cell lies from the box's edges, on a log scale, as attention bias (N, heads, Q, g²)."""
        x0, y0, x1, y1 = box_cxcywh_to_xyxy(boxes)[..., None].unbind(-2)
        columns = self.boxRPB_embed_x(self._log_distance(torch.stack([x0, x1], dim=-1)))
        rows = self.boxRPB_embed_y(self._log_distance(torch.stack([y0, y1], dim=-1)))
        bias = rows[:, :, :, None] + columns[:, :, None]  # (N, Q, g, g, heads)
        return bias.flatten(2, 3).permute(0, 3, 1, 2)

    def _log_distance(self, edges: Tensor) -> Tensor:
        """Edges (N, Q, 1, 2) in [0, 1] to signed log distances (N, Q, g, 2)."""
        delta = (self.cell_starts[:, None] - edges) * 8
        return delta.sign() * torch.log2(delta.abs() + 1) / math.log2(8)
