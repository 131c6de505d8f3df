"""Cheap draws from a NumPy generator: one call of it yields hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

BLOCK = 512


class Rng:
    """Uniform draws, taken from ``rng`` in blocks: a single draw of NumPy's costs more than a text may."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._drawn: list[float] = []

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._drawn:
            self._drawn = self._rng.random(BLOCK).tolist()
        return self._drawn.pop()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of at least one item, each as likely as the others."""
        return items[int(self.uniform() * len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """All items in random order."""
        keyed = [(self.uniform(), i) for i in range(len(items))]
        return [items[i] for _, i in sorted(keyed)]
