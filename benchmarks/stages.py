"""The stage clock: where the time of a frame goes, without a line of it in ``Segmenter``.

While the clock is on, the five steps that ``Segmenter`` is made of are replaced by timed ones. A timed step costs two
readings of the clock; ``cost_ns`` says how much that is here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sam3i_edge import segmenter as module
from sam3i_edge.benchmarks.report import STAGES
from sam3i_edge.runtimes import Session, Tensor
from sam3i_edge.segmenter import Segmenter

STEPS = ("preprocess", "postprocess")
"""Functions of the segmenter's module that are stages by themselves."""
CALIBRATION_CALLS = 2000


class StageClock:
    """Sums up the time of each stage until ``take``."""

    def __init__(self) -> None:
        self._ns = dict.fromkeys(STAGES, 0)
        self._calls = 0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time added to that of ``stage``."""
        ns, now = self._ns, time.perf_counter_ns

        def run(*arguments: Any, **named: Any) -> Any:
            start = now()
            try:
                return function(*arguments, **named)
            finally:
                ns[stage] += now() - start
                self._calls += 1

        return run

    def take(self) -> tuple[dict[str, float], int]:
        """Milliseconds by stage and the number of timed calls since the last time; both begin anew."""
        taken = {stage: ns / 1e6 for stage, ns in self._ns.items()}
        calls, self._calls = self._calls, 0
        for stage in self._ns:
            self._ns[stage] = 0
        return taken, calls


class _TimedSession:
    """A session whose runs count as a stage."""

    def __init__(self, session: Session, stage: str, clock: StageClock) -> None:
        self.device = session.device
        self._run = clock.timed(stage, session.run)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As ``Session.run``."""
        outputs: dict[str, Tensor] = self._run(inputs)
        return outputs


@contextmanager
def stages_timed(segmenter: Segmenter) -> Iterator[StageClock]:
    """Time the stages of one segmenter, in this thread. Text is the choice of a route, tokens, the cache, the graph."""
    clock = StageClock()
    sessions, steps = segmenter._sessions, {name: vars(module)[name] for name in STEPS}
    segmenter._sessions = dict(sessions) | {
        stage: _TimedSession(sessions[stage], stage, clock) for stage in ("vision", "grounding")
    }
    vars(segmenter).update(
        encode_texts=clock.timed("text", segmenter.encode_texts), route_of=clock.timed("text", segmenter.route_of)
    )
    vars(module).update({name: clock.timed(name, step) for name, step in steps.items()})
    try:
        yield clock
    finally:
        segmenter._sessions = sessions
        del vars(segmenter)["encode_texts"], vars(segmenter)["route_of"]
        vars(module).update(steps)


def cost_ns() -> float:
    """What timing one call takes here: a call of nothing, timed, less the same call untimed."""
    timed = StageClock().timed(STAGES[0], _nothing)
    return max(_per_call(timed) - _per_call(_nothing), 0.0)


def _nothing() -> None:
    pass


def _per_call(function: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(CALIBRATION_CALLS):
            function()
        best = min(best, (time.perf_counter_ns() - start) / CALIBRATION_CALLS)
    return best
