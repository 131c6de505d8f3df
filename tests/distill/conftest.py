"""A teacher of a few thousand values whose layers and adapters all do something."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from sam3i_edge.model import Sam3i
from sam3i_edge.train.loop import save_model
from sam3i_edge.train.stages import initialize
from tests.train.conftest import TINY, samples, shapes

__all__ = ["samples", "shapes"]  # fixtures that the training's tests have, too

CONFIG = dataclasses.replace(
    TINY,
    vision=dataclasses.replace(TINY.vision, num_layers=4, global_attention_layers=(1, 3)),
    text=dataclasses.replace(TINY.text, hidden_size=64, num_layers=3),
    encoder_layers=3,
    decoder_layers=3,
)


def make_teacher(config=CONFIG) -> Sam3i:
    torch.manual_seed(0)
    model = initialize(Sam3i(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model.eval()


@pytest.fixture(scope="session")
def teacher():
    return make_teacher()


@pytest.fixture(scope="session")
def teacher_file(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    save_model(teacher, folder / "teacher.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    return folder / "teacher.safetensors"
