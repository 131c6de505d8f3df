"""What each training stage learns, and how its model begins."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.samples import Sample
from sam3i_edge.errors import ConfigError, TrainingError
from sam3i_edge.model import Sam3i, checkpoint
from sam3i_edge.model.encoder import EncoderLayer
from sam3i_edge.model.layers import Mlp, MultiheadAttention
from sam3i_edge.train.batches import Collate, TrainingSet, ask
from sam3i_edge.train.loss_module import EncoderLossModule, LossModule
from sam3i_edge.train.recipe import TrainRecipe
from sam3i_edge.train.training_stage import TrainingStage

ADAPTER, PROJECTION = checkpoint.ADAPTER.pattern, checkpoint.LOSS_ONLY.pattern
STEEPEST = 16.0
QUIET = 0.2
"""The fusion encoder's own additions begin small beside the image's features."""
UNREAD = (
    r"vision_backbone\.convs\.3\.|\.points_(direct|pool|pos_enc)_project\.|\.pixel_decoder\.(conv_layers|norms)\.2\.|"
    r"\.text_projection$"
)
"""Parameters that every checkpoint has and no forward pass reads."""


@dataclass(frozen=True)
class Stage:
    """A stage of training: the levels of text it sees, and the names of the parameters that learn."""

    routes: tuple[str, ...]
    learns: str
    """A regular expression; all else is frozen."""
    validated: tuple[str, ...]
    """The routes whose scores choose its best model; none where it is no segmenter yet."""

    def is_trained(self, name: str) -> bool:
        """Whether the parameter called ``name`` learns in this stage."""
        return bool(re.search(self.learns, name)) and not re.search(UNREAD, name)


STAGES = {
    "encoders": Stage(("concept",), r"^backbone\.(?!.*\.adapter)(?!vision_backbone\.convs\.0\.)", ()),
    "base": Stage(("concept",), f"^(?!.*({ADAPTER}|{PROJECTION}))", ("concept",)),
    "1": Stage(("simple",), r"\.adapter1\.|\.mask_predictor_adapter1\.", ("simple",)),
    "2": Stage(("complex",), r"\.adapter(12|2)\.|\.mask_predictor_adapter2\.", ("complex",)),
    "3": Stage(("simple", "complex", "concept"), f"{ADAPTER}|{PROJECTION}", ("simple", "complex")),
}
"""The encoders alone (for a model that starts from nothing), the base detector on concepts, then the adapters: simple
instructions, complex ones, both together."""


def task_of(model: Sam3i, name: str, samples: Sequence[Sample], recipe: TrainRecipe) -> TrainingStage:
    """``enter`` a stage, with its data and its loss.

    Raises:
        TrainingError: no sample has the texts that the stage needs.
        ConfigError: as ``enter``.
    """
    stage = enter(model, name)
    dataset = TrainingSet(
        samples, lambda sample: ask(sample, stage.routes, recipe.levels), recipe, model.config.image_size
    )
    if len(dataset) == 0:
        raise TrainingError(f"No image has what stage {name} needs: texts on {' and '.join(stage.routes)} level.")
    collate = Collate(clip_tokenizer(model.config.text.context_length), recipe.mask_share)
    learner = EncoderLossModule if name == "encoders" else partial(LossModule, recipe=recipe)
    return TrainingStage(name, dataset, collate, learner)


def enter(model: Sam3i, name: str) -> Stage:
    """Prepare ``model`` for a stage: its adapters begin where the stage before left off, and the rest is frozen.

    1 begins as the base model. 2 begins with what 1 learned: the complex route's first adapter and its mask predictor
    are copies of the simple route's, its second adapter does nothing yet. 3 goes on from 2.

    Raises:
        ConfigError: stage 3 of a model whose projection does not fit its text features.
    """
    stage = STAGES[name]
    if name in ("encoders", "base", "1"):
        model.reset_adapters()
    elif name == "2":
        _start_complex_route(model)
    elif model.config.projection_size != model.config.hidden_size:
        raise ConfigError(
            f"projection_size is {model.config.projection_size} and hidden_size {model.config.hidden_size}; stage 3 "
            f"projects text features, so they must be equal. Train all stages with such a config."
        )
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(stage.is_trained(parameter_name))
    return stage


def _start_complex_route(model: Sam3i) -> None:
    layers = (
        *model.backbone.language_backbone.encoder.transformer.resblocks,
        *model.transformer.encoder.layers,
        *model.transformer.decoder.layers,
    )
    for layer in layers:
        layer.adapter12.load_state_dict(layer.adapter1.state_dict())
        layer.adapter2.reset_to_identity()
    head = model.segmentation_head
    head.mask_predictor_adapter2.load_state_dict(head.mask_predictor_adapter1.state_dict())


def initialize(model: Sam3i) -> Sam3i:
    """Random weights for a base model that is trained from nothing, as is usual for DETR-like detectors."""
    for module in (model.transformer, model.geometry_encoder, model.segmentation_head, model.dot_prod_scoring):
        for part in module.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
            elif isinstance(part, MultiheadAttention):
                nn.init.xavier_uniform_(part.in_proj_weight)
    decoder = model.transformer.decoder
    with torch.no_grad():
        decoder.bbox_embed.layers[-1].get_parameter("weight").zero_()  # boxes begin at their reference points
        nn.init.normal_(decoder.query_embed.weight, std=1 / math.sqrt(model.config.hidden_size))
        centres = _spread(model.config.num_queries)
        decoder.reference_points.weight.copy_(torch.cat([centres, torch.full_like(centres, 0.2)], dim=1).logit())
        for embed in (decoder.boxRPB_embed_x, decoder.boxRPB_embed_y):
            _prefer_the_box(embed)
        for layer in model.transformer.encoder.modules():
            if isinstance(layer, EncoderLayer):
                _compare_directly(layer.cross_attn_image)
                layer.self_attn.out_proj.weight.mul_(QUIET)
                layer.linear2.weight.mul_(QUIET)
        _compare_directly(model.segmentation_head.cross_attend_prompt)
    model.reset_adapters()
    return model


def _compare_directly(attention: MultiheadAttention) -> None:
    """Let image cells attend to the words that are like them: the encoders have learned one space for both."""
    size = attention.out_proj.in_features
    for part in (slice(0, size), slice(size, 2 * size)):
        attention.in_proj_weight[part] = torch.eye(size)


def _spread(count: int) -> Tensor:
    """``count`` places (x, y) that cover the image evenly: a golden-ratio lattice (the R2 sequence)."""
    steps = torch.tensor([0.7548776662, 0.5698402910])
    return (0.5 + torch.arange(1, count + 1)[:, None] * steps) % 1 * 0.9 + 0.05


def _prefer_the_box(embed: Mlp) -> None:
    """Let the attention of each query begin in its own box, and fade with the distance from it, at a rate of each head.

    Two hidden units measure how far a cell lies beyond the box's first and second edge; the rest is as it was, but
    weak. Without it the decoder spends its first thousands of steps on finding out where to look.
    """
    first, second = (layer.get_parameter("weight") for layer in embed.layers)
    heads = second.shape[0]
    first[:2] = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    embed.layers[0].get_parameter("bias")[:2] = 0.0
    second.mul_(0.1)
    second[:, :2] = -STEEPEST * torch.pow(0.5, torch.arange(heads))[:, None]
