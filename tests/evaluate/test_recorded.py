"""The figures that the authors' evaluators and Meta's printed for recorded files."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from sam3i_edge.evaluate.cgf1 import CgF1
from tests.evaluate.published import multi_inst, one_to_one

METRICS = Path(__file__).parents[1] / "data" / "metrics"


def read(name):
    return json.loads((METRICS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "score"), [("1to1", one_to_one), ("multi_inst", multi_inst)])
def test_the_authors_scores_to_the_printed_digits(name, score):
    found = score(read("metrics_gt"), read("metrics_pred"))
    assert {key: round(value, 2) for key, value in found.items()} == read("metrics")[name]


def test_every_figure_of_metas_evaluator():
    targets, found, scores = defaultdict(list), defaultdict(list), CgF1()
    truth = read("cgf1_gt")
    for annotation in truth["annotations"]:
        targets[annotation["image_id"]].append(annotation["segmentation"])
    for prediction in read("cgf1_pred"):
        if prediction["score"] >= 0.5:
            found[prediction["image_id"]].append(prediction["segmentation"])
    parts = []
    for image in truth["images"]:
        for counted in (scores, part := CgF1()):
            counted.add(found[image["id"]], targets[image["id"]])
        parts.append(part)
    recorded = {key.removeprefix("cgF1_eval_segm_"): value for key, value in read("metrics")["cgf1"].items()}
    assert scores.result() == pytest.approx(recorded, abs=1e-12)
    assert CgF1.sum(parts).result() == pytest.approx(scores.result())
