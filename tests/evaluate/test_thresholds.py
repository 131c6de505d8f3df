"""Choosing thresholds: the sums that a route's curve is made of, and the command on a real small model."""

import dataclasses

import cv2
import numpy as np
import pytest

from sam3i_edge import Prompt
from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.errors import DataError
from sam3i_edge.evaluate.thresholds import CANDIDATES, Curve, curves
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.prompt import ROUTES
from tests.conftest import CASES


@pytest.fixture(scope="module")
def segmenter(model):
    return segmenter_of(model)


@pytest.fixture(scope="module")
def sample(segmenter, tmp_path_factory) -> Sample:
    """A photograph in which the best instance of each text is what the text means."""
    path = tmp_path_factory.mktemp("photo") / "1.png"
    image = CASES[0].image
    cv2.imwrite(str(path), image[..., ::-1])
    height, width = image.shape[:2]
    found = segmenter.encode(image).segment([Prompt("mug", route) for route in ROUTES], threshold=0)
    instances = tuple(Instance(i, one[0].rle()[0], (0, 0, 1, 1)) for i, one in enumerate(found))
    queries = tuple(Query("mug", route, (i,)) for i, route in enumerate(ROUTES))
    return Sample(1, path, width, height, instances, queries)


def nothing_meant(sample: Sample) -> Sample:
    return dataclasses.replace(
        sample, queries=tuple(dataclasses.replace(query, targets=()) for query in sample.queries)
    )


def test_a_curve_is_what_evaluation_finds_at_each_threshold(segmenter, sample):
    found = curves(segmenter, [sample, nothing_meant(sample)])
    for i, route in enumerate(ROUTES):
        scores = segmenter.encode(CASES[0].image).segment(Prompt("mug", route), threshold=0).scores
        counts = np.array([(scores > np.float32(threshold)).sum() for threshold in CANDIDATES])
        curve = found[route]
        assert (curve.false_positive_rate == 100 * (counts > 0)).all()
        assert (curve.count_accuracy == 100 * (counts == 1)).all()
        assert (curve.instance_f1[counts == 0] == 0).all()
        # The best instance is the one meant; the sums hold it once, and all that was found for both texts.
        best = curve.instance_f1[counts > 0]
        assert best == pytest.approx(200 / (2 * counts[counts > 0] + 1)) and len(best), i


def test_data_without_negatives_is_refused(segmenter, sample):
    with pytest.raises(DataError, match="no concept text without a target"):
        curves(segmenter, [sample])
    with pytest.raises(DataError, match="no concept text with a target"):
        curves(segmenter, [nothing_meant(sample)])


def test_the_best_f1_among_those_with_few_false_positives():
    f1, rates = np.array([90.0, 80.0, 85.0, 20.0]), np.array([20.0, 5.0, 4.0, 0.0])
    curve = Curve(f1, f1, rates)
    assert [curve.choose(most) for most in (50, 20, 5, 4, 3)] == [0, 0, 2, 2, 3]
    assert Curve(f1, f1, rates + 30).choose(5) == 3  # none has few enough: the fewest
