"""Checkpoints with random weights, for what depends on sizes alone: times, memory, whether a graph builds."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from sam3i_edge.config import ModelConfig
from sam3i_edge.model import Sam3i


def write_checkpoint(config: ModelConfig, folder: Path) -> Path:
    """Random weights, the same each time, and the config beside them; returns the checkpoint's path."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.safetensors"
    save_file({name: value.clone() for name, value in Sam3i(config).state_dict().items()}, path)
    config.write_beside(path)
    return path
