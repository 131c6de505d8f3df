"""The SAM3-I detector, whole, under the published parameter names (arXiv 2512.04585)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.adapters import BottleneckAdapter, TextAdapter
from sam3i_edge.model.decoder import Decoder
from sam3i_edge.model.encoder import FusionEncoder
from sam3i_edge.model.geometry import GeometryEncoder
from sam3i_edge.model.heads import DotProductScoring, MaskHead
from sam3i_edge.model.layers import padding_bias, sine_position_map
from sam3i_edge.model.lite import LiteBackbone
from sam3i_edge.model.text import TextEncoder
from sam3i_edge.model.vision import VisionBackbone

Pyramid = tuple[Tensor, Tensor, Tensor]
"""Features of one image: (1, D, 4g, 4g), (1, D, 2g, 2g) and (1, D, g, g), with g = image_size / patch_size."""


class Detections(NamedTuple):
    """What the decoder says of N prompts with Q queries each; masks are made from it."""

    queries: Tensor
    """(N, Q, D)"""
    logits: Tensor
    """(N, Q), before the sigmoid"""
    boxes: Tensor
    """(N, Q, 4) normalised cx cy w h"""
    presence: Tensor
    """(N, 1), logit that the prompt is in the image at all; a query's score is sigmoid(logit) x sigmoid(presence)"""
    pixels: Tensor
    """(N, D, 4g, 4g) pixel embeddings; or of those prompts alone that were asked for"""
    memory: Tensor
    """(N, g², D) the fusion encoder's output"""
    early: tuple[EarlyDetections, ...] = ()
    """Of the layers before the last; only training asks for them."""


class EarlyDetections(NamedTuple):
    """What a decoder layer before the last would have answered; the shapes are those of ``Detections``."""

    logits: Tensor
    boxes: Tensor
    presence: Tensor


class Backbone(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vision_backbone = LiteBackbone(config) if config.vision.backbone else VisionBackbone(config)
        self.language_backbone = TextEncoder(config)


class Transformer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = FusionEncoder(config)
        self.decoder = Decoder(config)


class Sam3i(nn.Module):
    """SAM3-I: image and instruction to instance masks.

    Three steps, each exported as a graph of its own: ``encode_image`` once per frame, ``encode_text`` once per text,
    ``detect`` + ``masks`` once per prompt. ``gates`` are one-hot rows (N, 3) choosing the route of each prompt:
    concept, simple, complex.
    """

    positions: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.transformer = Transformer(config)
        self.geometry_encoder = GeometryEncoder(config)
        self.segmentation_head = MaskHead(config)
        self.dot_prod_scoring = DotProductScoring(config)
        size = config.projection_size  # of the projection that only the alignment losses use
        projection = nn.Sequential(nn.Linear(size, size), nn.LayerNorm(size), nn.ReLU(), nn.Linear(size, size))
        self.simple_query_proj = self.complex_query_proj = self.concept_proj = projection
        positions = sine_position_map(config.grid_size, config.hidden_size)
        self.register_buffer("positions", positions, persistent=False)

    def encode_image(self, pixel_values: Tensor) -> Pyramid:
        """Normalised pixels (1, 3, S, S) to the feature pyramid."""
        fine, middle, coarse = self.backbone.vision_backbone(pixel_values)
        return fine, middle, coarse

    def encode_text(self, tokens: Tensor, gates: Tensor) -> Tensor:
        """Token ids (N, 32) and gates (N, 3) to the text memory (N, 32, D)."""
        return self.backbone.language_backbone(tokens, gates)

    def detect(
        self,
        pyramid: Pyramid,
        text: Tensor,
        text_padding: Tensor,
        gates: Tensor,
        boxes: Tensor,
        box_labels: Tensor,
        *,
        for_training: bool = False,
        one_to_many: bool = True,
        pixel_prompts: Tensor | None = None,
    ) -> Detections:
        """Find what N prompts mean in one image, or each in an image of its own.

        Args:
            pyramid: from ``encode_image``, with batch 1, or N: a row for each prompt.
            text: (N, 32, D) from ``encode_text``.
            text_padding: (N, 32) bool, True where the token id is 0.
            gates: (N, 3).
            boxes: (N, B, 4) normalised cx cy w h.
            box_labels: (N, B) integers: 1 positive, 0 negative, -1 unused.
            for_training: also answer for the early layers.
            one_to_many: when training, run every query a second time for one-to-many matching: Q is doubled, the second
                half being those.
            pixel_prompts: (M,) make pixel embeddings of these prompts alone, which are nearly half of the work; the two
                finer levels of ``pyramid`` then have a row for each of them.
        """
        coarse = pyramid[2]
        image = coarse.flatten(2).transpose(1, 2)
        geometry, geometry_padding = self.geometry_encoder(coarse, self.positions, boxes, box_labels)
        prompt = torch.cat([text, geometry], dim=1)
        padding = torch.cat([text_padding, geometry_padding], dim=1)
        bias = padding_bias(padding, prompt.dtype)
        memory = self.transformer.encoder(image, self.positions, prompt, bias, gates)
        layers = self.transformer.decoder(memory, self.positions, prompt, bias, gates, for_training and one_to_many)
        wanted = (memory, prompt, bias)
        if pixel_prompts is not None:
            wanted = (memory[pixel_prompts], prompt[pixel_prompts], bias[pixel_prompts])
        pixels = self.segmentation_head.embed_pixels(pyramid, *wanted)
        scored = layers if for_training else layers[-1:]
        *early, logits = self.dot_prod_scoring(torch.stack([layer.queries for layer in scored]), prompt, padding)
        queries, found_boxes, presence = layers[-1]
        answers = (EarlyDetections(score, x.boxes, x.presence) for score, x in zip(early, scored, strict=False))
        return Detections(queries, logits, found_boxes, presence, pixels, memory, tuple(answers))

    def masks(self, detections: Detections, gates: Tensor) -> Tensor:
        """Mask logits (N, Q, 4g, 4g) of all queries in ``detections``."""
        return self.segmentation_head.masks(detections.pixels, detections.queries, gates)

    @property
    def has_trained_adapters(self) -> bool:
        """Whether any adapter does anything: False for the base model, whose routes all answer alike."""
        adapters = [module for module in self.modules() if isinstance(module, TextAdapter | BottleneckAdapter)]
        return any(bool(adapter.up_proj.weight.any()) for adapter in adapters)

    def reset_adapters(self) -> None:
        """Make every route the base model: adapters to the identity, mask predictors copied from the concept's."""
        for module in self.modules():
            if isinstance(module, TextAdapter | BottleneckAdapter):
                module.reset_to_identity()
        head = self.segmentation_head
        for predictor in (head.mask_predictor_adapter1, head.mask_predictor_adapter2):
            predictor.load_state_dict(head.mask_predictor.state_dict())
