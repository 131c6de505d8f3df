"""The two questions that the paper left open, each answered by one measurement.

(a) Does the adapted model still find concepts as the base model does? (b) Is it better to train on instructions, or to
let an agent turn them into noun phrases for the base model?
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sam3i_edge.data.samples import Query, Sample
from sam3i_edge.evaluate.agent import Agent, AgentAsk
from sam3i_edge.evaluate.run import Progress, evaluate, own_route
from sam3i_edge.evaluate.scores import Scores, show
from sam3i_edge.instances import Instances
from sam3i_edge.segmenter import Frame, Segmenter

Answer = tuple[np.ndarray, int]
"""The scores (n,) and a checksum of the masks of one text's instances."""

INSTRUCTIONS = ("simple", "complex")
WHY = (
    "The gate of the concept route multiplies every adapter by zero and picks the base's own mask predictor, and the "
    "base is frozen: the concept route is the base model."
)


@dataclass(frozen=True)
class Ablation:
    """Both answers."""

    concept_base: Scores
    concept_adapted: Scores
    largest_difference: float
    """Between any two scores of single instances on the concept route, base against adapted; infinite if they do not
    find the same masks."""
    direct: Scores
    """SAM3-I on the instructions, each on the route of its level."""
    agent: Scores
    """The agent on the same, with the base model."""
    agent_name: str

    @property
    def is_identical(self) -> bool:
        """Whether adaptation left every answer of the concept route as it was."""
        return self.largest_difference == 0

    def gain(self, level: str) -> float | None:
        """gIoU of SAM3-I less that of the agent."""
        direct, agent = self.direct.routes[level].giou, self.agent.routes[level].giou
        return None if direct is None or agent is None else direct - agent

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "concept": {
                "base": self.concept_base.to_dict(),
                "adapted": self.concept_adapted.to_dict(),
                "identical": self.is_identical,
                "largest_difference": self.largest_difference if np.isfinite(self.largest_difference) else None,
                "why": WHY,
            },
            "instructions": {
                "sam3i": self.direct.to_dict(),
                "agent": {"name": self.agent_name} | self.agent.to_dict(),
                "gain_giou": {level: self.gain(level) for level in INSTRUCTIONS},
            },
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"(a) concepts {'gIoU':>18}{'cIoU':>9}{'P@0.5':>9}{'AP':>9}{'FPR':>9}"]
        lines += [
            _line("before adaptation", self.concept_base, "concept"),
            _line("after adaptation", self.concept_adapted, "concept"),
        ]
        verdict = "identical" if self.is_identical else f"NOT identical (by up to {self.largest_difference:.3g})"
        lines += [
            f"    {verdict}. {WHY}",
            "",
            f"(b) instructions {'gIoU':>14}{'cIoU':>9}{'P@0.5':>9}{'AP':>9}{'FPR':>9}",
        ]
        for level in INSTRUCTIONS:
            lines.append(_line(f"{level}, SAM3-I", self.direct, level))
            lines.append(_line(f"{level}, agent", self.agent, level))
            lines.append(f"    {level}: SAM3-I {_signed(self.gain(level))} gIoU over the agent ({self.agent_name})")
        lines.append("in percent, as evaluate has them; FPR: texts that mean nothing, for which something was found")
        return lines


def compare(
    adapted: Segmenter,
    base: Segmenter,
    samples: Sequence[Sample],
    agent: Agent,
    agent_name: str,
    progress: Callable[[str], Progress | None] = lambda step: None,
) -> Ablation:
    """Measure both.

    Args:
        adapted: SAM3-I.
        base: the model before adaptation; the agent works with it.
        samples: held-out instructions; ``compose`` of Tabletop-Instruct.
        agent: turns instructions into noun phrases.
        agent_name: shown in the table.
        progress: called with the name of each step, returns what is called after each of its images.
    """

    def above(image: np.ndarray, frame: Frame, queries: Sequence[Query], lower: float) -> list[Instances]:
        """As the agent answers: AP would otherwise count what it has no chance to find."""
        return own_route(image, frame, queries, None)

    before, after = _Recording(), _Recording()
    concept_base = evaluate(base, samples, ("concept",), progress("concepts, before"), before)
    concept_adapted = evaluate(adapted, samples, ("concept",), progress("concepts, after"), after)
    return Ablation(
        concept_base,
        concept_adapted,
        largest_difference(before.answers, after.answers),
        direct=evaluate(adapted, samples, INSTRUCTIONS, progress("SAM3-I"), above),
        agent=evaluate(base, samples, INSTRUCTIONS, progress("agent"), AgentAsk(agent)),
        agent_name=agent_name,
    )


class _Recording:
    """Asks as ``own_route`` does, and keeps of each answer the scores and a checksum of the masks."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, image: np.ndarray, frame: Frame, queries: Sequence[Query], threshold: float) -> list[Instances]:
        answers = own_route(image, frame, queries, threshold)
        self.answers += [(found.scores, zlib.crc32(np.packbits(found.masks).tobytes())) for found in answers]
        return answers


def largest_difference(first: Sequence[Answer], second: Sequence[Answer]) -> float:
    """Between the instance scores of the same texts; infinite where the masks differ in any pixel."""
    worst = 0.0
    for (scores, masks), (other_scores, other_masks) in zip(first, second, strict=True):
        if masks != other_masks or len(scores) != len(other_scores):
            return float("inf")
        worst = max(worst, float(np.abs(scores - other_scores).max(initial=0.0)))
    return worst


def _line(name: str, scores: Scores, level: str) -> str:
    of = scores.routes[level]
    figures = "".join(f"{show(value):>9}" for value in (of.giou, of.ciou, of.p50, of.ap, of.false_positive_rate))
    return f"    {name:18}{figures}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
