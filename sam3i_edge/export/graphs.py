"""The three graphs that are cut out of the model, with their typed inputs and outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam3i_edge.bundle import Limits, TensorSpec
from sam3i_edge.model import ModelConfig, Pyramid, Sam3i
from sam3i_edge.model.layers import box_cxcywh_to_xyxy

FREE = "prompts"
"""Name of the one free dimension: how many prompts share a call."""


class VisionGraph(nn.Module):
    """Resized uint8 image, channels last, to the feature pyramid; normalisation is inside."""

    def __init__(self, model: Sam3i) -> None:
        super().__init__()
        self.vision_backbone = model.backbone.vision_backbone

    def forward(self, image: Tensor) -> Pyramid:
        pixel_values = image.permute(0, 3, 1, 2).float() / 127.5 - 1  # scale to [0, 1], mean 0.5, std 0.5
        return self.vision_backbone(pixel_values)


class TextGraph(nn.Module):
    """Token ids and route gates to the text memory."""

    def __init__(self, model: Sam3i) -> None:
        super().__init__()
        self.language_backbone = model.backbone.language_backbone

    def forward(self, tokens: Tensor, gates: Tensor) -> Tensor:
        return self.language_backbone(tokens, gates)


class GroundingGraph(nn.Module):
    """Features and prompts to the ``max_instances`` best instances of each prompt, best first.

    Choosing them in here keeps 200 masks of 288 x 288, 66 MB per prompt, from ever being computed.
    """

    def __init__(self, model: Sam3i, max_instances: int) -> None:
        super().__init__()
        self.model = model
        self.max_instances = max_instances

    def forward(
        self,
        fine: Tensor,
        middle: Tensor,
        coarse: Tensor,
        text: Tensor,
        text_padding: Tensor,
        gates: Tensor,
        box_prompts: Tensor,
        box_labels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        found = self.model.detect((fine, middle, coarse), text, text_padding, gates, box_prompts, box_labels)
        logits, index = found.logits.topk(self.max_instances, dim=1)
        best = index[..., None]
        queries = found.queries.gather(1, best.expand(-1, -1, found.queries.shape[-1]))
        corners = box_cxcywh_to_xyxy(found.boxes.gather(1, best.expand(-1, -1, 4)))
        masks = self.model.segmentation_head.masks(found.pixels, queries, gates)
        return logits, found.presence, corners, masks, index.int()


def default_limits(config: ModelConfig) -> Limits:
    """How much one grounding call takes.

    A call holds the encoder's self-attention of every prompt at once, heads x g⁴ floats; ``max_prompts`` keeps that
    below 1 GiB. More prompts than that run in several calls.
    """
    attention_bytes = 4 * config.num_heads * config.grid_size**4
    return Limits(
        max_prompts=max(1, min(16, 2**30 // attention_bytes)),
        max_boxes=16,
        max_instances=min(32, config.num_queries),
    )


def vision_io(config: ModelConfig) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of the vision graph."""
    return (TensorSpec("image", "uint8", (1, config.image_size, config.image_size, 3)),), _pyramid(config)


def text_io(config: ModelConfig) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of the text graph."""
    length = config.text.context_length
    inputs = (TensorSpec("tokens", "int32", (FREE, length)), TensorSpec("gates", "float32", (FREE, 3)))
    return inputs, (TensorSpec("text", "float32", (FREE, length, config.hidden_size)),)


def grounding_io(config: ModelConfig, limits: Limits) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of the grounding graph."""
    length, side, best = config.text.context_length, 4 * config.grid_size, limits.max_instances
    inputs = (
        *_pyramid(config),
        TensorSpec("text", "float32", (FREE, length, config.hidden_size)),
        TensorSpec("text_padding", "bool", (FREE, length)),
        TensorSpec("gates", "float32", (FREE, 3)),
        TensorSpec("box_prompts", "float32", (FREE, limits.max_boxes, 4)),
        TensorSpec("box_labels", "int32", (FREE, limits.max_boxes)),
    )
    outputs = (
        TensorSpec("logits", "float32", (FREE, best)),
        TensorSpec("presence", "float32", (FREE, 1)),
        TensorSpec("boxes", "float32", (FREE, best, 4)),
        TensorSpec("masks", "float32", (FREE, best, side, side)),
        TensorSpec("query_index", "int32", (FREE, best)),
    )
    return inputs, outputs


def _pyramid(config: ModelConfig) -> tuple[TensorSpec, ...]:
    sides = {"fine": 4 * config.grid_size, "middle": 2 * config.grid_size, "coarse": config.grid_size}
    return tuple(TensorSpec(name, "float32", (1, config.hidden_size, side, side)) for name, side in sides.items())


def example(spec: TensorSpec) -> Tensor:
    """A tensor of the spec's type and shape to trace with; the free dimension is 2, so that it is not taken for 1."""
    shape = [2 if isinstance(side, str) else side for side in spec.shape]
    return torch.zeros(shape, dtype=getattr(torch, spec.dtype))
