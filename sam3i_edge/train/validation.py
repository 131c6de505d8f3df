"""Scores of a model while it trains: the evaluation itself, on a part of the validation set."""

from __future__ import annotations

from collections.abc import Sequence

from sam3i_edge.data.samples import Sample, spread
from sam3i_edge.errors import TrainingError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.model import Sam3i
from sam3i_edge.train.loop import Validate


def validation(samples: Sequence[Sample], routes: Sequence[str], images: int) -> Validate:
    """Scores on ``images`` samples, evenly spread: ``giou``, the mean over the ``routes``, and each route's own.

    Raises:
        TrainingError: these have no text of a route that means something, of which the best model could be told.
    """
    chosen = spread([sample for sample in samples if any(query.route in routes for query in sample.queries)], images)
    asked = {query.route for sample in chosen for query in sample.queries if query.targets}
    lacking = [route for route in routes if route not in asked]
    if lacking:
        raise TrainingError(
            f"The images to validate on have no {' and no '.join(lacking)} text that means something. Give other data, "
            f"more with --set validation_images=N, or --set validate_every=0."
        )

    def validate(model: Sam3i) -> dict[str, float]:
        scores = evaluate(segmenter_of(model), chosen, routes=routes)
        by_route = {route: scores.routes[route].giou or 0.0 for route in routes}
        values = {"giou": sum(by_route.values()) / len(by_route)}
        if len(by_route) > 1:
            values |= {f"giou/{route}": value for route, value in by_route.items()}
        return values | {"false_positive_rate": scores.false_positive_rate or 0.0}

    return validate
