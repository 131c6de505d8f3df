"""The geometry encoder: box prompts, positive or negative, as tokens that join the text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.layers import (
    MultiheadAttention,
    box_cxcywh_to_xyxy,
    padding_bias,
    sine_encode,
    sine_frequencies,
)

ROI_SIZE = 7


def roi_weights(start: Tensor, end: Tensor, size: int) -> Tensor:
    """One axis of RoIAlign as an interpolation matrix (…, ROI_SIZE, size) for intervals (…) in map units.

    RoIAlign (``aligned=False``, adaptive sampling) averages bilinear samples on a grid inside each bin. Bilinear
    sampling and the mean are separable, so per axis it is a matrix: no RoiAlign operator, no data-dependent shape.
    The number of samples per bin is ``ceil(length / ROI_SIZE)``; samples beyond it get weight zero.
    """
    length = (end - start).clamp(min=1.0)
    count = torch.ceil(length / ROI_SIZE).clamp(max=float(-(-size // ROI_SIZE)))
    samples = torch.arange(-(-size // ROI_SIZE), dtype=start.dtype, device=start.device)
    bins = torch.arange(ROI_SIZE, dtype=start.dtype, device=start.device)[:, None]
    within = (samples + 0.5) / count[..., None, None]  # (…, 1, samples): place inside a bin, 0 to 1
    at = start[..., None, None] + (bins + within) * (length / ROI_SIZE)[..., None, None]
    used = (within < 1) & (at >= -1) & (at <= size)
    pixels = torch.arange(size, dtype=start.dtype, device=start.device)
    weights = (1 - (at.clamp(0, size - 1)[..., None] - pixels).abs()).clamp(min=0)
    weights = weights * used[..., None].to(start.dtype)
    return weights.sum(-2) / count[..., None, None]


def roi_align(features: Tensor, boxes: Tensor) -> Tensor:
    """Pool ``features`` (1 or N, g, g, D) in ``boxes`` (N, B, 4), xyxy in map units, to (N, B, 7, 7, D)."""
    size = features.shape[1]
    x0, y0, x1, y1 = boxes.unbind(-1)
    pooled_rows = roi_weights(y0, y1, size) @ features.flatten(2)[:, None]
    pooled_rows = pooled_rows.unflatten(-1, (size, -1))  # (N, B, 7, g, D)
    return roi_weights(x0, x1, size)[:, :, None] @ pooled_rows


class GeometryLayer(nn.Module):
    """Pre-norm: self-attention among the prompt's tokens, cross-attention to the image, FFN."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.self_attn = MultiheadAttention(size, config.num_heads)
        self.cross_attn_image = MultiheadAttention(size, config.num_heads)
        self.linear1 = nn.Linear(size, config.ffn_size)
        self.linear2 = nn.Linear(config.ffn_size, size)
        self.norm1 = nn.LayerNorm(size)
        self.norm2 = nn.LayerNorm(size)
        self.norm3 = nn.LayerNorm(size)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor, bias: Tensor, image_keys: Tensor, image_values: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.dropout(self.self_attn(normed, normed, normed, bias))
        x = x + self.dropout(self.cross_attn_image(self.norm2(x), image_keys, image_values))
        return x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(self.norm3(x))))))


class GeometryEncoder(nn.Module):
    """Boxes to tokens. A CLS token is always there, also when a prompt has no box."""

    frequencies: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.label_embed = nn.Embedding(2, size)
        self.cls_embed = nn.Embedding(1, size)
        # Point prompts are trained and stored, but the published image model is prompted with boxes only.
        self.points_direct_project = nn.Linear(2, size)
        self.points_pool_project = nn.Linear(size, size)
        self.points_pos_enc_project = nn.Linear(size, size)
        self.boxes_direct_project = nn.Linear(4, size)
        self.boxes_pool_project = nn.Conv2d(size, size, kernel_size=ROI_SIZE)
        self.boxes_pos_enc_project = nn.Linear(size + 2, size)
        self.final_proj = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.img_pre_norm = nn.LayerNorm(size)
        self.encode = nn.ModuleList(GeometryLayer(config) for _ in range(config.geometry_layers))
        self.encode_norm = nn.LayerNorm(size)
        self.register_buffer("frequencies", torch.from_numpy(sine_frequencies(size // 2)), persistent=False)

    def forward(self, features: Tensor, positions: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the boxes of N prompts.

        Args:
            features: coarsest pyramid level (1, D, g, g), or (N, D, g, g), one for each prompt.
            positions: its position encoding (1, g², D).
            boxes: (N, B, 4), normalised cx cy w h.
            labels: (N, B) integers: 1 positive, 0 negative, -1 no box here.

        Returns:
            Tokens (N, 1 + B, D), CLS first, and where they are padding (N, 1 + B), True at unused boxes.
        """
        count = boxes.shape[0]
        cls = self.cls_embed.weight[None].expand(count, -1, -1)
        tokens = torch.cat([cls, self._embed_boxes(features, boxes, labels)], dim=1)
        unused = labels < 0
        padding = torch.cat([torch.zeros_like(unused[:, :1]), unused], dim=1)
        bias = padding_bias(padding, tokens.dtype)
        tokens = self.norm(self.final_proj(tokens))
        image = features.flatten(2).transpose(1, 2)
        keys = (image + positions).expand(count, -1, -1)
        values = image.expand(count, -1, -1)
        for layer in self.encode:
            tokens = layer(tokens, bias, keys, values)
        return self.encode_norm(tokens), padding

    def _embed_boxes(self, features: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        normed = self.img_pre_norm(features.permute(0, 2, 3, 1))
        pooled = roi_align(normed, box_cxcywh_to_xyxy(boxes) * features.shape[-1])
        # The convolution takes in all of its input: a product, which runtimes compute in integers, and sooner.
        project = self.boxes_pool_project
        from_pool = F.linear(pooled.flatten(2), project.weight.permute(0, 2, 3, 1).flatten(1), project.bias)
        cx, cy, width, height = boxes.unbind(-1)
        place = sine_encode(torch.stack([cy, cx], dim=-1), self.frequencies).flatten(-2)
        position = torch.cat([place, height[..., None], width[..., None]], dim=-1)
        embedded: Tensor = self.boxes_direct_project(boxes) + from_pool + self.boxes_pos_enc_project(position)
        return embedded + self.label_embed(labels.clamp(min=0))
