"""What a training run learns: the one loop trains the model's stages and its students alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from sam3i_edge.model import Sam3i


@dataclass(frozen=True)
class TrainingStage:
    """Data and loss of a run; which parameters learn is already set on the model."""

    name: str
    dataset: Any
    """A torch ``Dataset`` indexed by (sample, seed): the same pair gives the same item, in any process, at any time."""
    collate: Callable[[list[Any]], Any]
    """Items to a batch, which has ``to(device)``."""
    learner: Callable[[Sam3i], nn.Module]
    """The model with its loss: calling it on a batch gives the loss and its parts, detached, for the log."""
