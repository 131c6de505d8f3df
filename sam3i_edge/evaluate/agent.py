"""The other way to follow an instruction: an agent turns it into noun phrases for the base model, and sorts out masks.

``RuleAgent`` is the default: plain rules on English words, no model. Another one, such as a language model, is any
object with the two methods of ``Agent``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sam3i_edge.data.samples import Query
from sam3i_edge.evaluate.instruction_parser import Landmark, read_instruction
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Prompt
from sam3i_edge.segmenter import Frame

SAME = 0.5
"""Two masks with a larger IoU than this are the same thing."""

Look = Callable[[str], Instances]
"""Asks the base model for a noun phrase, in the image at hand."""


class Agent(Protocol):
    """Follows instructions with nothing but a model that finds noun phrases."""

    def noun_phrases(self, text: str) -> list[str]:
        """What to ask the model for; the instances of all of them are put together. Empty: there is nothing to ask."""
        ...

    def keep(self, text: str, found: Instances, image: np.ndarray, look: Look) -> np.ndarray:
        """Which of the ``found`` instances the instruction means, (n,) bool.

        Args:
            text: the instruction.
            found: of all noun phrases, best first, above the threshold.
            image: (H, W, 3) uint8 RGB.
            look: asks the model for more, for example for a landmark.
        """
        ...


class AgentAsk:
    """Answers the texts of ``evaluate`` through an agent on the concept route. The scores are the base model's."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def __call__(self, image: np.ndarray, frame: Frame, queries: Sequence[Query], threshold: float) -> list[Instances]:
        """What the agent keeps for each text; see ``run.Ask``."""
        seen: dict[str, Instances] = {}

        def ask(phrases: Sequence[str]) -> None:
            new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in seen]
            prompts = [Prompt(phrase, "concept") for phrase in new]
            seen.update(zip(new, frame.segment(prompts), strict=True))

        def look(phrase: str) -> Instances:
            ask([phrase])
            return seen[phrase]

        wanted = [self._agent.noun_phrases(query.text) for query in queries]
        ask([phrase for phrases in wanted for phrase in phrases])  # one batch
        answers = []
        for query, phrases in zip(queries, wanted, strict=True):
            prompt = Prompt(query.text, "concept")
            found = together([seen[phrase] for phrase in phrases], frame, prompt)
            keep = self._agent.keep(query.text, found, image, look) if len(found) else np.zeros(0, bool)
            answers.append(found[keep])
        return answers


class RuleAgent:
    """Reads an instruction by rules (``phrasing``) and filters by place, size and landmarks, measured on the masks."""

    def noun_phrases(self, text: str) -> list[str]:
        """The head noun with what stands before it ("the red mug left of the laptop": "red mug"), or, where there is
        none, the things that serve the function which the text speaks of."""
        return list(read_instruction(text).phrases)

    def keep(self, text: str, found: Instances, image: np.ndarray, look: Look) -> np.ndarray:
        """Relations to landmarks first, then order, size and place; where one is meant, the best of what is left."""
        instruction = read_instruction(text)
        shapes = Shapes(found.masks)
        ranked = np.arange(len(found))
        for landmark in instruction.landmarks:
            ranked = by_landmark(ranked, found, shapes, landmark, look)
        if instruction.order:
            ranked = ranked[np.argsort(instruction.sign * shapes.measure(instruction.order)[ranked], kind="stable")]
            ranked = ranked[instruction.skip :]
        keep = np.zeros(len(found), bool)
        keep[ranked if instruction.count is None else ranked[: instruction.count]] = True
        return keep


class Shapes:
    """Where the masks lie and how large they are, in pixels; empty masks count as a point at the origin."""

    def __init__(self, masks: np.ndarray) -> None:
        rows, columns = np.asarray(masks.any(2)), np.asarray(masks.any(1))
        self.left, self.right = columns.argmax(1), columns.shape[1] - columns[:, ::-1].argmax(1)
        self.top, self.bottom = rows.argmax(1), rows.shape[1] - rows[:, ::-1].argmax(1)
        self.area = masks.sum((1, 2))
        self.x, self.y = (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def measure(self, order: str) -> np.ndarray:
        """(n,) what instances are put in order by: see ``phrasing.ORDERS``."""
        values = {
            "x": self.x,
            "y": self.y,
            "bottom": self.bottom,
            "area": self.area,
            "height": self.bottom - self.top,
            "width": self.right - self.left,
            "off_centre": abs(self.x - np.median(self.x)) if len(self.x) else self.x,
        }
        return np.asarray(values[order], np.float64)


def by_landmark(ranked: np.ndarray, found: Instances, shapes: Shapes, landmark: Landmark, look: Look) -> np.ndarray:
    """Those of the ``ranked`` instances that stand as told to the landmark, nearest first; all, if it is not found."""
    places = [_place(look(phrase)) for phrase in landmark.phrases]
    known = [place for place in places if place is not None]
    if not known:
        return ranked
    x = float(np.mean([place.x[0] for place in known]))
    y = float(np.mean([place.y[0] for place in known]))
    first = known[0]
    self_mask = look(landmark.phrases[0]).masks[0] if places[0] is not None else None
    others = [i for i in ranked if self_mask is None or _iou(found.masks[i], self_mask) <= SAME]
    conditions: dict[str, np.ndarray] = {
        "left": shapes.x < x,
        "right": shapes.x > x,
        "behind": shapes.bottom < first.bottom[0],
        "front": shapes.bottom > first.bottom[0],
        "above": shapes.y < y,
        "below": shapes.y > y,
        "on": (shapes.x >= first.left[0]) & (shapes.x <= first.right[0]) & (shapes.top < first.bottom[0]),
    }
    fits = conditions.get(landmark.relation, np.ones(len(found), bool))
    chosen = np.array([i for i in others if fits[i]], np.int64)
    distance = np.hypot(shapes.x - x, shapes.y - y)[chosen]
    return chosen[np.argsort(-distance if landmark.relation == "far" else distance, kind="stable")]


def together(parts: Sequence[Instances], frame: Frame, prompt: Prompt) -> Instances:
    """The instances of several phrases as one answer, best first; of the same thing found twice, the better one."""
    found = Instances(
        np.concatenate([part.scores for part in parts] or [np.zeros(0, np.float32)]),
        np.concatenate([part.boxes for part in parts] or [np.zeros((0, 4), np.float32)]),
        np.concatenate([part.mask_logits for part in parts] or [np.zeros((0, 1, 1), np.float32)]),
        frame.width,
        frame.height,
        prompt.route,
        prompt,
    )
    chosen: list[int] = []
    for i in np.argsort(-found.scores, kind="stable"):
        if len(parts) == 1 or all(_iou(found.masks[i], found.masks[j]) <= SAME for j in chosen):
            chosen.append(int(i))
    return found[chosen]


def _place(found: Instances) -> Shapes | None:
    return Shapes(found.masks[:1]) if len(found) else None


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(int((first | second).sum()), 1))
