"""What a batch of prompts should find."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sam3i_edge.model.layers import box_cxcywh_to_xyxy


class Targets(NamedTuple):
    """The T targets of N prompts, packed: first those of prompt 0, then those of prompt 1, …"""

    boxes: Tensor
    """(T, 4) normalised cx cy w h"""
    masks: Tensor
    """(T, H, W) bool"""
    counts: Tensor
    """(N,) int64: targets of each prompt, 0 where its text means nothing in the image; they sum to T"""

    @property
    def corners(self) -> Tensor:
        """The boxes as (T, 4) normalised xyxy."""
        return box_cxcywh_to_xyxy(self.boxes)

    @property
    def prompts(self) -> Tensor:
        """(T,) the prompt that each target belongs to."""
        return torch.arange(len(self.counts), device=self.counts.device).repeat_interleave(self.counts)

    def of(self, prompts: Tensor) -> Targets:
        """The targets of some ``prompts`` (M,), ascending, as those of prompts 0, 1, … M - 1."""
        mine = torch.isin(self.prompts, prompts)
        return Targets(self.boxes[mine], self.masks[mine], self.counts[prompts])

    def union_masks(self) -> Tensor:
        """(N, H, W) float: each prompt's targets as one mask."""
        union = self.masks.new_zeros(len(self.counts), *self.masks.shape[1:], dtype=torch.float32)
        return union.index_add_(0, self.prompts, self.masks.float()).clamp_(max=1)


class Match(NamedTuple):
    """Which query answers for which target, one row per pair."""

    prompts: Tensor
    queries: Tensor
    targets: Tensor
    """indices into the packed targets"""
