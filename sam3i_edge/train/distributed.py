"""What losses need of the other processes, so that several processes learn as one with their joint batch would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def num_processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def any_process(flag: bool) -> bool:
    """Whether it is set in any of the processes, which must all ask: a signal may reach one of them a step later."""
    return any(_gather_objects(flag))


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a scalar. As the divisor of a sum, it makes the processes' mean gradient that of the joint batch."""
    if num_processes() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / num_processes()


class _Gather(torch.autograd.Function):
    """Every process's tensor (B, …), of equal shapes, as (processes, B, …); what they all tell a row is its gradient.

    Unlike those of ``torch.distributed.nn``, it does not hold the process group, whose threads abort a process that
    ends before they do.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(num_processes())]
        dist.all_gather(parts, rows)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[dist.get_rank()]


def gather(rows: Tensor) -> Tensor:
    """All processes' rows (B, …) one after the other, with gradients to each; B may differ between processes."""
    if num_processes() == 1:
        return rows
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(num_processes())]
    dist.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    most = max(int(count) for count in counts)
    filled = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
    gathered = _Gather.apply(filled)  # type: ignore[no-untyped-call]
    parts = zip(gathered, counts, strict=True)
    return torch.cat([part[: int(count)] for part, count in parts])


def gather_texts(texts: Sequence[str]) -> list[str]:
    """All processes' texts, in the order of ``gather``."""
    return [text for part in _gather_objects(list(texts)) for text in part]


def _gather_objects(value: T) -> list[T]:
    """All processes' values, in the order of ``gather``."""
    if num_processes() == 1:
        return [value]
    gathered: list[Any] = [None] * num_processes()
    dist.all_gather_object(gathered, value)
    return gathered
