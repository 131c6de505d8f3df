"""What scores are worth: the margin of the best over the second best, and whether presence is calibrated.

Small students of this model have lost both before they lost their masks; users then see nothing, or anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam3i_edge.data.samples import Sample, read_sample
from sam3i_edge.engine import check_finite
from sam3i_edge.evaluate.run import Progress
from sam3i_edge.instances import sigmoid
from sam3i_edge.prompt import ROUTES, Prompt
from sam3i_edge.segmenter import Segmenter

BINS = 10
LEAST_SCORE = 1e-4
"""A second best below this counts as this: a ratio to nothing would say nothing."""


@dataclass(frozen=True)
class Confidence:
    """Of one level's texts."""

    score_margin: float | None
    """Median ratio of the best score to the second best, over the texts that mean one instance."""
    presence_ece: float | None
    """Expected calibration error of presence (arXiv 1706.04599, 10 bins), in percent: how far the shares of texts that
    mean something lie from what presence says, on average."""
    texts: int


def measure_confidence(
    segmenter: Segmenter, samples: Sequence[Sample], progress: Progress | None = None
) -> dict[str, Confidence]:
    """By level. Every text is asked on its own route; the graph's own outputs are read, and no masks are made.

    Raises:
        ImageError, DataError: as ``evaluate``.
        BundleError: the graphs compute values that are not finite.
    """
    margins: dict[str, list[float]] = {route: [] for route in ROUTES}
    presences: dict[str, list[tuple[float, bool]]] = {route: [] for route in ROUTES}
    for done, sample in enumerate(samples, 1):
        if sample.queries:
            frame = segmenter.encode(read_sample(sample))
            prompts = [Prompt(query.text, query.route) for query in sample.queries]
            outputs = segmenter.engine.ground(frame.features, prompts, frame.width, frame.height)
            check_finite("grounding", outputs, segmenter.device)
            presence = sigmoid(outputs["presence"])
            scores = np.sort(sigmoid(outputs["logits"]) * presence, axis=1)[:, ::-1]
            for query, p, (best, second) in zip(sample.queries, presence[:, 0], scores[:, :2], strict=True):
                presences[query.route].append((float(p), bool(query.targets)))
                if len(query.targets) == 1:
                    margins[query.route].append(float(best / max(second, LEAST_SCORE)))
        if progress:
            progress(done, len(samples))
    return {
        route: Confidence(
            score_margin=float(np.median(margins[route])) if margins[route] else None,
            presence_ece=100 * calibration_error(*zip(*pairs, strict=True)) if pairs else None,
            texts=len(pairs),
        )
        for route, pairs in presences.items()
    }


def calibration_error(probabilities: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Mean distance, over equally wide bins and weighted by their size, of the outcomes' share from the probability."""
    said, came = np.asarray(probabilities), np.asarray(outcomes, float)
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = [abs(said[bins == i].sum() - came[bins == i].sum()) for i in range(BINS)]
    return float(sum(gaps)) / len(said)


def lines(found: dict[str, Confidence]) -> list[str]:
    """For people: a line per level."""
    shown = [f"{'':10}{'score margin':>14}{'presence ECE':>14}{'texts':>9}"]
    for route, one in found.items():
        margin, error = ("-" if value is None else f"{value:.2f}" for value in (one.score_margin, one.presence_ece))
        shown.append(f"{route:10}{margin:>14}{error:>14}{one.texts:>9}")
    shown.append("score margin: median ratio of the best score to the second best, where one instance is meant;")
    shown.append("presence ECE: calibration error of presence, in percent")
    return shown
