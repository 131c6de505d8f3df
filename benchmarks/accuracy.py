"""Accuracy beside latency: the package's own evaluation, through the very segmenter that was timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sam3i_edge.benchmarks.report import SCORES, Accuracy, RouteAccuracy, Run
from sam3i_edge.benchmarks.workload import Data
from sam3i_edge.errors import packages_for
from sam3i_edge.prompt import ROUTES
from sam3i_edge.segmenter import Segmenter

DIGITS = 4


def measure_accuracy(segmenter: Segmenter, data: Data) -> Accuracy:
    """Scores of the three levels. Raises DataError, and RuntimeUnavailableError if SciPy is not installed."""
    with packages_for("Measuring accuracy", "benchmark"):
        from sam3i_edge.evaluate import evaluate
    scores = evaluate(segmenter, data.samples())
    routes = {
        route: RouteAccuracy(
            **{name: _rounded(getattr(found, name)) for name in SCORES}, texts=found.count, drop_giou=None
        )
        for route, found in scores.routes.items()
    }
    known = [routes[route].giou for route in ROUTES if routes[route].giou is not None]
    return Accuracy(
        data=data.path.rstrip("/").rpartition("/")[2],
        split=data.split,
        images=scores.images,
        giou=_rounded(float(np.mean(known))) if known else None,  # type: ignore[arg-type]
        cgf1=_rounded(scores.cgf1["cgF1"]) if scores.cgf1 else None,
        routes=routes,
        reference="",
        drop_giou=None,
    )


def with_drops(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, each with its loss against the float reference: the first fp32 baseline, or else the first fp32 run.

    That one's own is 0, or no gate could ask for losses of all runs.
    """
    floats = [run for run in runs if run.accuracy is not None and run.precision == "fp32"]
    if not floats:
        return tuple(runs)
    reference = next((run for run in floats if run.baseline), floats[0])
    return tuple(_with_drop(run, reference) for run in runs)


def _with_drop(run: Run, reference: Run) -> Run:
    if run.accuracy is None or reference.accuracy is None:
        return run
    routes = {
        route: replace(found, drop_giou=_drop(reference.accuracy.routes[route].giou, found.giou))
        for route, found in run.accuracy.routes.items()
    }
    drop = _drop(reference.accuracy.giou, run.accuracy.giou)
    return replace(run, accuracy=replace(run.accuracy, routes=routes, reference=reference.bundle, drop_giou=drop))


def _drop(reference: float | None, value: float | None) -> float | None:
    return None if reference is None or value is None else _rounded(reference - value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
