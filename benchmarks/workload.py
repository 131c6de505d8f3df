"""Which images and texts are timed: a dataset's own, or the photograph that every bundle carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sam3i_edge.benchmarks.scenarios import WorkloadItem
from sam3i_edge.data.samples import spread
from sam3i_edge.errors import DataError
from sam3i_edge.golden import read_golden
from sam3i_edge.image import read_image
from sam3i_edge.prompt import Prompt

if TYPE_CHECKING:
    from sam3i_edge.data.samples import Sample

MAX_IMAGES = 4


@dataclass(frozen=True)
class Data:
    """A dataset, as ``sam3i-edge evaluate`` takes it."""

    path: str
    split: str = "val"
    images: str | None = None
    limit: int | None = None

    def samples(self) -> Sequence[Sample]:
        """Its samples, ``limit`` of them. Raises DataError."""
        from sam3i_edge.data.saco import load_dataset

        loaded = load_dataset(self.path, self.split, images=self.images)
        if not loaded.samples:
            raise DataError(f"{self.path} has no sample in the split {self.split!r}. Give another --data or --split.")
        return spread(loaded.samples, self.limit)


def workload(bundle: str, data: Data | None) -> list[WorkloadItem]:
    """What to ask: of some of the data's images their own texts, or of the bundle's golden image the golden prompts."""
    if data is None:
        golden = read_golden(Path(bundle))
        return [WorkloadItem("the bundle's own photograph", golden.image, golden.prompts)]
    asked = [sample for sample in data.samples() if sample.queries]
    if not asked:
        raise DataError(f"{data.path} asks nothing: none of its samples has a text. Give another --data.")
    return [
        WorkloadItem(sample.path.name, read_image(sample.path), tuple(Prompt(q.text, q.route) for q in sample.queries))
        for sample in spread(asked, MAX_IMAGES)
    ]
