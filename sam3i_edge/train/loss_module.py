"""One training step's loss: the model's answers to a batch, held against its targets."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.model import Detections, Pyramid, Sam3i
from sam3i_edge.model.vision import normalize
from sam3i_edge.tokenizer import PADDING_ID
from sam3i_edge.train import alignment_loss as alignment
from sam3i_edge.train.batches import Batch, Prompts
from sam3i_edge.train.detection_loss import (
    WEIGHTS,
    Answer,
    Parts,
    dice_loss,
    layer_losses,
    mask_losses,
    semantic_losses,
    weighted,
)
from sam3i_edge.train.distributed import gather, gather_texts, mean_over_processes, num_processes
from sam3i_edge.train.matching import match_one_to_many, match_one_to_one
from sam3i_edge.train.recipe import TrainRecipe
from sam3i_edge.train.targets import Match, Targets

ENTROPY_WEIGHT = 5.0


class Group(NamedTuple):
    """Losses of one of the model's several answers to a batch."""

    weight: float
    parts: Parts
    is_answer: bool
    """Of the last layer's one-to-one queries, which alone answer at inference."""


class Detected(NamedTuple):
    """The model's answers to one text per prompt, and what they cost."""

    loss: Tensor
    log: Parts
    """The loss's weighted parts, detached."""
    found: Detections
    """With the one-to-many copies of the queries."""
    masks: Tensor
    """(M, 2Q, h, w) logits, of the prompts whose masks are learned from"""
    semantic: Tensor
    """(M, 1, h, w) logits of the semantic mask"""


class LossModule(nn.Module):
    """A model and its loss in one module, so that ``accelerate`` can wrap both."""

    def __init__(self, model: Sam3i, recipe: TrainRecipe) -> None:
        super().__init__()
        self.model = model
        self._negative_weight, self._one_to_many_weight = recipe.negative_weight, recipe.one_to_many_weight

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """The loss of a batch, and its weighted parts, detached, for the log."""
        rows = self.rows(self.model.encode_image(normalize(batch.images)), batch)
        texts = [self.model.encode_text(*prompts) for prompts in batch.texts]
        if len(batch.texts) == 1:
            only = self.detection(rows, batch, batch.texts[0], texts[0])
            return only.loss, only.log
        simple, complex_, _ = batch.texts
        a = self.detection(rows, batch, simple, texts[0])
        b = self.detection(rows, batch, complex_, texts[1])
        with torch.autocast(batch.images.device.type, enabled=False):  # similarities and divergences need the digits
            aligned = self._alignment(a.semantic, b.semantic, [text.float() for text in texts], batch)
        log = {name: a.log[name] + b.log[name] for name in a.log}
        log |= {name: value.detach() for name, value in aligned.items()}
        return a.loss + b.loss + torch.stack([*aligned.values()]).sum(), log

    @staticmethod
    def rows(pyramid: Pyramid, batch: Batch) -> Pyramid:
        """The images' features, a row for each prompt that reads them; the finer two are read for masks alone."""
        fine, middle, coarse = pyramid
        masked = batch.image_index[batch.masked]
        return fine.index_select(0, masked), middle.index_select(0, masked), coarse.index_select(0, batch.image_index)

    def detection(self, pyramid: Pyramid, batch: Batch, prompts: Prompts, text: Tensor) -> Detected:
        """Answer one text per prompt; ``pyramid`` has its rows."""
        tokens, gates = prompts
        found = self.model.detect(
            pyramid,
            text,
            tokens == PADDING_ID,
            gates,
            batch.boxes,
            batch.box_labels,
            for_training=True,
            one_to_many=self._one_to_many_weight > 0,
            pixel_prompts=batch.masked,
        )
        semantic = self.model.segmentation_head.semantic(found.pixels)
        masks = self.model.masks(found._replace(queries=found.queries[batch.masked]), gates[batch.masked])
        groups = [Group(1.0, semantic_losses(semantic, batch.targets.of(batch.masked)), is_answer=True)]
        weights = self._negative_weight, self._one_to_many_weight
        groups += detection_groups(found, masks, batch.masked, batch.targets, *weights)
        count = num_processes() * len(tokens)
        loss = torch.stack([group.weight * weighted(group.parts) for group in groups]).sum() * count**0.5
        log: Parts = defaultdict(lambda: torch.zeros((), device=batch.images.device))
        for group in groups:
            for name, value in group.parts.items():
                # The one-to-many queries match more and more targets as they learn: their sums would hide the rest's.
                shown = name if group.is_answer else "auxiliary"
                log[shown] = log[shown] + group.weight * WEIGHTS[name] * value.detach()
        return Detected(loss, dict(log), found, masks, semantic)

    def _alignment(self, a: Tensor, b: Tensor, texts: list[Tensor], batch: Batch) -> Parts:
        """The losses between the simple (A) and the complex (B) pass."""
        # Two texts that mean nothing need not be alike. The mean is over all 32 places, padding included, as published.
        some = batch.targets.counts > 0
        simple, complex_, concept = (gather(self.model.concept_proj(text[some].mean(1))) for text in texts)
        concepts = gather_texts([text for text, means in zip(batch.concepts, some.tolist(), strict=True) if means])
        none = simple.sum() * 0.0  # a batch of nothing but texts that mean nothing
        info_nce = alignment.info_nce_loss(simple, complex_, concepts) if concepts else none
        margin = alignment.margin_loss(simple, complex_, concept, concepts) if concepts else none
        kl = (alignment.kl_loss(a, b) + alignment.kl_loss(b, a)) / 2
        targets = batch.targets.of(batch.masked)
        divergence = alignment.divergence_loss(a, b, targets) + alignment.divergence_loss(b, a, targets)
        return {
            "kl": alignment.KL_WEIGHT * kl,
            "divergence": alignment.DIVERGENCE_WEIGHT * divergence / 2,
            "info_nce": alignment.INFO_NCE_WEIGHT * info_nce,
            "margin": alignment.MARGIN_WEIGHT * margin,
        }


class EncoderLossModule(nn.Module):
    """The two encoders alone, taught to agree: an image cell and a text score high where the text means the cell.

    A tenth of the detector's work per text; it gives a model that starts from nothing its features.
    """

    def __init__(self, model: Sam3i) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """As ``Learner.forward``."""
        middle, coarse = self.model.backbone.vision_backbone(normalize(batch.images), finest=1)
        (tokens, gates), *_ = batch.texts
        used = (tokens != PADDING_ID)[..., None].float()
        text = (self.model.encode_text(tokens, gates) * used).sum(1) / used.sum(1)
        wanted = batch.targets.union_masks()[:, None]
        some = batch.targets.counts > 0
        by_image = (text * text.shape[1] ** -0.5).split(batch.image_index.bincount(minlength=len(coarse)).tolist())
        parts: Parts = {}
        for name, level in (("middle", middle), ("coarse", coarse)):
            # Image by image: a copy of the map for every prompt would take longer than the products.
            found = torch.cat([texts @ cells for texts, cells in zip(by_image, level.flatten(2), strict=True)]).float()
            share = F.adaptive_avg_pool2d(wanted, level.shape[-2:]).flatten(1)
            parts[f"{name}_entropy"] = ENTROPY_WEIGHT * F.binary_cross_entropy_with_logits(found, share)
            parts[f"{name}_dice"] = dice_loss(found, share)[some].sum() / some.sum().clamp(min=1)
        return torch.stack([*parts.values()]).sum(), {name: value.detach() for name, value in parts.items()}


def detection_groups(
    found: Detections,
    masks: Tensor,
    masked: Tensor,
    targets: Targets,
    negative_weight: float,
    one_to_many_weight: float,
) -> list[Group]:
    """The losses of every layer's answer, for the one-to-one queries and for their one-to-many copies.

    Args:
        found: of ``Sam3i.detect(…, for_training=True)``.
        masks: (M, 2Q, h, w) logits.
        masked: (M,) the prompts they belong to, ascending.
        targets: of the N prompts.
        negative_weight: as ``TrainRecipe``'s.
        one_to_many_weight: the same; with 0 ``found`` has no copies.
    """
    boxes = mean_over_processes(targets.counts.sum().float()).clamp(min=1)
    masked_boxes = mean_over_processes(targets.counts[masked].sum().float()).clamp(min=1)
    half = found.logits.shape[1] // 2 if one_to_many_weight else found.logits.shape[1]
    groups = []
    # The copies of the early layers are matched one to one, as published.
    for weight, side, last_matcher, is_answer in (
        (1.0, slice(None, half), match_one_to_one, True),
        (one_to_many_weight, slice(half, None), match_one_to_many, False),
    ):
        if not weight:
            continue
        last = Answer(found.logits[:, side], found.boxes[:, side], found.presence if is_answer else None)
        match = last_matcher(last.logits, last.boxes, targets)
        groups.append(Group(weight, layer_losses(last, targets, match, boxes, negative_weight), is_answer))
        has_mask = torch.isin(match.prompts, masked)
        seen = Match(match.prompts[has_mask], match.queries[has_mask], match.targets[has_mask])
        matched = masks[:, side][torch.searchsorted(masked, seen.prompts), seen.queries]
        groups.append(Group(weight, mask_losses(matched, targets, seen, masked_boxes), is_answer))
        for layer in found.early:
            answer = Answer(layer.logits[:, side], layer.boxes[:, side], layer.presence if is_answer else None)
            match = match_one_to_one(answer.logits, answer.boxes, targets)
            groups.append(Group(weight, layer_losses(answer, targets, match, boxes, negative_weight), is_answer=False))
    return groups
