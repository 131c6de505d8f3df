"""A model of a few thousand values and a dataset of a few images, to train for real in seconds."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sam3i_edge.config import AdapterConfig, ModelConfig, TextConfig, VisionConfig
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.model import Sam3i
from sam3i_edge.train.recipe import load_recipe
from sam3i_edge.train.stages import initialize
from tests.train.shapes import write_shapes

TINY = ModelConfig(
    image_size=56,
    pretrain_image_size=56,
    vision=VisionConfig(
        hidden_size=32, num_layers=2, num_heads=2, mlp_ratio=2.0, window_size=2, global_attention_layers=(1,)
    ),
    text=TextConfig(hidden_size=16, num_layers=1, num_heads=2),
    hidden_size=16,
    ffn_size=32,
    num_heads=2,
    geometry_layers=1,
    encoder_layers=1,
    decoder_layers=2,
    num_queries=6,
    projection_size=16,
    adapter=AdapterConfig(bottleneck_size=8, num_heads=2),
)


def with_backbone(config: ModelConfig, name: str) -> ModelConfig:
    """``config`` with timm's backbone ``name``; none, if that is empty."""
    return dataclasses.replace(config, vision=dataclasses.replace(config.vision, backbone=name))


def tiny_model(seed: int = 0, backbone: str = "") -> Sam3i:
    torch.manual_seed(seed)
    return initialize(Sam3i(with_backbone(TINY, backbone)))


def tiny_recipe(stage="base", **values):
    # Dropout is on: an exact resume has to restore the random state, too.
    short = {"steps": 6, "images": 4, "prompts": 2, "save_every": 1, "dropout": 0.1, "warmup_steps": 2}
    return load_recipe(
        "tabletop", stage, short | {"cooldown_steps": 2, "mask_size": 28, "mask_share": 0.5, "workers": 0} | values
    )


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), count=10)


@pytest.fixture(scope="session")
def samples(shapes):
    return load_samples(shapes, "train").samples
