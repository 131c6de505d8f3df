"""The token table in int8, a scale for each row. Only rows are read from it: every runtime can, and none converts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.model import Sam3i


class Int8Embedding(nn.Module):
    """``nn.Embedding`` whose rows are stored as int8 and scaled when they are read."""

    rows: Tensor
    scales: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        scales = table.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("rows", (table / scales).round().to(torch.int8))
        self.register_buffer("scales", scales)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.rows).float() * F.embedding(tokens, self.scales)


def quantize_embedding(model: Sam3i) -> None:
    """Replace the token table of ``model``, in place."""
    encoder = model.backbone.language_backbone.encoder
    encoder.token_embedding = Int8Embedding(encoder.token_embedding.weight.detach())  # type: ignore[assignment]
