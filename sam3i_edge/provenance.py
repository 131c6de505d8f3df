"""The ``provenance`` of a bundle: how it was made. Export writes it; tools on a workstation read what they can."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sam3i_edge import schema
from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import Sam3iEdgeError
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.targets import Target
from sam3i_edge.tolerances import Difference

TITLES = {
    "giou": "gIoU",
    "p50": "P@0.5",
    "count_accuracy": "exact count",
    "cgf1": "concept cgF1",
    "false_positive_rate": "false-positive rate",
}


def title(score: str) -> str:
    """The name of a score for people.

    >>> title("giou/simple")
    'simple gIoU'
    """
    name, _, route = score.partition("/")
    return f"{route} {TITLES.get(name, name)}".strip()


@dataclass(frozen=True)
class Source:
    """Where the weights came from."""

    checkpoint: str
    sha256: str


@dataclass(frozen=True)
class Quantization:
    """How the integers came about, and what they cost."""

    recipe: QuantRecipe
    """with a line for every block"""
    calibration: str
    """the data's name,"""
    calibration_sha256: str
    """and the hash of its images and prompts"""
    calibration_images: int
    calibration_prompts: dict[str, int]
    """by route"""
    scored_on: str
    """what the scores were measured on; empty if they were not"""
    scored_images: int
    float_scores: dict[str, float]
    """of the float model, in percent: ``giou/ROUTE``, ``p50/ROUTE``, ``count_accuracy/ROUTE``, ``cgf1`` of concepts,
    ``false_positive_rate``,"""
    scores: dict[str, float]
    """and of this bundle, in the runtime that checked it"""

    def lines(self) -> list[str]:
        """What the integers cost, for people."""
        if not self.scores:
            return ["accuracy was not measured: it needs calibration data that says what its texts mean"]
        rows = [
            f"{title(name):19} {before:6.2f} -> {self.scores.get(name, float('nan')):6.2f}"
            for name, before in self.float_scores.items()
        ]
        return [f"float -> int8, on {self.scored_images} images of {self.scored_on}, in percent", *rows]


@dataclass(frozen=True)
class TensorRtRecord:
    """What NVIDIA's own tools said of the graphs at export."""

    checked_by: str
    """The product and version whose parser and builder took every graph; empty if only our lint has looked."""

    def __str__(self) -> str:
        if not self.checked_by:
            return "checked by sam3i-edge only, not by NVIDIA's parser"
        return f"parsed and built by NVIDIA's {self.checked_by}"


@dataclass(frozen=True)
class Provenance:
    """All that export knows of a bundle; None or empty: it does not apply, or is not known."""

    source: Source | None = None
    model: ModelConfig | None = None
    target: Target | None = None
    tool_versions: dict[str, str] = field(default_factory=dict)
    accuracy: dict[str, Difference] = field(default_factory=dict)
    """Of every output at export, against the float model,"""
    checked_on: str = ""
    """by this runtime and device, which need not be the target's."""
    quantization: Quantization | None = None
    """Of a bundle with integers."""
    tensorrt: TensorRtRecord | None = None
    """Of a bundle for TensorRT or TensorRT-RTX."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Provenance:
        """What this package understands of a manifest's ``provenance``, key by key. Never raises for its content."""
        hints = typing.get_type_hints(cls)
        known = {}
        for one in dataclasses.fields(cls):
            try:
                known[one.name] = schema.convert(hints[one.name], content[one.name], one.name, ignore_unknown=True)
            except (KeyError, ValueError, TypeError, Sam3iEdgeError):  # of another version's making
                continue
        return cls(**known)

    def plain(self) -> dict[str, Any]:
        """The content for the manifest."""
        return {name: value for name, value in schema.plain(self).items() if value is not None}
