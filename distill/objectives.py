"""The losses of the stages of distillation, each in one module with the student, for the training loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sam3i_edge.distill import losses
from sam3i_edge.distill.losses import Answers
from sam3i_edge.distill.teacher import Teacher
from sam3i_edge.model import Pyramid, Sam3i
from sam3i_edge.model.vision import normalize
from sam3i_edge.quantize.qat import FakeIntegers
from sam3i_edge.quantize.quantizer import SCHEMES
from sam3i_edge.quantize.recipe import QuantRecipe as QuantizationRecipe
from sam3i_edge.tokenizer import PADDING_ID
from sam3i_edge.train.batches import Batch, Prompts
from sam3i_edge.train.detection_loss import Parts
from sam3i_edge.train.distributed import num_processes
from sam3i_edge.train.loss_module import LossModule
from sam3i_edge.train.recipe import TrainRecipe

FEATURE_WEIGHT = 20.0
"""Of pyramid and text beside the answers, in the last stage."""


class Pictures(NamedTuple):
    """Images, and what the teacher sees in them, if that is known."""

    images: Tensor
    """(B, S, S, 3) uint8"""
    pyramid: Pyramid | None

    def to(self, device: torch.device) -> Pictures:
        """The batch on ``device``."""
        known = None if self.pyramid is None else tuple(level.to(device) for level in self.pyramid)
        return Pictures(self.images.to(device), known)  # type: ignore[arg-type]


class VisionObjective(nn.Module):
    """The student's pyramid against the teacher's."""

    def __init__(self, model: Sam3i, teacher: Teacher) -> None:
        super().__init__()
        self.model = model
        self._teacher = teacher

    def forward(self, batch: Pictures) -> tuple[Tensor, Parts]:
        """As ``Learner.forward``."""
        wanted = batch.pyramid
        if wanted is None:
            with torch.no_grad():
                wanted = self._teacher.on(batch.images.device).encode_image(normalize(batch.images))
        return _total(losses.pyramid_losses(_see(self.model, batch.images), wanted))


class TextObjective(nn.Module):
    """The student's text memory against the teacher's, on all routes."""

    def __init__(self, model: Sam3i, teacher: Teacher) -> None:
        super().__init__()
        self.model = model
        self._teacher = teacher

    def forward(self, batch: Prompts) -> tuple[Tensor, Parts]:
        """As ``Learner.forward``."""
        with torch.no_grad():
            wanted = self._teacher.on(batch.tokens.device).encode_text(*batch)
        return _total(losses.text_losses(self.model.encode_text(*batch), wanted, batch.tokens != PADDING_ID))


class CascadeObjective(LossModule):
    """The whole student: the task's own losses, and the teacher's answers and features."""

    def __init__(self, model: Sam3i, recipe: TrainRecipe, teacher: Teacher) -> None:
        super().__init__(model, recipe)
        self._teacher = teacher

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """As ``Learner.forward``."""
        (prompts,) = batch.texts
        pyramid, text = _see(self.model, batch.images), self.model.encode_text(*prompts)
        task = self.detection(self.rows(pyramid, batch), batch, prompts, text)
        with torch.no_grad():
            teacher = self._teacher.on(batch.images.device)
            their_pyramid, their_text = teacher.encode_image(normalize(batch.images)), teacher.encode_text(*prompts)
            theirs = _answers(teacher, self.rows(their_pyramid, batch), batch, prompts, their_text)
        found, count = task.found, self.model.config.num_queries  # behind them their one-to-many copies
        mine = Answers(found.logits[:, :count], found.boxes[:, :count], found.presence, task.masks[:, :count])
        answers = losses.answer_losses(mine, theirs, batch.masked)
        features = losses.pyramid_losses(pyramid, their_pyramid)
        features |= losses.text_losses(text, their_text, prompts.tokens != PADDING_ID)
        scale = (num_processes() * len(prompts.tokens)) ** 0.5
        told = losses.weighted(answers) + FEATURE_WEIGHT * torch.stack([*features.values()]).sum()
        log = task.log | {f"teacher/{name}": value.detach() for name, value in (answers | features).items()}
        return task.loss + scale * told, log


class Int8Objective(CascadeObjective):
    """As the whole student, while the layers of a recipe compute as int8 would: the finish before quantization."""

    def __init__(
        self, model: Sam3i, recipe: TrainRecipe, teacher: Teacher, int8: QuantizationRecipe, scheme: str
    ) -> None:
        super().__init__(model, recipe, teacher)
        self.ranges = FakeIntegers(model, int8, SCHEMES[scheme])

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """As ``Learner.forward``. The teacher's weights are others, and stay in floating point."""
        with self.ranges.active():
            return super().forward(batch)


def _see(student: Sam3i, images: Tensor) -> Pyramid:
    """The student's pyramid of the teacher's images, at the size that the student sees."""
    size = student.config.image_size
    return student.encode_image(losses.resized(normalize(images), (size, size)))


def _answers(teacher: Sam3i, rows: Pyramid, batch: Batch, prompts: Prompts, text: Tensor) -> Answers:
    tokens, gates = prompts
    found = teacher.detect(
        rows, text, tokens == PADDING_ID, gates, batch.boxes, batch.box_labels, pixel_prompts=batch.masked
    )
    masks = teacher.masks(found._replace(queries=found.queries[batch.masked]), gates[batch.masked])
    return Answers(found.logits, found.boxes, found.presence, masks)


def _total(parts: Parts) -> tuple[Tensor, Parts]:
    return torch.stack([*parts.values()]).sum(), {name: value.detach() for name, value in parts.items()}
