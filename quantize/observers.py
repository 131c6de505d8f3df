"""Observers: how the range of what flows through a layer is chosen. torchao's, and one by percentile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sam3i_edge.graph_modules.tracing import quiet

with quiet():  # torchao names the CUDA kernels that it cannot load
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver

LEAST_SCALE = 2.0**-20
"""A channel that is always zero must not end in a division by zero."""
LEAST_HALF_SCALE = 2.0**-14
"""The smallest that FP16 holds with all of its bits."""


class PercentileObserver(HistogramObserver):  # type: ignore[misc]
    """The range that holds all but the outermost 0.01 % of the values, half of them at each end."""

    SHARE_OUTSIDE = 1e-4

    def _non_linear_param_search(self) -> tuple[Tensor, Tensor]:
        share = self.histogram.double().cumsum(0) / self.histogram.double().sum()
        edges = torch.linspace(float(self.min_val), float(self.max_val), self.bins + 1)
        ends = torch.tensor([self.SHARE_OUTSIDE / 2, 1 - self.SHARE_OUTSIDE / 2], dtype=torch.float64)
        first, last = torch.searchsorted(share, ends).clamp(max=self.bins - 1).tolist()
        return edges[first], edges[last + 1]


ACTIVATION_OBSERVERS: dict[str, Any] = {
    "min-max": MinMaxObserver,
    "percentile": PercentileObserver,
    "mse": HistogramObserver,
}
"""By the names of ``recipe.OBSERVERS``."""
