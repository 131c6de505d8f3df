"""Scores of a model while it trains: the evaluation itself, on a part of the validation set."""

from __future__ import annotations

from collections.abc import Sequence

from sam3i_edge.data.samples import Sample
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.eager import segmenter_of
from sam3i_edge.model import Sam3i
from sam3i_edge.train.loop import Validate


def validation(samples: Sequence[Sample], routes: Sequence[str], images: int) -> Validate:
    """Scores on the first ``images`` of ``samples``: ``gIoU``, the mean over the ``routes``, and each route's own."""
    chosen = samples[:images]

    def validate(model: Sam3i) -> dict[str, float]:
        scores = evaluate(segmenter_of(model), chosen, routes=routes)
        by_route = {route: scores.routes[route].giou or 0.0 for route in routes}
        values = {"gIoU": sum(by_route.values()) / len(by_route)}
        if len(by_route) > 1:
            values |= {f"gIoU/{route}": value for route, value in by_route.items()}
        return values | {"no_target_fpr": scores.no_target_fpr or 0.0}

    return validate
