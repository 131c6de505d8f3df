"""Does one model still find what another found? An int8 bundle against the float one, a student against its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sam3i_edge.data.samples import Query
from sam3i_edge.evaluate.masks import Rle, pairwise_iou
from sam3i_edge.evaluate.run import own_route
from sam3i_edge.evaluate.scores import Scores, rounded, show
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import ROUTES
from sam3i_edge.segmenter import Frame

LOST = ("giou", "p50", "count_accuracy")
"""Scores of a route whose loss is told."""
SAME = 0.5
"""Least mask IoU of an instance with the reference's, to be the same one."""


@dataclass
class RouteAgreement:
    """Of one level: the reference's instances above the threshold, and what became of them."""

    count: int = 0
    _score_differences: list[float] = field(default_factory=list)
    _mask_ious: list[float] = field(default_factory=list)

    def add(self, count: int, score_differences: Sequence[float], mask_ious: Sequence[float]) -> None:
        """Of one text: how many there were, and of those that were found again how far they are off."""
        self.count += count
        self._score_differences += score_differences
        self._mask_ious += mask_ious

    @property
    def found_again(self) -> float | None:
        """Percent of them, whatever they score now, down to the floor of ``evaluate``."""
        return 100 * len(self._mask_ious) / self.count if self.count else None

    @property
    def score_difference(self) -> float | None:
        """Mean of the absolute differences, of those that were found again."""
        return _mean(self._score_differences)

    @property
    def mask_iou(self) -> float | None:
        """Mean, of the same."""
        return _mean(self._mask_ious)

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values for JSON."""
        values: dict[str, Any] = {
            "count": self.count,
            "found_again": self.found_again,
            "score_difference": self.score_difference,
            "mask_iou": self.mask_iou,
        }
        return {name: rounded(value) for name, value in values.items()}


class Agreement:
    """Compares two runs of ``evaluate`` on the same samples; the answers of the first are kept, as run lengths.

    >>> agreement = Agreement(segmenter.postprocessing.thresholds)
    >>> before = evaluate(reference, samples, ask=agreement.keep)
    >>> after = evaluate(segmenter, samples, ask=agreement.compare)
    >>> print("\n".join(agreement.lines(before, after)))
    """

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        """Of each route the reference's threshold: what scores above it is looked for."""
        self.routes: dict[str, RouteAgreement] = {}
        self._thresholds = thresholds
        self._kept: list[tuple[np.ndarray, list[Rle]]] = []
        self._next = 0

    def keep(self, image: np.ndarray, frame: Frame, queries: Sequence[Query], threshold: float) -> list[Instances]:
        """Answer as ``own_route``, and keep what scores above the threshold."""
        answers = own_route(image, frame, queries, threshold)
        for found in answers:
            kept = found[found.scores > self._thresholds[found.route]]
            self._kept.append((kept.scores, kept.rle()))
        return answers

    def compare(self, image: np.ndarray, frame: Frame, queries: Sequence[Query], threshold: float) -> list[Instances]:
        """Answer as ``own_route``, and look for what was kept of the same question."""
        answers = own_route(image, frame, queries, threshold)
        for query, found in zip(queries, answers, strict=True):
            scores, masks = self._kept[self._next]
            self._next += 1
            ious = pairwise_iou(masks, found.rle())
            pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-ious), strict=True) if ious[i, j] >= SAME]
            route = self.routes.setdefault(query.route, RouteAgreement())
            differences = [abs(float(scores[i]) - float(found.scores[j])) for i, j in pairs]
            route.add(len(masks), differences, [float(ious[pair]) for pair in pairs])
        return answers

    def to_dict(self, before: Scores, after: Scores) -> dict[str, Any]:
        """Plain values for JSON: the reference's scores, what was lost, and how the instances agree."""
        return {
            "scores": before.to_dict(),
            "lost": {
                route: {name: rounded(_lost(before, after, route, name)) for name in LOST} for route in self.routes
            },
            "instances": {route: found.to_dict() for route, found in self.routes.items()},
        }

    def lines(self, before: Scores, after: Scores) -> list[str]:
        """For people: a line per level."""
        titles = f"{'lost':10}{'gIoU':>9}{'P@0.5':>9}{'count':>9}{'instances':>11}{'found again':>13}"
        lines = [f"{titles}{'|score diff|':>14}{'mask IoU':>10}"]
        for route in (route for route in ROUTES if route in self.routes):
            found = self.routes[route]
            drops = "".join(f"{show(_lost(before, after, route, name)):>9}" for name in LOST)
            means = f"{_four(found.score_difference):>14}{_four(found.mask_iou):>10}"
            lines.append(f"{route:10}{drops}{found.count:>11}{show(found.found_again):>11} %{means}")
        if before.cgf1 is not None and after.cgf1 is not None:
            lines.append(f"cgF1 lost {show(before.cgf1['cgF1'] - after.cgf1['cgF1'])}")
        lines.append(
            "lost: points behind the reference; found again: instances of the reference with IoU of one half or more"
        )
        return lines


def _lost(before: Scores, after: Scores, route: str, name: str) -> float | None:
    first, second = getattr(before.routes[route], name), getattr(after.routes[route], name)
    return None if first is None or second is None else first - second


def _four(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
