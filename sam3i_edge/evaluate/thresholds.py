"""``evaluate thresholds``: the least score of each route, chosen on data whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sam3i_edge.data.samples import Sample, read_sample
from sam3i_edge.errors import DataError
from sam3i_edge.evaluate.cgf1 import match
from sam3i_edge.evaluate.masks import pairwise_iou
from sam3i_edge.evaluate.run import AP_FLOOR, Progress, own_route
from sam3i_edge.evaluate.scores import show
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import ROUTES
from sam3i_edge.segmenter import Segmenter

CANDIDATES = np.arange(10, 96) / 100
"""Thresholds to choose from."""


class Curve(NamedTuple):
    """What each of ``CANDIDATES`` gives on one route, in percent, (86,) float64 each."""

    instance_f1: np.ndarray
    count_accuracy: np.ndarray
    false_positive_rate: np.ndarray

    def plain(self) -> dict[str, list[float]]:
        """Plain values for JSON."""
        return {name: [float(value) for value in values] for name, values in self._asdict().items()}

    def choose(self, most_false_positives: float) -> int:
        """The candidate with the best F1 among those with few enough false positives; if none has, the fewest."""
        allowed = self.false_positive_rate <= most_false_positives
        if not allowed.any():
            allowed = self.false_positive_rate == self.false_positive_rate.min()
        return int(np.where(allowed, self.instance_f1, -1).argmax())


def curves(segmenter: Segmenter, samples: Sequence[Sample], progress: Progress | None = None) -> dict[str, Curve]:
    """A curve for each route, from every text of its level; ``segmenter``'s NMS is in effect, its thresholds are not.

    Args:
        segmenter: as for ``evaluate``.
        samples: with texts of all levels, with targets and without.
        progress: called after every image.

    Raises:
        DataError: a route has no text with a target, or none without.
        ImageError: an image cannot be read.
    """
    sums = {route: _Counts() for route in ROUTES}
    for done, sample in enumerate(samples, 1):
        if sample.queries:
            image = read_sample(sample)
            answers = own_route(image, segmenter.encode(image), sample.queries, AP_FLOOR)
            for query, found in zip(sample.queries, answers, strict=True):
                sums[query.route].add(found, [sample.instances[index].rle for index in query.targets])
        if progress:
            progress(done, len(samples))
    for route, total in sums.items():
        if not total.positives or not total.negatives:
            kind = "with" if total.negatives else "without"
            raise DataError(
                f"The data has no {route} text {kind} a target. A threshold is chosen between right and wrong answers: "
                f"give data with both on all levels."
            )
    return {route: total.curve() for route, total in sums.items()}


def lines(found: Mapping[str, Curve], chosen: Mapping[str, int]) -> list[str]:
    """For people: a line per route."""
    head = f"{'':10}{'threshold':>10}{'F1':>9}{'count':>9}{'FPR':>9}"
    rows = [
        f"{route:10}{CANDIDATES[chosen[route]]:>10.2f}"
        + "".join(f"{show(values[chosen[route]]):>9}" for values in curve)
        for route, curve in found.items()
    ]
    return [head, *rows]


class _Counts:
    """The sums of one route, for every candidate."""

    def __init__(self) -> None:
        self.positives = self.negatives = 0
        self._targets = 0
        none = np.zeros(len(CANDIDATES), np.int64)
        self._found, self._hits, self._right, self._false = (none.copy() for _ in range(4))

    def add(self, found: Instances, targets: Sequence[dict[str, object]]) -> None:
        """Count one text, whatever the threshold."""
        counts = (found.scores[None] > CANDIDATES[:, None].astype(np.float32)).sum(1)
        self._found += counts
        if not targets:
            self.negatives += 1
            self._false += counts > 0
            return
        self.positives += 1
        self._targets += len(targets)
        self._right += counts == len(targets)
        ious = pairwise_iou(found.rle(), targets)
        hits = [0, *(int(match(ious[: i + 1]).true[0]) for i in range(len(found)))]  # of the best 0, 1, 2, …
        self._hits += np.array(hits)[counts]

    def curve(self) -> Curve:
        return Curve(
            100 * 2 * self._hits / (self._found + self._targets),
            100 * self._right / self.positives,
            100 * self._false / self.negatives,
        )
