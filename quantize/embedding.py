"""The token table as integers, a scale for each row. Only rows are read from it: every runtime can, none converts."""

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


class Int4Embedding(nn.Module):
    """``nn.Embedding`` with two values in each byte: the front half of a row in the low bits, the back half above."""

    rows: Tensor
    scales: Tensor

    def __init__(self, table: Tensor) -> None:
        """``table`` (tokens, size), of an even size."""
        super().__init__()
        scales = table.abs().amax(1, keepdim=True).clamp(min=1e-12) / 7
        low, high = ((table / scales).round().to(torch.int32) + 8).chunk(2, dim=1)
        self.register_buffer("rows", (low + 16 * high).to(torch.uint8))
        self.register_buffer("scales", scales)

    def forward(self, tokens: Tensor) -> Tensor:
        # In floating point, where every runtime can take a byte apart; it is a row for each token of a prompt.
        pairs = F.embedding(tokens, self.rows).float()
        high = (pairs / 16).floor()
        return (torch.cat([pairs - 16 * high, high], dim=-1) - 8) * F.embedding(tokens, self.scales)


class KeptRows(nn.Module):
    """A table of some token rows, asked by the ids of all; those that were not kept are never asked for."""

    places: Tensor

    def __init__(self, table: nn.Module, ids: Tensor, count: int) -> None:
        """``table`` of the rows whose ids, ascending, are ``ids`` (rows,), among ``count``."""
        super().__init__()
        self.table = table
        places = torch.zeros(count, 1, dtype=torch.int32)
        places[ids, 0] = torch.arange(len(ids), dtype=torch.int32)
        self.register_buffer("places", places)

    def forward(self, tokens: Tensor) -> Tensor:
        # Plain indexing would become a GatherND, which ONNX Runtime does not take with int32.
        found: Tensor = self.table(F.embedding(tokens, self.places).squeeze(-1))
        return found


EMBEDDINGS = {"int8": Int8Embedding, "int4": Int4Embedding}
"""By the names of ``recipe.TABLES``."""


def quantize_embedding(model: Sam3i, choice: str) -> None:
    """Replace the token table of ``model``, in place, unless ``choice`` is to leave it."""
    if choice in EMBEDDINGS:
        encoder: nn.Module = model.backbone.language_backbone.encoder
        owner, name = encoder, "token_embedding"
        if isinstance(encoder.token_embedding, KeptRows):
            owner, name = encoder.token_embedding, "table"
        setattr(owner, name, EMBEDDINGS[choice](getattr(owner, name).weight.detach()))
