"""What a student is told by its teacher: features, texts, and answers with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3i_edge.model import Pyramid
from sam3i_edge.model.layers import box_cxcywh_to_xyxy
from sam3i_edge.train.boxes import generalized_box_iou
from sam3i_edge.train.detection_loss import WEIGHTS, Parts
from sam3i_edge.train.distributed import gather, mean_over_processes
from sam3i_edge.train.matching import match_one_to_one
from sam3i_edge.train.targets import Match, Targets

LEVEL_WEIGHTS = (0.3, 0.3, 2.4)
"""Of the pyramid's levels, fine to coarse. The detector finds all in the coarsest; the others are for masks alone."""
FOUND = 0.1
"""Queries that the teacher scores above this are answers, which the student has to give, too."""
SCORE_GAMMA = 2.0
ENTROPY_PER_FOCAL = 10.0
"""Soft targets have cross-entropy where the task's own loss is focal, which is smaller: divided by this, chosen by
hand, it goes with the same weight."""
MARGIN_WEIGHT = 5.0


class Answers(NamedTuple):
    """What a model says of N prompts with Q queries each."""

    logits: Tensor
    """(N, Q)"""
    boxes: Tensor
    """(N, Q, 4) normalised cx cy w h"""
    presence: Tensor
    """(N, 1) logit"""
    masks: Tensor
    """(M, Q, h, w) logits, of the M prompts whose masks are learned from"""

    @property
    def scores(self) -> Tensor:
        """(N, Q) in [0, 1], as the runtimes report them."""
        return self.logits.float().sigmoid() * self.presence.float().sigmoid()


def pyramid_losses(found: Pyramid, wanted: Pyramid) -> Parts:
    """Squared error, in shares of the teacher's variance, and cosine distance of the cells, over the three levels.

    A student that sees smaller pictures has fewer cells: the teacher's are averaged to as many.
    """
    levels = [(a.float(), resized(b.float(), a.shape[-2:])) for a, b in zip(found, wanted, strict=True)]
    terms = [
        (weight * _relative_error(a, b), weight * _cosine_distance(a, b, 1).mean())
        for weight, (a, b) in zip(LEVEL_WEIGHTS, levels, strict=True)
    ]
    errors, distances = zip(*terms, strict=True)
    return {"feature_error": torch.stack(errors).mean(), "feature_cosine": torch.stack(distances).mean()}


def text_losses(found: Tensor, wanted: Tensor, used: Tensor) -> Parts:
    """Losses of the text memory.

    Args:
        found: (N, 32, D), the student's.
        wanted: (N, 32, D), the teacher's.
        used: (N, 32) bool, no padding.

    Returns:
        Squared error and cosine distance over the used tokens; and ``text_relation``, the squared error of the
        similarities between all pairs of the batch's texts, whatever their routes: what the teacher's routes have to do
        with each other must survive.
    """
    found, wanted = found.float(), wanted.float()
    distances = _cosine_distance(found[used], wanted[used], -1)
    return {
        "text_error": _relative_error(found[used], wanted[used]),
        "text_cosine": distances.sum() / _over_processes(used.sum()),
        "text_relation": F.mse_loss(relations(found, used), relations(wanted, used)),
    }


def relations(text: Tensor, used: Tensor) -> Tensor:
    """Cosine similarities (N, N) of the pooled memories of all processes' texts; arguments as in ``text_losses``."""
    share = used[..., None].float()
    pooled = gather(F.normalize((text * share).sum(1) / share.sum(1), dim=-1))
    return pooled @ pooled.T


def answer_losses(found: Answers, wanted: Answers, masked: Tensor) -> Parts:
    """Soft targets for scores, presence, boxes and masks, under the names of the task's own losses, and the margin.

    The teacher's answers are matched one to one with the student's queries, which need not be as many or in its order.

    Args:
        found: the student's.
        wanted: the teacher's.
        masked: (M,) the prompts with masks, ascending.
    """
    answers, weight, queries = _as_targets(wanted)
    match = match_one_to_one(found.logits, found.boxes, answers)
    total = _over_processes(weight.sum())
    theirs, share = queries[match.targets], weight[match.targets]
    a, b = found.boxes[match.prompts, match.queries].float(), wanted.boxes[match.prompts, theirs].float()
    giou = 1 - generalized_box_iou(box_cxcywh_to_xyxy(a), box_cxcywh_to_xyxy(b))
    parts = {
        "box_l1": ((a - b).abs().sum(1) * share).sum() / total,
        "box_giou": (giou * share).sum() / total,
        "score": _score_loss(found.logits.float(), wanted.logits.float(), match, theirs),
        "presence": F.binary_cross_entropy_with_logits(found.presence.float(), wanted.presence.float().sigmoid()) / 2,
        "margin": F.relu(margin(wanted.scores) - margin(found.scores)).mean(),  # what it lacks of the teacher's
    }
    return parts | _mask_losses(found.masks, wanted.masks, masked, match, theirs, share)


def weighted(parts: Parts) -> Tensor:
    """The sum of ``answer_losses``, each with the weight of the task's own loss."""
    return torch.stack([WEIGHTS.get(name, MARGIN_WEIGHT) * value for name, value in parts.items()]).sum()


def margin(scores: Tensor) -> Tensor:
    """How far the best of (…, Q) scores lies above the second best."""
    best, second = scores.topk(2, dim=-1).values.unbind(-1)
    return best - second


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps or pictures (N, C, h, w) at another size, each cell the mean of what it covers."""
    if maps.shape[-2:] == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", antialias=True, align_corners=False)


def _over_processes(total: Tensor) -> Tensor:
    """A divisor under which processes with as many prompts each learn as one does from their joint batch."""
    return mean_over_processes(total.float()).clamp(min=1)


def _relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    count = _over_processes(wanted.new_tensor(wanted.numel()))
    mean = mean_over_processes(wanted.sum()) / count
    variance = mean_over_processes((wanted - mean).square().sum()) / count
    return F.mse_loss(found, wanted, reduction="sum") / (count * variance.clamp(min=1e-8))


def _cosine_distance(found: Tensor, wanted: Tensor, dim: int) -> Tensor:
    return 1 - F.cosine_similarity(found, wanted, dim=dim)


def _as_targets(wanted: Answers) -> tuple[Targets, Tensor, Tensor]:
    """The teacher's answers as packed targets, with each one's score, and its query."""
    is_answer = wanted.scores > FOUND
    prompts, queries = is_answer.nonzero(as_tuple=True)
    boxes = wanted.boxes[prompts, queries].float()
    return Targets(boxes, boxes.new_zeros(len(boxes), 1, 1).bool(), is_answer.sum(1)), wanted.scores[is_answer], queries


def _score_loss(found: Tensor, wanted: Tensor, match: Match, theirs: Tensor) -> Tensor:
    """Matched queries should score as the teacher's do, the others nothing; per matched query."""
    target = torch.zeros_like(found)
    target[match.prompts, match.queries] = wanted.sigmoid()[match.prompts, theirs]
    matched = torch.zeros_like(found)
    matched[match.prompts, match.queries] = 1.0
    entropy = F.binary_cross_entropy_with_logits(found, target, reduction="none")
    # As in the task's loss: the many queries of nothing weigh by how much they err.
    weight = matched + (1 - matched) * found.detach().sigmoid() ** SCORE_GAMMA
    some = matched.any(1, keepdim=True)  # where the teacher finds nothing, presence says so
    return (entropy * weight * some).sum() / _over_processes(matched.sum()) / ENTROPY_PER_FOCAL


def _mask_losses(found: Tensor, wanted: Tensor, masked: Tensor, match: Match, theirs: Tensor, share: Tensor) -> Parts:
    """Cross-entropy and dice with the teacher's soft masks, by the teacher's scores."""
    has_mask = torch.isin(match.prompts, masked)
    row = torch.searchsorted(masked, match.prompts[has_mask])
    a = found[row, match.queries[has_mask]].float().flatten(1)
    b = resized(wanted[row, theirs[has_mask]][:, None].float(), found.shape[-2:]).sigmoid().flatten(1)
    share = share[has_mask]
    total = _over_processes(share.sum())
    entropy = F.binary_cross_entropy_with_logits(a, b, reduction="none").mean(1)
    probability = a.sigmoid()
    dice = 1 - (2 * (probability * b).sum(1) + 1) / (probability.square().sum(1) + b.square().sum(1) + 1)
    return {
        "mask_focal": (entropy * share).sum() / total / ENTROPY_PER_FOCAL,
        "mask_dice": (dice * share).sum() / total,
    }
