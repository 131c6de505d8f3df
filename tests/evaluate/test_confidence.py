"""What scores are worth: against numbers worked out by hand, and on a real model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.demo_model import SCENES
from sam3i_edge.evaluate.confidence import calibration_error, lines, measure_confidence
from sam3i_edge.evaluate.scores import rounded
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.image import read_image
from sam3i_edge.instances import sigmoid
from sam3i_edge.prompt import Prompt


@pytest.mark.parametrize(
    ("said", "came", "error"),
    [
        ([0.95] * 20, [True] * 19 + [False], 0.0),
        ([0.95] * 20, [False] * 20, 0.95),
        ([0.25, 0.25, 0.85, 0.85], [False, False, True, True], 0.2),
        ([0.0, 1.0], [False, True], 0.0),
    ],
)
def test_calibration_error(said, came, error):
    assert calibration_error(said, came) == pytest.approx(error, abs=1e-9)


def test_the_lead_and_presence_are_those_of_the_graphs_outputs(model):
    segmenter = segmenter_of(model)
    path = next((SCENES.parent / "images").glob("*"))
    image = read_image(path)
    height, width = image.shape[:2]
    instances = tuple(Instance(i, {}, (0, 0, 1, 1)) for i in range(2))
    queries = (Query("mug", "concept", (0,)), Query("mugs", "concept", (0, 1)), Query("the cat", "simple", ()))
    found = measure_confidence(segmenter, [Sample(1, path, width, height, instances, queries)])
    prompts = [Prompt(query.text, query.route) for query in queries]
    outputs = segmenter.engine.ground(segmenter.encode(image).features, prompts, width, height)
    presence = sigmoid(outputs["presence"])[:, 0]
    best, second = np.sort(sigmoid(outputs["logits"][0]) * presence[0])[::-1][:2]
    assert found["concept"].score_margin == pytest.approx(best / second, rel=1e-4)
    assert (found["simple"].score_margin, found["simple"].texts, found["complex"].texts) == (None, 1, 0)
    assert found["simple"].presence_ece == pytest.approx(100 * presence[2], rel=1e-4)
    assert rounded(found)["complex"] == {"score_margin": None, "presence_ece": None, "texts": 0}
    assert "\n".join(lines(found)).splitlines()[3].split() == ["complex", "-", "-", "0"]
    assert dataclasses.asdict(found["concept"])["texts"] == 2
