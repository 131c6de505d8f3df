"""Output memory that is used again: fresh memory costs the operating system more than some graphs cost the processor.

The finest features of a full-size frame are 85 MB, which the kernel clears page by page as they are written.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

KEPT = 2
"""Idle blocks of each output: one for a loop that drops a frame before the next, one more for a thread beside it."""
ALIGNMENT = 64


class _Lease:
    """A block that an array lives in. When the array and all views of it are gone, the block may be used again."""

    def __init__(
        self, block: np.ndarray, idle: deque[np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._block = block
        self._idle = idle
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (block.ctypes.data + -block.ctypes.data % ALIGNMENT, False),
        }

    def __del__(self) -> None:
        self._idle.append(self._block)


class Memory:
    """Blocks for arrays by name. Threads may share it."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[np.ndarray]] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array that nobody else has, aligned, of any content."""
        idle = self._idle.setdefault(name, deque(maxlen=KEPT))
        size = int(np.prod(shape)) * dtype.itemsize + ALIGNMENT
        try:
            block = idle.pop()
        except IndexError:
            block = np.empty(0, np.uint8)
        if block.nbytes < size:
            block = np.empty(size, np.uint8)
        return np.asarray(_Lease(block, idle, shape, dtype))
