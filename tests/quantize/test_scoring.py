"""What the search weighs: drops with their errors, and gains for one picture or one prompt."""

import numpy as np
import pytest
import torch

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.evaluate.cgf1 import CgF1
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import Limits
from sam3i_edge.prompt import Prompt
from sam3i_edge.quantize import auto
from sam3i_edge.quantize.auto import Budget, Scored, _gains, drop_of
from sam3i_edge.quantize.calibration import load_calibration
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.search import Drop, SearchProgress
from sam3i_edge.quantize.sensitivity import Simulation
from sam3i_edge.targets import get_target
from tests.conftest import instances_of
from tests.train.conftest import TINY, tiny_model


def picture(found, quiet=True):
    """cgF1 of one picture: a phrase with a target, ``found`` or not, and one without any, left alone or not."""
    masks = instances_of(np.ones((1, 4, 4), bool), np.zeros((1, 4)), np.ones(1), Prompt("cup")).rle()
    counts = CgF1()
    counts.add(masks if found else [], masks)
    counts.add([] if quiet else masks, [])
    return counts


def test_the_drop_of_a_route_is_the_mean_over_its_texts_with_its_standard_error():
    before = {"simple": np.array([0.9, 0.8, 0.7, 0.6]), "complex": np.array([0.5, 0.5])}
    after = {"simple": np.array([0.9, 0.8, 0.7, 0.4]), "complex": np.array([0.5, 0.5])}
    drop = drop_of(Scored(before, ()), Scored(after, ()))
    assert drop.where == "simple gIoU"
    assert drop.points == pytest.approx(5.0) and drop.error == pytest.approx(np.std([0, 0, 0, 20]) / 2)


def test_the_error_of_cgf1_is_the_jackknifes():
    before = [picture(True), picture(True), picture(True), picture(False)]
    after = [picture(False), picture(True), picture(True), picture(False)]
    drop = drop_of(Scored({}, tuple(before)), Scored({}, tuple(after)))
    assert drop.where == "concept cgF1" and drop.points > 10

    def cost(pictures):
        was, now = (CgF1.sum(side[i] for i in pictures).result()["cgF1"] for side in (before, after))
        return 100 * (was - now)

    without = np.array([cost([i for i in range(4) if i != left_out]) for left_out in range(4)])
    assert drop.error == pytest.approx(np.sqrt(3 / 4 * np.square(without - without.mean()).sum()))
    assert drop_of(Scored({}, tuple(before)), Scored({}, tuple(before))).pessimistic == 0


def test_gains_are_for_one_picture_or_one_prompt():
    calls = {
        ("vision", "a"): [LayerCall((1, 50, 64), (32, 64))],
        ("grounding", "b"): [LayerCall((6, 10, 64), (32, 64))],
    }
    simulation = Simulation({}, calls, {"vision": 1, "grounding": 6})
    aim, kept = QuantTarget(get_target("nvidia"), "int8-fp16"), SearchProgress()  # not here: work stands for time
    gains, unit = _gains(simulation, aim, kept, Budget(1.0, ()), lambda message: None)
    assert gains == {("vision", "a"): 50 * 64 * 32, ("grounding", "b"): 10 * 64 * 32}
    assert unit == "MACs" and not kept.gains  # another day it may be here


def test_times_are_kept_for_the_runtime_and_processor_that_they_were_taken_on(monkeypatch):
    calls = {("vision", "a"): [LayerCall((1, 50, 64), (32, 64))]}
    simulation, aim = Simulation({}, calls, {"vision": 1}), QuantTarget(get_target("x86-cpu"), "int8")
    kept, timed = SearchProgress(drops={"1": Drop(0.0, 0.0, "")}), []
    monkeypatch.setattr(auto, "saved_ms", lambda calls, *_: timed.append(1) or dict.fromkeys(calls, 2.5))
    for _ in range(2):
        assert _gains(simulation, aim, kept, Budget(1.0, ()), lambda message: None) == ({("vision", "a"): 2.5}, "ms")
    assert len(timed) == 1 and not kept.drops
    kept.timed_with = "onnxruntime 1.0, another processor"
    _gains(simulation, aim, kept, Budget(1.0, ()), lambda message: None)
    assert len(timed) == 2


def test_blocks_are_tried_on_whole_pictures_where_a_call_takes_one_prompt():
    data = load_calibration(None)
    limits = Limits(max_prompts=1, max_boxes=2, max_instances=4)
    tokenizer = clip_tokenizer(TINY.text.context_length)
    inputs = GraphInputs(graph_modules(tiny_model().eval(), limits), data, tokenizer, limits, TINY.image_size)
    with torch.no_grad():
        cases = list(inputs.cases(2))
    assert len(cases) == sum(len(item.prompts) for item in data.asked[:2]) > 2
    assert all(len(grounding[-1]) == 1 for _, grounding in cases)
