"""The forms in which the trunk computes the same."""

from __future__ import annotations

import torch

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.vision import RotaryTable, VisionAttention, VisionBackbone


def test_attention_is_the_same_with_the_even_channels_of_heads_first():
    generator = torch.Generator().manual_seed(0)
    attention = VisionAttention(48, 4, RotaryTable(side=5, head_size=12, coordinate_scale=1.0))
    rows = attention.qkv.weight.detach().clone()
    x = torch.randn(2, 25, 48, generator=generator)
    expected = attention(x)
    for _ in range(2):  # the second time there is nothing left to do
        attention.halve_heads()
        torch.testing.assert_close(attention(x), expected)
    moved = attention.qkv.weight
    assert torch.equal(moved[:12], rows[[0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]])
    assert torch.equal(moved[96:], rows[96:])  # v has no positions


def test_upsampling_is_the_same_by_shuffled_pixels():
    torch.manual_seed(0)
    backbone = VisionBackbone(ModelConfig.preset("tabletop")).eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        expected = backbone(image)
        for _ in range(2):  # the second time there is nothing left to do
            backbone.shuffle_pixels()
            torch.testing.assert_close(backbone(image), expected)
    assert not any(isinstance(module, torch.nn.ConvTranspose2d) for module in backbone.convs.modules())
