"""What every trace of a graph needs: example inputs, their free sides, and torch's notes out of the way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sam3i_edge.graphs import FREE, GraphSpec, TensorSpec


def example(spec: TensorSpec) -> Tensor:
    """A tensor of the spec's type and shape to trace with; the free dimension is 2, so that it is not taken for 1."""
    shape = [2 if isinstance(side, str) else side for side in spec.shape]
    return torch.zeros(shape, dtype=getattr(torch, spec.dtype))


def free_shapes(spec: GraphSpec) -> tuple[dict[int, Any], ...]:
    """Which sides of a graph's inputs are left free when it is traced."""
    free = torch.export.Dim(FREE, min=1, max=1 << 16)
    return tuple({i: free for i, side in enumerate(value.shape) if side == FREE} for value in spec.inputs)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the notes of torch, torchao and the exporter (missing torchvision, skipped foldings) from burying ours."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
