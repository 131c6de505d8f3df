"""The model that comes with the package, exported: every runtime answers as torch does, on the scenes beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sam3i_edge import Instances, Prompt, Segmenter, shipped
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.samples import Sample, read_sample
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.eager import segmenter_of
from sam3i_edge.export import export
from sam3i_edge.model import load
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier

pytestmark = pytest.mark.slow  # the export alone takes half a minute

RUNTIMES = ("onnxruntime", "openvino")

BEST = 5
LEAST_PIXELS = 100
"""In a smaller mask one pixel on the edge is more than a hundredth."""
GAP = 4e-3
"""Twice what a score may change."""


@pytest.fixture(scope="module")
def samples() -> Sequence[Sample]:
    return load_samples(shipped.SCENES, "demo").samples


@pytest.fixture(scope="module")
def eager() -> Segmenter:
    model = load(shipped.CHECKPOINT, ModelConfig.of_checkpoint(shipped.CHECKPOINT, None))
    return segmenter_of(model, threshold=0.0, classifier=RouteClassifier.of_checkpoint(shipped.CHECKPOINT))


@pytest.fixture(scope="module")
def expected(eager, samples) -> list[Instances]:
    return answers(eager, samples)


@pytest.fixture(scope="module")
def demo_bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "bundle"
    export(output=path)
    return path


@pytest.fixture(scope="module", params=RUNTIMES)
def segmenter(request, demo_bundle):
    with Segmenter.load(demo_bundle, runtime=request.param, threshold=0.0) as segmenter:
        yield segmenter


def answers(segmenter: Segmenter, samples: Sequence[Sample]) -> list[Instances]:
    """To every text of the scenes on its own route; all instances, whatever they score."""
    return [
        found
        for sample in samples
        for found in segmenter.encode(read_sample(sample)).segment(
            [Prompt(query.text, query.route) for query in sample.queries]
        )
    ]


def threshold_in_a_gap(found: Sequence[Instances]) -> float:
    """The threshold nearest to 0.5 that no score is near, so that rounding moves no instance across it."""
    scores = np.sort(np.concatenate([[0.0, 1.0], *(instances.scores for instances in found)]))
    middles = ((scores[1:] + scores[:-1]) / 2)[np.diff(scores) >= GAP]
    return float(middles[np.abs(middles - 0.5).argmin()])


def test_the_same_instances(segmenter, samples, expected):
    compared = 0
    for wanted, found in zip(expected, answers(segmenter, samples), strict=True):
        assert len(found) == len(wanted)
        assert np.abs(found.scores - wanted.scores).max() <= 2e-3  # both are sorted
        for mask, score in zip(wanted.masks[:BEST], wanted.scores[:BEST], strict=True):
            if mask.sum() < LEAST_PIXELS:
                continue
            ious = (found.masks & mask).sum((1, 2)) / (found.masks | mask).sum((1, 2)).clip(1)
            assert ious.max() >= 0.99
            assert abs(found.scores[ious >= 0.99] - score).min() <= 2e-3
            compared += 1
    assert compared >= len(expected)  # at least one of each text


def test_the_same_scores_in_an_evaluation(segmenter, eager, samples, expected):
    levels = (*ROUTES, "auto")
    threshold = threshold_in_a_gap(expected)
    scores = []
    for asked in (eager, segmenter):
        asked.threshold = threshold
        scores.append(evaluate(asked, samples, levels))
        asked.threshold = 0.0
    for route in levels:
        assert scores[1].routes[route].giou == pytest.approx(scores[0].routes[route].giou, abs=0.1)
    assert scores[1].auto_route_accuracy == scores[0].auto_route_accuracy
