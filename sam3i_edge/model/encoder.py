"""The fusion encoder: the image map attends to itself and to the prompt."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.adapters import BottleneckAdapter, route_terms
from sam3i_edge.model.layers import MultiheadAttention


class EncoderLayer(nn.Module):
    """Pre-norm layer: self-attention (positions on queries and keys), cross-attention to the prompt, FFN + adapter."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, bottleneck = config.hidden_size, config.adapter.bottleneck_size
        self.self_attn = MultiheadAttention(size, config.num_heads)
        self.cross_attn_image = MultiheadAttention(size, config.num_heads)  # published name; it reads the prompt
        self.linear1 = nn.Linear(size, config.ffn_size)
        self.linear2 = nn.Linear(config.ffn_size, size)
        self.norm1 = nn.LayerNorm(size)
        self.norm2 = nn.LayerNorm(size)
        self.norm3 = nn.LayerNorm(size)
        self.adapter1 = BottleneckAdapter(size, bottleneck)
        self.adapter12 = BottleneckAdapter(size, bottleneck)
        self.adapter2 = BottleneckAdapter(size, bottleneck)
        self.adapter_scale = config.adapter.scale
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor, positions: Tensor, prompt: Tensor, prompt_bias: Tensor, gates: Tensor) -> Tensor:
        """``x`` (1 or N, g², D) in, (N, g², D) out, for N prompts (N, L, D)."""
        normed = self.norm1(x)
        placed = normed + positions
        x = x + self.dropout(self.self_attn(placed, placed, normed))
        # The first layer's input is the image alone: it is attended to once and only then repeated per prompt.
        x = x.expand(prompt.shape[0], -1, -1)
        x = x + self.dropout(self.cross_attn_image(self.norm2(x), prompt, prompt, prompt_bias))
        from_ffn = self.dropout(self.linear2(self.dropout(F.relu(self.linear1(self.norm3(x))))))
        adapted = route_terms(gates, x, self.adapter1, self._adapt_complex)
        return x + sum(self.adapter_scale * term for term in adapted) + from_ffn

    def _adapt_complex(self, x: Tensor) -> Tensor:
        first = self.adapter12(x)
        return self.adapter2(first) + first  # only here, not in the decoder, adapter2 adds its own input back


class FusionEncoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))

    def forward(self, image: Tensor, positions: Tensor, prompt: Tensor, prompt_bias: Tensor, gates: Tensor) -> Tensor:
        """Image map (1 or N, g², D) and N prompts (N, L, D) to the fused memory (N, g², D)."""
        x = image
        for layer in self.layers:
            x = layer(x, positions, prompt, prompt_bias, gates)
        return x
