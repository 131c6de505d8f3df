"""The demo model, its student and its scenes."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from sam3i_edge import demo_model
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.distill.students import get_preset, layer_counts, plan
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.model import load
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier


@pytest.fixture(scope="module")
def model():
    return load(demo_model.CHECKPOINT, ModelConfig.of_checkpoint(demo_model.CHECKPOINT, None))


@pytest.fixture(scope="module")
def student():
    return load(demo_model.STUDENT, ModelConfig.of_checkpoint(demo_model.STUDENT, None))


def test_the_model_is_small_and_in_half_precision():
    assert demo_model.CHECKPOINT.stat().st_size <= 24e6
    with safe_open(demo_model.CHECKPOINT, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_its_sizes_are_the_tabletop_preset(model):
    assert model.config == ModelConfig.preset("tabletop")


def test_the_student_is_its_default_student_for_smaller_pictures_in_half_precision(student):
    made = plan(get_preset("default+low-res"), ModelConfig.preset("tabletop")).config
    assert layer_counts(student.config) == layer_counts(made)
    assert (student.config.text, student.config.separable_convs) == (made.text, True)
    assert student.config.image_size == made.image_size == 168
    assert demo_model.STUDENT.stat().st_size <= 11e6
    with safe_open(demo_model.STUDENT, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_every_scene_has_a_text_of_each_level():
    samples = load_samples(demo_model.SCENES, "demo").samples
    assert len(samples) == 6
    for sample in samples:
        assert sorted(query.route for query in sample.queries) == sorted(ROUTES)
        assert all(query.targets for query in sample.queries)


@pytest.mark.parametrize(
    ("name", "checkpoint", "least"),
    [
        ("model", demo_model.CHECKPOINT, {"concept": 60, "simple": 60, "complex": 60}),
        ("student", demo_model.STUDENT, {"concept": 50, "simple": 60, "complex": 60}),
    ],
)
def test_it_finds_some_of_what_the_scenes_texts_mean(name, checkpoint, least, request):
    found = request.getfixturevalue(name)
    segmenter = segmenter_of(found, classifier=RouteClassifier.of_checkpoint(checkpoint))
    scores = evaluate(segmenter, load_samples(demo_model.SCENES, "demo").samples)
    assert scores.auto_route_accuracy == 100
    assert all(scores.routes[route].giou > bound for route, bound in least.items()), scores.routes
