"""Puts a trained model where the package keeps it: ``python -m sam3i_edge.train.publish_weights CHECKPOINT``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from sam3i_edge import demo_model
from sam3i_edge.config import ModelConfig
from sam3i_edge.model import load
from sam3i_edge.model.companions import copy_companions
from sam3i_edge.train.loop import save_model


def publish_weights(checkpoint: Path, place: Path = demo_model.CHECKPOINT) -> Path:
    """Write ``checkpoint`` in half precision to ``place``, its sizes and its companions beside it.

    The file is read back as float32, so export and evaluation compute in float32 with the rounded weights.
    """
    model = load(checkpoint, ModelConfig.of_checkpoint(checkpoint, None))
    folder = place.parent
    folder.mkdir(exist_ok=True)
    save_model(model, place, torch.float16)
    model.config.write_beside(place)
    copy_companions(checkpoint, folder)
    return place


if __name__ == "__main__":
    publish_weights(Path(sys.argv[1]), demo_model.STUDENT if "--student" in sys.argv[2:] else demo_model.CHECKPOINT)
