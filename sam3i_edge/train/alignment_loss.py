"""The four losses of stage 3, which align a target's simple (A) and complex (B) instruction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3i_edge.train.targets import Targets

KL_WEIGHT = 0.001
DIVERGENCE_WEIGHT = INFO_NCE_WEIGHT = MARGIN_WEIGHT = 1.0
TEMPERATURE = 0.1
SAME_CONCEPT_WEIGHT = 0.5
MARGIN = 0.2


def kl_loss(a: Tensor, b: Tensor) -> Tensor:
    """KL(B‖A) of the semantic logits (N, 1, h, w) as distributions over an image's pixels; B is the teacher."""
    wanted = b.detach().float().flatten(1).softmax(1)
    return F.kl_div(a.float().flatten(1).log_softmax(1), wanted, reduction="batchmean")


def divergence_loss(a: Tensor, b: Tensor, targets: Targets) -> Tensor:
    """Cross-entropy of A's semantic mask where the two instructions disagree.

    Each pixel is weighted by ½ (KL(m‖a) + KL(m‖b)) per pixel, m being the mean of the two probabilities a and b.
    Both are detached: the weight says where to look, not what to learn.
    """
    size = targets.masks.shape[-2:]
    a, b = (F.interpolate(x.float(), size=size, mode="bilinear", align_corners=False)[:, 0] for x in (a, b))
    p, q = (x.detach().sigmoid().clamp(1e-6, 1 - 1e-6) for x in (a, b))
    mean = (p + q) / 2
    divergence = mean * (mean.log() - (p.log() + q.log()) / 2)
    error = F.binary_cross_entropy_with_logits(a, targets.union_masks(), reduction="none")
    return (error * divergence).mean()


def info_nce_loss(a: Tensor, b: Tensor, concepts: Sequence[str]) -> Tensor:
    """A target's two instructions should be nearest to each other among all of the batch.

    Args:
        a: projected mean text features (N, F) of the simple instructions.
        b: of the complex ones.
        concepts: the N concept texts; others of the same concept count half.
    """
    count = len(concepts)
    features = F.normalize(torch.cat([a, b]).float(), dim=-1, eps=1e-8)
    similarity = features @ features.T / TEMPERATURE
    same = _same(concepts, similarity.device).repeat(2, 2)
    weights = torch.where(same, SAME_CONCEPT_WEIGHT, 1.0)
    rows = torch.arange(2 * count, device=similarity.device)
    partners = rows.roll(count)
    weights[rows, partners] = 1.0
    weights[rows, rows] = 0.0
    similarity = similarity - similarity.amax(1, keepdim=True).detach()
    spread = (weights * similarity.exp()).sum(1)
    return ((spread + 1e-8).log() - similarity[rows, partners]).mean()


def margin_loss(a: Tensor, b: Tensor, concept: Tensor, concepts: Sequence[str]) -> Tensor:
    """An instruction pair should be nearer to its own concept text than to any other, by a margin.

    Args:
        a: projected mean text features (N, F) of the simple instructions.
        b: of the complex ones.
        concept: of the concept texts.
        concepts: the N concept texts themselves.
    """
    pair = F.normalize((a + b).float() / 2, dim=-1, eps=1e-8)
    similarity = pair @ F.normalize(concept.float(), dim=-1, eps=1e-8).T
    other = ~_same(concepts, similarity.device)
    hardest = similarity.masked_fill(~other, -torch.inf).amax(1)
    excess = F.relu(hardest - similarity.diagonal() + MARGIN)[other.any(1)]
    return excess.mean() if len(excess) else similarity.sum() * 0.0


def _same(concepts: Sequence[str], device: torch.device) -> Tensor:
    """(N, N): whether two samples have the same concept text."""
    ids = torch.tensor([concepts.index(text) for text in concepts], device=device)
    return ids[:, None] == ids
