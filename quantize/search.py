"""``--precision auto``: the most blocks in int8 that keep the accuracy within a budget.

Blocks are ordered by harm over gain: the noise that each alone puts into the answers, over the time that int8 saves
there. Those that save none stay in floating point, and then the fewest of the worst: their number is found by halving,
every trial scored on pictures that calibration has not seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.errors import ExportError
from sam3i_edge.files import write_json
from sam3i_edge.quantize.sensitivity import Key, Sensitivity
from sam3i_edge.text_files import read_json

logger = logging.getLogger("sam3i_edge")


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
class SearchProgress:
    """What was measured so far; kept, so that an interrupted search goes on."""

    noise: dict[str, float] = field(default_factory=dict)
    """by "graph/block\""""
    gains: dict[str, float] = field(default_factory=dict)
    """what int8 saves there, by the same"""
    timed_with: str = ""
    """the runtime and the processor that they were timed on"""
    drops: dict[str, Drop] = field(default_factory=dict)
    """by the number of blocks left in floating point"""


@dataclass(frozen=True)
class SearchResult:
    """What the search came to."""

    int8: frozenset[Key]
    drop: Drop


def ordered(sensitivities: Sequence[Sensitivity], gains: Mapping[Key, float]) -> list[Key]:
    """The blocks that gain something, those that harm most for it first."""
    gaining = [s for s in sensitivities if gains[s.graph, s.block] > 0]
    worst = sorted(gaining, key=lambda s: (-s.noise / gains[s.graph, s.block], s.graph, s.block))
    return [(s.graph, s.block) for s in worst]


def search(
    order: Sequence[Key],
    max_drop: float,
    trial: Callable[[Sequence[Key]], Drop],
    force: bool = False,
    keep: Callable[[int, Drop], None] = lambda count, drop: None,
    known: dict[int, Drop] | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> SearchResult:
    """Find the fewest blocks that must stay in floating point.

    Args:
        order: from ``ordered``.
        max_drop: the budget, in points; the drop and its standard error together must keep it.
        trial: scores the model with these blocks in int8.
        force: take the best trial where none keeps the budget.
        keep: told of every trial, by the number of blocks in floating point.
        known: trials made before.
        progress: told what is being tried.

    Raises:
        ExportError: not even one block fits into the budget; the message says what the best was.
    """
    if not order:
        raise ExportError(
            "No block may be in int8: the recipe has it in floating point, or int8 saves no time there. Take some "
            "lines out of the recipe, or export without int8."
        )
    drops = dict(known or {})

    def drop_of(count: int) -> Drop:
        if count not in drops:
            drops[count] = trial(order[count:])
            keep(count, drops[count])
            progress(f"{len(order) - count} of {len(order)} blocks in int8: {drops[count]}")
        return drops[count]

    low, high = 0, len(order)  # of blocks in floating point: low may be too few, high is enough
    while low < high:
        middle = (low + high) // 2
        if drop_of(middle).pessimistic <= max_drop:
            high = middle
        else:
            low = middle + 1
    if high == len(order):
        high = min(drops, key=lambda count: drops[count].pessimistic)
        if not force:
            raise ExportError(
                f"No assignment keeps the drop within {max_drop} points: the best was {drops[high]}. Give a larger "
                f"--max-drop, or more pictures: the standard error counts. --force takes the best."
            )
    return SearchResult(frozenset(order[high:]), drops[high])


def load_progress(file: Path | None) -> SearchProgress:
    """What an earlier search measured; nothing, if there is none or it cannot be read."""
    if file is None or not file.is_file():
        return SearchProgress()
    try:
        return schema.parse(SearchProgress, read_json(file))
    except (OSError, ValueError) as error:
        logger.warning("The kept search %s cannot be read (%s); it begins anew.", file, error)
        return SearchProgress()


def save_progress(file: Path | None, progress: SearchProgress) -> None:
    """Keep ``progress``, whole or not at all; without a place to keep it, nothing happens."""
    if file is None:
        return
    try:
        write_json(file, schema.plain(progress))
    except OSError as error:
        logger.warning("The search could not be kept (%s); interrupted, it would begin anew.", error)
