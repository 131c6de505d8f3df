"""The detection losses: boxes, scores, presence, instance masks and the semantic mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3i_edge.model.layers import box_cxcywh_to_xyxy
from sam3i_edge.train.boxes import box_iou, generalized_box_iou
from sam3i_edge.train.distributed import mean_over_processes
from sam3i_edge.train.targets import Match, Targets

WEIGHTS = {
    "box_l1": 5.0,
    "box_giou": 2.0,
    "score": 20.0,
    "presence": 20.0,
    "mask_focal": 200.0,
    "mask_dice": 10.0,
    "semantic_focal": 20.0,
    "semantic_dice": 30.0,
}
POSITIVE_WEIGHT = 10.0
SCORE_ALPHA, SCORE_GAMMA = 0.25, 2.0
SCORED_QUERIES = 200
"""The score loss is summed over the queries and divided by this, so that a query weighs the same at every size."""
MASK_ALPHA, MASK_GAMMA = 0.25, 2.0
SEMANTIC_ALPHA, SEMANTIC_GAMMA = 0.6, 2.0

Parts = dict[str, Tensor]
"""Losses by the names of ``WEIGHTS``, before weighting."""


@dataclass(frozen=True)
class Answer:
    """What one decoder layer says of N prompts with Q queries; masks and presence where it has them."""

    logits: Tensor
    """(N, Q)"""
    boxes: Tensor
    """(N, Q, 4) normalised cx cy w h"""
    presence: Tensor | None = None
    """(N, 1) logit"""


def weighted(parts: Parts) -> Tensor:
    """The sum of ``parts``, each by its weight."""
    return torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()


def layer_losses(
    answer: Answer, targets: Targets, match: Match, boxes_per_process: Tensor, negative_weight: float
) -> Parts:
    """Box, score and presence losses of one decoder layer."""
    losses = box_losses(answer, targets, match, boxes_per_process) | score_loss(answer, targets, match, negative_weight)
    return losses if answer.presence is None else losses | presence_loss(answer.presence, targets)


def box_losses(answer: Answer, targets: Targets, match: Match, boxes_per_process: Tensor) -> Parts:
    """L1 and GIoU distance of matched boxes, summed and divided by the number of targets."""
    found = answer.boxes[match.prompts, match.queries].float()
    wanted = targets.boxes[match.targets]
    giou = generalized_box_iou(box_cxcywh_to_xyxy(found), targets.corners[match.targets])
    return {
        "box_l1": F.l1_loss(found, wanted, reduction="sum") / boxes_per_process,
        "box_giou": (1 - giou).sum() / boxes_per_process,
    }


def score_loss(answer: Answer, targets: Targets, match: Match, negative_weight: float = 1.0) -> Parts:
    """IoU-aware binary cross-entropy: a matched query should score as well as its box lies.

    Prompts without a target teach presence, not scores.
    """
    logits = answer.logits.float()
    probability = logits.sigmoid()
    with torch.no_grad():
        found = box_cxcywh_to_xyxy(answer.boxes[match.prompts, match.queries].float())
        iou, _ = box_iou(found, targets.corners[match.targets])
        quality = probability[match.prompts, match.queries] ** SCORE_ALPHA * iou ** (1 - SCORE_ALPHA)
        wanted, matched = torch.zeros_like(logits), torch.zeros_like(logits)
        wanted[match.prompts, match.queries] = quality.clamp(min=0.01)
        matched[match.prompts, match.queries] = 1.0
    positive = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * matched * POSITIVE_WEIGHT
    negative = F.softplus(logits) * (1 - matched) * probability**SCORE_GAMMA * negative_weight
    per_query = (positive + negative) * (targets.counts > 0)[:, None]
    count, queries = logits.shape
    return {"score": per_query.sum() / (count * max(SCORED_QUERIES, queries))}


def presence_loss(logits: Tensor, targets: Targets) -> Parts:
    """Is there anything at all? Cross-entropy over the N prompts, halved as published (a focal α of 0.5)."""
    wanted = (targets.counts > 0).float()[:, None]
    return {"presence": 0.5 * F.binary_cross_entropy_with_logits(logits.float(), wanted)}


def mask_losses(masks: Tensor, targets: Targets, match: Match, boxes_per_process: Tensor) -> Parts:
    """Focal and dice losses of the matched queries' masks.

    Args:
        masks: (M, h, w) logits of the M matched queries, in ``match``'s order; compared at the targets' size.
        targets: of all prompts.
        match: of M pairs.
        boxes_per_process: the divisor.
    """
    found = _resize(masks[:, None], targets)[:, 0].flatten(1)
    wanted = targets.masks[match.targets].flatten(1).float()
    focal = focal_loss(found, wanted, MASK_ALPHA, MASK_GAMMA).mean(1)
    return {
        "mask_focal": focal.sum() / boxes_per_process,
        "mask_dice": dice_loss(found, wanted).sum() / boxes_per_process,
    }


def semantic_losses(semantic: Tensor, targets: Targets) -> Parts:
    """Focal and dice losses of the semantic masks (N, 1, h, w) of the prompts that have a target."""
    some = targets.counts > 0
    found = _resize(semantic, targets)[:, 0].flatten(1)[some]
    wanted = targets.union_masks().flatten(1)[some]
    divisor = mean_over_processes(some.sum().float()) + 1e-6
    return {
        "semantic_focal": focal_loss(found, wanted, SEMANTIC_ALPHA, SEMANTIC_GAMMA).mean(1).sum() / divisor,
        "semantic_dice": dice_loss(found, wanted).sum() / divisor,
    }


def focal_loss(logits: Tensor, wanted: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss (arXiv 1708.02002) of every element."""
    probability = logits.sigmoid()
    missed = wanted + probability - 2 * wanted * probability
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return balance * missed**gamma * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def dice_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Dice loss (M,) of masks (M, pixels), smoothed by one pixel."""
    probability = logits.sigmoid()
    overlap = 2 * (probability * wanted).sum(1)
    return 1 - (overlap + 1) / (probability.sum(1) + wanted.sum(1) + 1)


def _resize(logits: Tensor, targets: Targets) -> Tensor:
    size = targets.masks.shape[-2:]
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
