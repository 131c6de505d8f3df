"""What an evaluation found, in percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam3i_edge import schema
from sam3i_edge.prompt import ROUTES

SHOWN = {
    "gIoU": "giou",
    "cIoU": "ciou",
    "P@0.5": "p50",
    "AP": "ap",
    "F1": "instance_f1",
    "count": "count_accuracy",
    "twice": "duplicate_rate",
    "texts": "count",
    "FPR": "false_positive_rate",
    "negatives": "no_target_count",
}
"""In tables for people: columns, and the fields of ``RouteScores``."""
LEGEND = (
    "in percent. gIoU: mean IoU of all that was found with all that was meant; cIoU: summed intersections over summed",
    "unions; P@0.5: texts with an IoU of one half or more; AP: COCO's, of single instances; F1: of the same, at an IoU",
    "of one half; count: texts for which as many things were found as were meant; twice: texts for which a thing was",
    'found more than once; FPR: texts that mean nothing, "negatives" in the table, for which something was found;',
    "cgF1: of concepts, with its two factors",
)
DIGITS = 4


@dataclass(frozen=True)
class RouteScores:
    """The scores of one level's texts, in percent; None where there was no such text."""

    giou: float | None
    """Mean, over the texts that mean something, of the IoU of all that was found with all that was meant."""
    ciou: float | None
    """The summed intersections over the summed unions of the same."""
    p50: float | None
    """Share of the same texts with an IoU of at least one half."""
    ap: float | None
    """COCO AP of the single instances, each text an image of its own; texts that mean nothing included."""
    instance_f1: float | None
    """F1 of the single instances that score above the threshold, at a mask IoU of at least one half, summed over all
    texts. None where nothing was meant and nothing found."""
    count_accuracy: float | None
    """Share of the texts that mean something, for which as many instances were found as were meant."""
    duplicate_rate: float | None
    """Share of all texts for which two of the found masks overlap with an IoU of more than 0.7: one thing, found
    twice."""
    false_positive_rate: float | None
    """Share of the texts that mean nothing in their image, for which something was found all the same."""
    count: int
    """All texts."""
    no_target_count: int
    """Those that mean nothing in their image."""


@dataclass(frozen=True)
class Scores:
    """What ``evaluate`` found."""

    routes: Mapping[str, RouteScores]
    """By level; "auto", if it was asked for, holds the texts of all levels, each on the route chosen for it."""
    cgf1: Mapping[str, float] | None
    """cgF1 and its parts over the concept texts, in percent; see ``sam3i_edge.evaluate.cgf1``. None where all of these
    have targets, or none has."""
    auto_route_accuracy: float | None
    """Share of all texts for which ``route="auto"`` picks their level, in percent."""
    images: int

    @property
    def false_positive_rate(self) -> float | None:
        """Of all levels together, in percent."""
        levels = [scores for route, scores in self.routes.items() if route in ROUTES]
        count = sum(scores.no_target_count for scores in levels)
        wrong = sum((scores.false_positive_rate or 0.0) * scores.no_target_count for scores in levels)
        return wrong / count if count else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, under the names of the fields: those of every JSON of this package."""
        levels = {route: scores for route, scores in self.routes.items() if route in ROUTES}
        values: dict[str, Any] = {
            "routes": self.routes,
            "cgf1": self.cgf1["cgF1"] if self.cgf1 else None,
            "cgf1_parts": {name.lower(): value for name, value in self.cgf1.items()} if self.cgf1 else None,
            "false_positive_rate": self.false_positive_rate,
            "auto_route_accuracy": self.auto_route_accuracy,
            "count": {
                "images": self.images,
                **{route: scores.count for route, scores in levels.items()},
                "no_target": sum(scores.no_target_count for scores in levels.values()),
            },
        }
        return {name: rounded(value) for name, value in values.items()}

    def lines(self) -> list[str]:
        """For people: a line per level."""
        lines = [f"{'':8}" + "".join(f"{name:>{max(8, len(name) + 1)}}" for name in SHOWN)]
        for route, scores in self.routes.items():
            figures = (f"{show(getattr(scores, value)):>{max(8, len(name) + 1)}}" for name, value in SHOWN.items())
            lines.append(f"{route:8}{''.join(figures)}")
        if self.cgf1 is not None:
            parts = ("cgF1", "positive_micro_F1", "IL_MCC")
            lines.append(", ".join(f"{name} {show(self.cgf1[name])}" for name in parts))
        lines.append(f"auto route right for {show(self.auto_route_accuracy)} % of the texts; {self.images} images")
        lines += LEGEND
        return lines


def show(value: float | None) -> str:
    """Two digits, or a dash; whole numbers as they are."""
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


def rounded(value: Any) -> Any:
    """Plain values with all figures as they are written to JSON."""
    value = schema.plain(value)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
