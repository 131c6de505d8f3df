"""The stages of distillation as tasks of the training loop: what each shows, and what of the student learns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.samples import Sample
from sam3i_edge.distill.cache import FeatureCache
from sam3i_edge.distill.objectives import CascadeObjective, Int8Objective, Pictures, TextObjective, VisionObjective
from sam3i_edge.distill.teacher import Teacher
from sam3i_edge.errors import ConfigError, TrainingError, unknown_name
from sam3i_edge.model import Pyramid, Sam3i, checkpoint
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.tokenizer import Tokenizer
from sam3i_edge.train.batches import Collate, Prompts, TrainingSet, ask_each, model_image, prompts_of
from sam3i_edge.train.loss_module import LossModule
from sam3i_edge.train.recipe import TrainRecipe
from sam3i_edge.train.stages import UNREAD
from sam3i_edge.train.training_stage import TrainingStage

_ALL = f"^(?!{checkpoint.LOSS_ONLY.pattern.removeprefix('^')})"
LEARNS = {
    "vision": r"^backbone\.vision_backbone\.",
    "text": r"^backbone\.language_backbone\.",
    "whole": _ALL,
    "int8": _ALL,
}
STAGES = tuple(LEARNS)
"""In their order: the pyramid, the text cascade, all of it end to end, and that once more as int8 will compute it. Any
of them may be left out."""


@dataclass(frozen=True)
class Int8:
    """What the stage ``int8`` pretends to be: a recipe, by the scheme of a target (``targets.INT8_SCHEMES``)."""

    recipe: QuantRecipe = field(default_factory=QuantRecipe)
    scheme: str = "symmetric"


def stage_of(
    student: Sam3i,
    teacher: Teacher | None,
    stage: str,
    samples: Sequence[Sample],
    recipe: TrainRecipe,
    cache: FeatureCache | None = None,
    int8: Int8 | None = None,
) -> TrainingStage:
    """Prepare ``student`` for a stage.

    Args:
        student: its parameters are frozen but those that the stage teaches.
        teacher: None: labels alone, which only the stage ``whole`` has.
        stage: of ``STAGES``.
        samples: the training set.
        recipe: of the stage.
        cache: the teacher's pyramids of ``samples``, for the stage ``vision``; None: computed for every batch.
        int8: for the stage of that name.

    Raises:
        ConfigError: no such stage, or none of it without a teacher; a recipe that does not fit the cache or the model.
        TrainingError: no sample has a text.
    """
    if stage not in STAGES:
        raise ConfigError(unknown_name("stage", stage, STAGES))
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(bool(re.search(LEARNS[stage], name)) and not re.search(UNREAD, name))
    asked = asked_of(samples) if stage != "vision" else []
    tokenizer = clip_tokenizer(student.config.text.context_length)
    image_size = teacher.image_size if teacher else student.config.image_size
    if stage == "whole" or (stage == "int8" and teacher):
        data = TrainingSet(asked, ask_each, recipe, image_size)
        collate = Collate(tokenizer, recipe.mask_share)
        return TrainingStage(stage, data, collate, partial(_end_to_end, stage, recipe, teacher, int8 or Int8()))
    if teacher is None:
        raise ConfigError(f"Stage {stage} has no labels: without the teacher there is nothing to learn in it.")
    if stage == "text":
        texts = TextSet(asked, recipe.prompts)
        return TrainingStage(
            stage,
            texts,
            partial(collate_texts, tokenizer),
            lambda model: TextObjective(model, teacher),
        )
    if cache:
        check_scale(recipe)
    pictures = PictureSet(samples, image_size, recipe.least_scale, cache)
    return TrainingStage(stage, pictures, collate_pictures, lambda model: VisionObjective(model, teacher))


def asked_of(samples: Sequence[Sample]) -> list[Sample]:
    """Those that have a text. Raises TrainingError if none has."""
    asked = [sample for sample in samples if sample.queries]
    if not asked:
        raise TrainingError("No image of the training set has a text.")
    return asked


def check_scale(recipe: TrainRecipe) -> None:
    """Raises ConfigError if a recipe of the stage ``vision`` shrinks images, which a feature cache does not hold."""
    if recipe.least_scale < 1:
        raise ConfigError(f"least_scale is {recipe.least_scale}: a feature cache has the images at their own scale, 1.")


def _end_to_end(stage: str, recipe: TrainRecipe, teacher: Teacher | None, int8: Int8, student: Sam3i) -> LossModule:
    if teacher is None:
        return LossModule(student, recipe)
    if stage == "int8":
        return Int8Objective(student, recipe, teacher, int8.recipe, int8.scheme)
    return CascadeObjective(student, recipe, teacher)


class PictureSet(Dataset[Any]):
    """Images by (sample, seed), shrunk as the seed says, and the teacher's pyramids where they are known."""

    def __init__(
        self, samples: Sequence[Sample], image_size: int, least_scale: float = 1.0, cache: FeatureCache | None = None
    ) -> None:
        self._samples, self._size, self._least_scale, self._cache = samples, image_size, least_scale, cache

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: tuple[int, int]) -> tuple[np.ndarray, Pyramid | None]:
        position, seed = index
        scale = np.random.default_rng(seed).uniform(self._least_scale, 1.0)
        known = None if self._cache is None else self._cache[position]
        return model_image(self._samples[position], self._size, scale), known


class TextSet(Dataset[Any]):
    """A few texts of one sample, each with the route of its level, by (sample, seed)."""

    def __init__(self, samples: Sequence[Sample], texts: int) -> None:
        self._samples, self._texts = samples, texts

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: tuple[int, int]) -> list[tuple[str, str]]:
        position, seed = index
        queries = self._samples[position].queries
        chosen = np.random.default_rng(seed).permutation(len(queries))[: self._texts]
        return [(queries[i].text, queries[i].route) for i in chosen]


def collate_texts(tokenizer: Tokenizer, items: list[list[tuple[str, str]]]) -> Prompts:
    """Items of a ``TextSet`` to a batch."""
    return prompts_of([pair for item in items for pair in item], tokenizer)


def collate_pictures(items: list[tuple[np.ndarray, Pyramid | None]]) -> Pictures:
    """Items of a ``PictureSet`` to a batch."""
    images = torch.from_numpy(np.stack([image for image, _ in items]))
    known = [pyramid for _, pyramid in items if pyramid is not None]
    if not known:
        return Pictures(images, None)
    fine, middle, coarse = (torch.stack(levels) for levels in zip(*known, strict=True))
    return Pictures(images, (fine, middle, coarse))
