"""From a raw image and a text to instances, through the exported graphs."""

import dataclasses
import logging

import numpy as np
import pytest

from sam3i_edge import Box, Prompt, Segmenter
from sam3i_edge.errors import BundleError, ImageError, PromptError
from tests.conftest import CASES, iou


@pytest.fixture(scope="module")
def segmenter(bundle) -> Segmenter:
    return Segmenter.load(bundle)


def test_recorded_instances(segmenter, case):
    segmenter.threshold = case.threshold
    found = segmenter.segment(case.image, case.prompt)
    assert len(found) == len(case.final)
    assert np.abs(found.boxes - case.final.boxes).max() <= 0.5
    assert np.abs(found.scores - case.final.scores).max() <= 2e-3
    assert iou(found.masks, case.final.masks).min() >= 0.98
    assert found.route == case.prompt.route


def test_shapes_and_types(segmenter):
    segmenter.threshold = 0.0
    found = segmenter.segment(CASES[0].image, "mug")
    count, (height, width) = len(found), CASES[0].image.shape[:2]
    assert count == segmenter.manifest.limits.max_instances
    assert (found.masks.shape, found.masks.dtype) == ((count, height, width), bool)
    assert (found.boxes.shape, found.boxes.dtype) == ((count, 4), np.float32)
    assert (found.scores.shape, found.scores.dtype) == ((count,), np.float32)
    assert np.all(np.diff(found.scores) <= 0)


def test_nothing_found(segmenter):
    segmenter.threshold = 1.0
    found = segmenter.segment(CASES[0].image, "mug")
    assert (found.masks.shape, found.boxes.shape, found.scores.shape) == ((0, 240, 320), (0, 4), (0,))
    assert found.to_dict()["instances"] == []


def test_a_batch_of_mixed_routes_and_boxes_equals_single_runs(segmenter):
    segmenter.threshold = 0.0
    frame = segmenter.encode(CASES[0].image)
    prompts = [
        Prompt("red mug", route="concept"),
        Prompt("the mug on the left", route="simple", boxes=[Box(10, 20, 200, 150)]),
        Prompt("what you drink from", route="complex"),
    ]
    for together, prompt in zip(frame.segment(prompts), prompts, strict=True):
        alone = frame.segment(prompt)
        np.testing.assert_allclose(together.scores, alone.scores, rtol=1e-5)
        np.testing.assert_allclose(together.boxes, alone.boxes, rtol=1e-5, atol=1e-3)
        assert iou(together.masks, alone.masks).min() > 0.999
        assert together.route == prompt.route


def test_more_prompts_than_one_call_takes(segmenter):
    segmenter.threshold = 0.0
    limit = segmenter.manifest.limits.max_prompts
    prompts = [f"mug {i}" for i in range(2 * limit + 1)]
    frame = segmenter.encode(CASES[0].image)
    found = frame.segment(prompts)
    assert len(found) == len(prompts)
    np.testing.assert_allclose(found[-1].scores, frame.segment(prompts[-1]).scores, rtol=1e-5)


def test_boxes_matter(segmenter):
    segmenter.threshold = 0.0
    frame = segmenter.encode(CASES[0].image)
    none, positive, negative = frame.segment(
        [
            Prompt("mug", route="concept"),
            Prompt("mug", route="concept", boxes=[Box(0, 0, 50, 50)]),
            Prompt("mug", route="concept", negative_boxes=[Box(0, 0, 50, 50)]),
        ]
    )
    assert not np.allclose(none.scores, positive.scores, atol=1e-4)
    assert not np.allclose(positive.scores, negative.scores, atol=1e-4)


def test_texts_are_encoded_once_per_route(bundle):
    segmenter = Segmenter.load(bundle)
    runs = []
    session = segmenter._sessions["text"]
    original = session.run
    session.run = lambda inputs: (runs.append(len(inputs["tokens"])), original(inputs))[1]
    frame = segmenter.encode(CASES[0].image)
    frame.segment(["mug", "mug", Prompt("mug", route="simple")])
    frame.segment("mug")
    segmenter.segment(CASES[1].image, ["mug", "cup"])
    assert runs == [2, 1]


def test_vision_runs_once_per_frame_and_not_for_a_bad_prompt(bundle):
    segmenter = Segmenter.load(bundle)
    runs = []
    session = segmenter._sessions["vision"]
    original = session.run
    session.run = lambda inputs: (runs.append(1), original(inputs))[1]
    frame = segmenter.encode(CASES[0].image)
    frame.segment(["mug", "cup"])
    frame.segment("what you drink from")
    assert len(runs) == 1
    with pytest.raises(PromptError):
        segmenter.segment(CASES[0].image, Prompt("mug", boxes=[Box(0, 0, 999, 9)]))
    assert len(runs) == 1


@pytest.mark.parametrize("name", ["logits", "presence"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_no_answer(segmenter, monkeypatch, name, value):
    """As half precision computes them where it overflows."""
    ground = segmenter.ground

    def broken(*arguments):
        outputs = ground(*arguments)
        return {**outputs, name: np.full_like(outputs[name], value)}

    monkeypatch.setattr(segmenter, "ground", broken)
    with pytest.raises(BundleError, match="values that are not finite on this device"):
        segmenter.segment(CASES[0].image, "mug")


def test_no_prompts_no_answers(segmenter):
    assert segmenter.segment(CASES[0].image, []) == []


def test_too_many_boxes(segmenter):
    prompt = Prompt("mug", boxes=[Box(0, 0, 9, 9)] * 17)
    with pytest.raises(PromptError, match="has 17 boxes; this bundle takes 16"):
        segmenter.segment(CASES[0].image, prompt)


def test_box_outside_this_image(segmenter):
    with pytest.raises(PromptError, match="320 wide and 240 high"):
        segmenter.segment(CASES[0].image, Prompt("mug", boxes=[Box(0, 0, 321, 9)]))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (40, 20000, 3)])
def test_extreme_sizes(segmenter, shape):
    segmenter.threshold = 0.0
    found = segmenter.segment(np.full(shape, 128, np.uint8), "mug")
    assert found.masks.shape[1:] == shape[:2]


def test_bad_image(segmenter):
    with pytest.raises(ImageError, match="COLOR_GRAY2RGB"):
        segmenter.encode(np.zeros((5, 5), np.uint8))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), None, "0.5"])
def test_threshold_out_of_range(bundle, segmenter, threshold):
    with pytest.raises(PromptError, match="must be a number between 0 and 1"):
        Segmenter.load(bundle, threshold=threshold)
    with pytest.raises(PromptError, match="must be a number between 0 and 1"):
        segmenter.threshold = threshold


@pytest.mark.parametrize("prompt", [None, 3, {"mug"}, (part for part in ["mug"])])
def test_prompts_of_a_wrong_type(segmenter, prompt):
    with pytest.raises(PromptError, match="give a str, a Prompt, or a list of them"):
        segmenter.segment(CASES[0].image, prompt)


def test_the_device_that_ran_is_named(segmenter):
    assert segmenter.device.endswith("on CPUExecutionProvider")


def test_rle_decodes_to_the_mask(segmenter):
    from pycocotools import mask as coco

    segmenter.threshold = 0.0
    found = segmenter.segment(CASES[0].image, "mug")
    for mask, instance in zip(found.masks, found.to_dict()["instances"], strict=True):
        assert np.array_equal(coco.decode(instance["segmentation"]).astype(bool), mask)


def test_a_full_result_is_announced(bundle, caplog):
    """All 20 queries of the small model fit; a bundle that keeps fewer says when it may have dropped some."""
    segmenter = Segmenter.load(bundle, threshold=0.0)
    with caplog.at_level(logging.WARNING):
        segmenter.segment(CASES[0].image, "mug")
    assert "there may be more" not in caplog.text
    model = dataclasses.replace(segmenter.manifest.model, num_queries=200)
    segmenter._manifest = dataclasses.replace(segmenter.manifest, model=model)
    with caplog.at_level(logging.WARNING):
        segmenter.segment(CASES[0].image, "mug")
    assert "found 20 instances, the most this bundle returns" in caplog.text
