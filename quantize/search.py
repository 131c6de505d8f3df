"""``--precision auto``: the most blocks in int8 that keep the accuracy within a budget.

Blocks are ordered by harm over gain: the noise that each alone puts into the answers, over the multiply-accumulates
that it makes integer. Then the fewest of the worst stay in floating point: their number is found by halving, every
trial scored on pictures that calibration has not seen.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.cache import write_whole
from sam3i_edge.errors import ExportError
from sam3i_edge.quantize.recipe import GRAPHS, Recipe
from sam3i_edge.quantize.sensitivity import Sensitivity

logger = logging.getLogger("sam3i_edge")

Key = tuple[str, str]
"""A graph and a block of it."""


@dataclass(frozen=True)
class Drop:
    """What a trial costs, in points: the worst over the routes."""

    points: float
    """of mean IoU, or of concept cgF1"""
    error: float
    """standard error of that"""
    where: str

    @property
    def pessimistic(self) -> float:
        """What the drop may well be on other pictures."""
        return self.points + self.error

    def __str__(self) -> str:
        return f"{self.points:+.2f} ± {self.error:.2f} points ({self.where})"


@dataclass
class Progress:
    """What was measured so far; kept, so that an interrupted search goes on."""

    noise: dict[str, float] = field(default_factory=dict)
    """by "graph/block\""""
    drops: dict[str, Drop] = field(default_factory=dict)
    """by the number of blocks left in floating point"""


@dataclass(frozen=True)
class Found:
    """What the search came to."""

    recipe: Recipe
    drop: Drop


def ordered(sensitivities: Sequence[Sensitivity]) -> list[Sensitivity]:
    """Those that harm most for what they gain, first."""
    return sorted(sensitivities, key=lambda s: (-s.noise / max(s.macs, 1), s.graph, s.block))


def search(
    order: Sequence[Sensitivity],
    recipe: Recipe,
    max_drop: float,
    trial: Callable[[Sequence[Key]], Drop],
    pinned: Collection[Key] = (),
    force: bool = False,
    keep: Callable[[int, Drop], None] = lambda count, drop: None,
    known: dict[int, Drop] | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Found:
    """Find the fewest blocks that must stay in floating point.

    Args:
        order: from ``ordered``.
        recipe: its settings; its tables are replaced.
        max_drop: the budget, in points; the drop and its standard error together must keep it.
        trial: scores the model with these blocks in int8.
        pinned: blocks that stay in floating point whatever they harm.
        force: take the best trial where none keeps the budget.
        keep: told of every trial, by the number of blocks in floating point.
        known: trials made before.
        progress: told what is being tried.

    Raises:
        ExportError: not even one block fits into the budget; the message says what the best was.
    """
    keys = [(s.graph, s.block) for s in order if (s.graph, s.block) not in pinned]
    if not keys:
        raise ExportError("The recipe has every block in fp32, so there is nothing to search. Take some lines out.")
    drops = dict(known or {})

    def drop_of(count: int) -> Drop:
        if count not in drops:
            drops[count] = trial(keys[count:])
            keep(count, drops[count])
            progress(f"{len(keys) - count} of {len(keys)} blocks in int8: {drops[count]}")
        return drops[count]

    low, high = 0, len(keys)  # of blocks in floating point: low may be too few, high is enough
    while low < high:
        middle = (low + high) // 2
        if drop_of(middle).pessimistic <= max_drop:
            high = middle
        else:
            low = middle + 1
    if high == len(keys):
        high = min(drops, key=lambda count: drops[count].pessimistic)
        if not force:
            raise ExportError(
                f"No assignment keeps the drop within {max_drop} points: the best was {drops[high]}. Give a larger "
                f"--max-drop, or more pictures: the standard error counts. --force takes the best."
            )
    integer = set(keys[high:])
    tables = {graph: {} for graph in GRAPHS}  # type: dict[str, dict[str, str]]
    for s in order:
        tables[s.graph][s.block] = "int8" if (s.graph, s.block) in integer else "fp32"
    return Found(recipe.with_blocks(tables), drops[high])


def load_progress(file: Path | None) -> Progress:
    """What an earlier search measured; nothing, if there is none or it cannot be read."""
    if file is None or not file.is_file():
        return Progress()
    try:
        return schema.parse(Progress, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        logger.warning("The kept search %s cannot be read (%s); it begins anew.", file, error)
        return Progress()


def save_progress(file: Path | None, progress: Progress) -> None:
    """Keep ``progress``, whole or not at all; without a place to keep it, nothing happens."""
    if file is None:
        return
    try:
        write_whole(file, json.dumps(schema.plain(progress)).encode())
    except OSError as error:
        logger.warning("The search could not be kept (%s); interrupted, it would begin anew.", error)
