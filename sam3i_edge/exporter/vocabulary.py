"""A smaller vocabulary: the token rows that given texts use, and those that spell every other word in pieces.

Words keep their ids, which the auto route reads, too; the text graph looks up the row of an id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import nn

from sam3i_edge.clip_tokenizer import clip_merges
from sam3i_edge.model import Sam3i
from sam3i_edge.prompt import BOXES_ALONE
from sam3i_edge.quantize.embedding import KeptRows
from sam3i_edge.tokenizer import Merge, Tokenizer, words_of


def merges_of(texts: Iterable[str], tokenizer: Tokenizer) -> set[Merge]:
    """The merges by which texts, and that of boxes alone, become tokens: with these they become the same ones.

    Each token is made in one way only, and of the pairs that could be joined at any moment the best is still there.

    Args:
        texts: any.
        tokenizer: CLIP's own.
    """
    merges = clip_merges()
    made_of = {"".join(pair): pair for pair in merges}
    words = words_of(merges)
    waiting = {words[i] for text in (*texts, BOXES_ALONE) for i in set(tokenizer.encode(text).tolist())}
    used: set[Merge] = set()
    while waiting:
        pair = made_of.get(waiting.pop())
        if pair is not None and pair not in used:
            used.add(pair)
            waiting.update(pair)
    return used


def keep_rows(model: Sam3i, merges: Collection[Merge]) -> int:
    """Keep the token rows that a tokenizer of these merges can ask for, in place. Returns how many."""
    words = words_of([merge if merge in merges else None for merge in clip_merges()])
    rows = torch.tensor([row for row, word in enumerate(words) if word is not None])
    encoder = model.backbone.language_backbone.encoder
    table = nn.Embedding.from_pretrained(encoder.token_embedding.weight.detach()[rows].clone())
    encoder.token_embedding = KeptRows(table, rows, len(words))  # type: ignore[assignment]
    return len(rows)
