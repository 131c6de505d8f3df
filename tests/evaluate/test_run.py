"""Evaluation on a real small model: through torch and through a bundle, by the same code."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from sam3i_edge import Prompt, Segmenter
from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.errors import DataError, PromptError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.agreement import Agreement
from sam3i_edge.evaluate.run import _Sum
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.postprocessing import Postprocessing
from tests.conftest import CASES, instances_of

TEXTS = (("mug", "concept"), ("the red mug on the left", "simple"), ("what you would drink from", "complex"))


AT_A_TENTH = Postprocessing().with_(0.1, None)


@pytest.fixture(scope="module")
def eager(model) -> Segmenter:
    return segmenter_of(model, AT_A_TENTH)


@pytest.fixture(scope="module")
def sample(eager, tmp_path_factory) -> Sample:
    """A photograph whose annotations are what the model itself finds: to it, all is well."""
    path = tmp_path_factory.mktemp("photo") / "1.png"
    image = CASES[0].image
    cv2.imwrite(str(path), image[..., ::-1])
    frame = eager.encode(image)
    instances, queries = [], []
    for text, route in TEXTS:
        found = frame.segment(Prompt(text, route))
        kept = [rle for rle, area in zip(found.rle(), found.area, strict=True) if area]
        assert kept
        first = len(instances)
        instances += [Instance(first + i, rle, (0, 0, 1, 1)) for i, rle in enumerate(kept)]
        queries.append(Query(text, route, tuple(range(first, len(instances)))))
    height, width = image.shape[:2]
    return Sample(1, path, width, height, tuple(instances), tuple(queries))


def test_what_the_model_finds_is_found(eager, sample):
    scores = evaluate(eager, [sample])
    for route in ("concept", "simple", "complex"):
        assert scores.routes[route].giou == scores.routes[route].ciou == scores.routes[route].p50 == 100
        assert scores.routes[route].count == 1
    assert scores.false_positive_rate is scores.cgf1 is None  # no text without a target


def test_nothing_meant_and_nothing_found(eager, sample):
    nothing = dataclasses.replace(sample, queries=tuple(Query(text, route, ()) for text, route in TEXTS))
    scores = evaluate(eager, [sample, nothing])
    assert scores.false_positive_rate == 100  # it found its own answers once more
    assert scores.cgf1["IL_FPR"] == pytest.approx(100, abs=1e-3)
    blind = evaluate(Segmenter(eager.engine, threshold=1.0), [sample, nothing])
    assert blind.false_positive_rate == 0
    assert blind.routes["concept"].giou == blind.cgf1["cgF1"] == 0


def test_the_json_is_as_documented(eager, sample):
    nothing = dataclasses.replace(sample, queries=(Query("mug", "concept", ()),))
    values = json.loads(json.dumps(evaluate(eager, [sample, nothing], ("concept",)).to_dict()))
    assert set(values) == {
        "routes", "cgf1", "cgf1_parts", "false_positive_rate", "auto_route_accuracy", "count",
    }  # fmt: skip
    assert set(values["routes"]["concept"]) == {
        "giou", "ciou", "p50", "ap", "instance_f1", "count_accuracy", "duplicate_rate", "false_positive_rate", "count",
        "no_target_count",
    }  # fmt: skip
    assert {"cgf1@0.5", "positive_micro_f1", "il_mcc"} <= set(values["cgf1_parts"])
    assert values["cgf1"] == values["cgf1_parts"]["cgf1"]


def test_counts_duplicates_and_instances():
    """Three things; found are one of them twice, one once, and something that is none."""
    masks = np.zeros((5, 20, 60), bool)
    masks[0, 2:12, 2:12] = masks[1, 2:12, 22:32] = masks[2, 2:12, 42:52] = masks[4, 14:19, 2:50] = True
    masks[3, 2:12, 3:12] = True  # nine tenths of the first
    first, second, third, again, other = instances_of(masks, np.zeros((5, 4)), np.zeros(5), Prompt("x")).rle()
    total = _Sum()
    total.add([first, again, second, other], [0.9, 0.8, 0.7, 0.6], [first, second, third], 4)
    total.add([first, again], [0.9, 0.2], [first], 1)  # what scores below the threshold is not found
    total.add([first], [0.9], [], 1)
    total.add([], [], [], 0)
    scores = total.result()
    assert scores.instance_f1 == pytest.approx(100 * 2 * 3 / (4 + 3 + 1 + 1 + 1))
    assert (scores.count_accuracy, scores.duplicate_rate, scores.false_positive_rate) == (50, 25, 50)
    assert _Sum().result().instance_f1 is _Sum().result().duplicate_rate is None


def test_what_cannot_be_evaluated(eager, sample):
    with pytest.raises(PromptError, match="Unknown route 'simpel'"):
        evaluate(eager, [sample], ("simpel",))
    with pytest.raises(DataError, match=r"is 320 wide and 240 high; its annotations \(image 1\) say 321 and 240"):
        evaluate(eager, [dataclasses.replace(sample, width=321)])
    assert evaluate(eager, []).routes["concept"].giou is None


def test_average_precision_does_not_depend_on_where_it_is_cut(monkeypatch):
    from sam3i_edge.evaluate import average_precision as module

    def result(flush_at: int) -> module.Precision:
        monkeypatch.setattr(module, "FLUSH_AT", flush_at)
        generator, ap = np.random.default_rng(1), module.AveragePrecision()
        for _ in range(40):
            masks = np.zeros((6, 20, 20), bool)
            for mask in masks:
                x, y = generator.integers(0, 14, 2)
                mask[y : y + 6, x : x + 6] = True
            rles = instances_of(masks, np.zeros((6, 4)), np.zeros(6), Prompt("x")).rle()
            ap.add(rles[:3], sorted(generator.random(3), reverse=True), rles[generator.integers(0, 4) :])
        return ap.result()

    assert 0 < result(1000).mean < 1
    assert result(1000) == result(7)


def test_a_model_agrees_with_itself(eager, sample):
    agreement = Agreement(AT_A_TENTH.thresholds)
    before = evaluate(eager, [sample], ask=agreement.keep)
    after = evaluate(eager, [sample], ask=agreement.compare)
    for route in ("concept", "simple", "complex"):
        found = agreement.routes[route]
        assert (found.count > 0, found.found_again, found.score_difference, found.mask_iou) == (True, 100, 0, 1)
    assert agreement.to_dict(before, after)["lost"]["simple"] == {"giou": 0, "p50": 0, "count_accuracy": 0}


def test_a_changed_model_is_told_from_its_reference(eager, sample):
    """Scores halved, and all but the best instance gone."""

    class Worse:
        def __init__(self, frame):
            self.frame = frame

        def segment(self, prompts, threshold):
            best = [found[:1] for found in self.frame.segment(prompts, threshold=threshold)]
            return [dataclasses.replace(found, scores=found.scores / 2) for found in best]

    agreement = Agreement(AT_A_TENTH.thresholds)
    best = [found.scores[0] for found in eager.encode(CASES[0].image).segment([Prompt(*text) for text in TEXTS])]
    before = evaluate(eager, [sample], ask=agreement.keep)
    after = evaluate(eager, [sample], ask=lambda image, frame, *rest: agreement.compare(image, Worse(frame), *rest))
    for score, route in zip(best, ("concept", "simple", "complex"), strict=True):
        found = agreement.routes[route]
        assert found.found_again == pytest.approx(100 / found.count)
        assert found.score_difference == pytest.approx(score / 2, rel=1e-5)
    lost = agreement.to_dict(before, after)["lost"]
    assert all(lost[route]["giou"] > 0 for route in lost)
    assert f"{lost['simple']['giou']:.2f}" in "".join(agreement.lines(before, after))
