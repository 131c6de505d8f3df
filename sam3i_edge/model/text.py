"""The text encoder: a causal CLIP transformer with an instruction adapter cascade in every block."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.adapters import TextAdapter, route_terms, split_gates
from sam3i_edge.model.layers import MultiheadAttention

CLIP_EMBEDDING_SIZE = 512
"""Width of CLIP's pooled text embedding: its projection is in every checkpoint and nothing reads it."""


class TextBlock(nn.Module):
    """Pre-norm block: attention, then the route's adapter on the residual, then the MLP's result added."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.text.hidden_size
        self.attn = MultiheadAttention(size, config.text.num_heads)
        self.ln_1 = nn.LayerNorm(size)
        self.ln_2 = nn.LayerNorm(size)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(size, 4 * size), gelu=nn.GELU(), c_proj=nn.Linear(4 * size, size))
        )
        adapter = config.adapter
        self.adapter1 = TextAdapter(size, adapter.bottleneck_size, adapter.num_heads)
        self.adapter12 = TextAdapter(size, adapter.bottleneck_size, adapter.num_heads)
        self.adapter2 = TextAdapter(size, adapter.bottleneck_size, adapter.num_heads)

    def forward(self, x: Tensor, gates: Tensor, causal_bias: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, causal_bias)
        from_mlp = self.mlp(self.ln_2(x))  # reads x before the adapters change it
        concept, *_ = split_gates(gates)
        adapted = route_terms(gates, x, self.adapter1, lambda x: self.adapter2(self.adapter12(x)))
        return concept * x + sum(adapted) + from_mlp


class TextStack(nn.Module):
    """Holds the blocks under their published name."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(TextBlock(config) for _ in range(config.text.num_layers))


class TextTransformer(nn.Module):
    causal_bias: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, length = config.text.hidden_size, config.text.context_length
        row = config.text.embedding_size or size
        self.token_embedding = nn.Embedding(config.text.vocab_size, row)
        self.embedding_projection = nn.Identity() if row == size else nn.Linear(row, size, bias=False)
        self.positional_embedding = nn.Parameter(torch.empty(length, size))
        self.transformer = TextStack(config)
        self.ln_final = nn.LayerNorm(size)
        self.text_projection = nn.Parameter(torch.empty(size, CLIP_EMBEDDING_SIZE))
        future = np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)
        self.register_buffer("causal_bias", torch.from_numpy(future), persistent=False)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=size**-0.5)

    def forward(self, tokens: Tensor, gates: Tensor) -> Tensor:
        x = self.embedding_projection(self.token_embedding(tokens)) + self.positional_embedding
        for block in self.transformer.resblocks:
            x = block(x, gates, self.causal_bias)
        return self.ln_final(x)


class TextEncoder(nn.Module):
    """Tokens to the text memory that the detector attends to."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = TextTransformer(config)
        self.resizer = nn.Linear(config.text.hidden_size, config.hidden_size)

    def forward(self, tokens: Tensor, gates: Tensor) -> Tensor:
        """Token ids (N, 32) and one-hot route gates (N, 3) to the text memory (N, 32, D)."""
        return self.resizer(self.encoder(tokens, gates))
