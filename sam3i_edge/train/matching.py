"""Assigning queries to targets: one to one (Hungarian), and several to one (as DAC-DETR does)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sam3i_edge.errors import TrainingError
from sam3i_edge.model.layers import box_cxcywh_to_xyxy
from sam3i_edge.train.boxes import box_iou, generalized_box_iou
from sam3i_edge.train.targets import Match, Targets

CLASS_COST, BOX_COST, GIOU_COST = 2.0, 5.0, 2.0
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0

SCORE_SHARE = 0.3
"""In one-to-many matching a query's merit is 0.3 of its score and 0.7 of its overlap with the target."""
LEAST_MERIT = 0.4
MOST_QUERIES = 4


@torch.no_grad()
def match_one_to_one(logits: Tensor, boxes: Tensor, targets: Targets) -> Match:
    """The cheapest assignment of queries to the targets of their prompt, each used once.

    Args:
        logits: (N, Q).
        boxes: (N, Q, 4) normalised cx cy w h.
        targets: of the N prompts.

    Raises:
        TrainingError: a logit or box is not finite.
    """
    costs = _costs(logits.float(), boxes.float(), targets).cpu()
    if not costs.isfinite().all():
        raise TrainingError("The model's answers are not finite. Lower rate_scale, or use precision 'no'.")
    rows, queries, start = [], [], 0
    for part in costs.split(targets.counts.tolist()):
        target, query = linear_sum_assignment(part.numpy())  # targets ascending
        rows += [start + int(t) for t in target]
        queries += [int(q) for q in query]
        start += len(part)
    index = torch.tensor(rows, dtype=torch.long, device=logits.device)
    return Match(targets.prompts[index], torch.tensor(queries, dtype=torch.long, device=logits.device), index)


@torch.no_grad()
def match_one_to_many(logits: Tensor, boxes: Tensor, targets: Targets) -> Match:
    """For each target the best few queries of its prompt that are good enough; arguments as above."""
    prompts = targets.prompts
    iou, _ = box_iou(box_cxcywh_to_xyxy(boxes.float())[prompts], targets.corners[:, None])
    merit = SCORE_SHARE * logits.float().sigmoid()[prompts] + (1 - SCORE_SHARE) * iou  # (T, Q)
    if len(merit) == 0:
        return Match(prompts, prompts, prompts)
    among_best = merit > torch.quantile(merit, 1 - MOST_QUERIES / merit.shape[1], dim=1, keepdim=True)
    index, queries = torch.nonzero(among_best & (merit > LEAST_MERIT), as_tuple=True)
    return Match(prompts[index], queries, index)


def _costs(logits: Tensor, boxes: Tensor, targets: Targets) -> Tensor:
    """(T, Q): what it costs to let a query of its prompt answer for a target."""
    prompts = targets.prompts
    probability = logits.sigmoid()
    positive = FOCAL_ALPHA * (1 - probability) ** FOCAL_GAMMA * -F.logsigmoid(logits)
    negative = (1 - FOCAL_ALPHA) * probability**FOCAL_GAMMA * -F.logsigmoid(-logits)
    distance = (boxes[prompts] - targets.boxes[:, None]).abs().sum(-1)
    giou = generalized_box_iou(box_cxcywh_to_xyxy(boxes)[prompts], targets.corners[:, None])
    return BOX_COST * distance + CLASS_COST * (positive - negative)[prompts] - GIOU_COST * giou
