"""What is timed. A frame is: an RGB image in the host's memory goes in, masks in the host's memory come out.

Nothing is left running on the device when the clock stops: every runtime's ``Session.run`` waits for its outputs, and
masks are made from those on the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sam3i_edge.benchmarks.stages import StageClock, cost_ns
from sam3i_edge.engine import timed
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Prompt
from sam3i_edge.segmenter import Frame, Segmenter

FRAME = (
    "An RGB image in the host's memory goes in, boolean masks at the image's size in the host's memory come out, "
    "nothing is left running: Segmenter.encode(image).segment(prompt) with one prompt whose text is not in the cache. "
    "Reading the image file, loading and warming up are not part of it."
)

BATCHES = (2, 4, 8, 16)

SCENARIOS = {
    "known_text": "a new image, the text as before: video with one instruction",
    "reprompt": "a new text on an image that is already encoded",
    "reprompt_known_text": "a known text on an image that is already encoded",
    **{f"prompts_{n}": f"{n} new texts in one call, on an encoded image" for n in BATCHES},
    "mixed_routes": "a concept, a simple and a complex text in one call, on an encoded image",
}

TEXTS = (
    ("mug", "concept"),
    ("the red mug left of the laptop", "simple"),
    ("what you would drink coffee from", "complex"),
    ("bottle", "concept"),
    ("the smaller of the two bowls", "simple"),
    ("something to cut bread with", "complex"),
    ("black hammer", "concept"),
    ("the apple closest to the plate", "simple"),
    ("the thing that tells the time", "complex"),
    ("screwdriver", "concept"),
    ("the second book from the left", "simple"),
    ("it keeps the rain off", "complex"),
    ("green bowl", "concept"),
    ("the spoon that is not on the plate", "simple"),
    ("the fruit a monkey would take first", "complex"),
    ("scissors", "concept"),
)
"""They fill a call up where the image has fewer texts of its own."""


@dataclass(frozen=True, eq=False)
class WorkloadItem:
    """An image, (H, W, 3) uint8 RGB, and what to ask of it."""

    name: str
    image: np.ndarray
    prompts: tuple[Prompt, ...]

    def ask(self, count: int, first: int = 0) -> list[Prompt]:
        """``count`` different prompts; ``first`` turns through the item's own."""
        own = [self.prompts[(first + i) % len(self.prompts)] for i in range(min(count, len(self.prompts)))]
        known = {prompt.text for prompt in own}
        more = [Prompt(text, route) for text, route in TEXTS if text not in known]
        return (own + more)[:count]


@dataclass(frozen=True)
class Turn:
    """One timed frame."""

    ms: float
    stages_ms: dict[str, float]
    harness_pct: float
    found: int


class Player:
    """Plays scenarios on one segmenter, whose observer is ``clock``. Encoded frames are kept between turns."""

    def __init__(self, segmenter: Segmenter, items: Sequence[WorkloadItem], clock: StageClock) -> None:
        self._segmenter = segmenter
        self._clock = clock
        self._items = items
        self._frames: dict[int, Frame] = {}
        self._cost_ns = cost_ns()

    def frame(self, turn: int) -> Turn:
        """Time a frame with its stages. ``turn`` picks image and prompt, alike for every segmenter."""
        item, number = self._item(turn)
        prompt = item.ask(1, number)[0]
        self._segmenter.engine.clear_caches()
        self._clock.take()
        start = time.perf_counter_ns()
        found = self._segmenter.encode(item.image).segment(prompt)
        with timed(self._clock, "postprocess"):
            _masks([found])
        ms = (time.perf_counter_ns() - start) / 1e6
        stages, calls = self._clock.take()
        return Turn(ms, stages, 100 * calls * self._cost_ns / (ms * 1e6), len(found))

    def scenario(self, name: str, turn: int) -> float:
        """Time one of ``SCENARIOS``, in milliseconds."""
        item, number = self._item(turn)
        act = self._action(name, item, number)
        start = time.perf_counter_ns()
        act()
        return (time.perf_counter_ns() - start) / 1e6

    def _action(self, name: str, item: WorkloadItem, number: int) -> Callable[[], object]:
        """What to time; whatever has to be there before is made here."""
        segmenter = self._segmenter
        batch = int(name.removeprefix("prompts_")) if name.startswith("prompts_") else 1
        prompts = item.ask(batch, number)
        if name == "mixed_routes":
            prompts = [Prompt(text, route) for text, route in TEXTS[:3]]
        segmenter.engine.clear_caches()
        if name.endswith("known_text"):
            segmenter.engine.encode_texts([(prompt.text, segmenter.route_of(prompt)) for prompt in prompts])
        if name == "known_text":
            return lambda: _masks(segmenter.encode(item.image).segment(prompts))
        frame = self._encoded(item)
        return lambda: _masks(frame.segment(prompts))

    def _encoded(self, item: WorkloadItem) -> Frame:
        if id(item) not in self._frames:
            self._frames = {id(item): self._segmenter.encode(item.image)}  # one: features of a large model are large
        return self._frames[id(item)]

    def _item(self, turn: int) -> tuple[WorkloadItem, int]:
        """Images take turns; each time around, the next of an image's prompts is asked."""
        return self._items[turn % len(self._items)], turn // len(self._items)


def _masks(results: Sequence[Instances]) -> list[np.ndarray]:
    """The masks at the image's size, which are made when they are asked for."""
    return [found.masks for found in results]
