"""The model and the scenes that come with the package."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from sam3i_edge import shipped
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.distill.students import get_preset, layer_counts, plan
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.eager import segmenter_of
from sam3i_edge.model import load
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier


@pytest.fixture(scope="module")
def model():
    return load(shipped.CHECKPOINT, ModelConfig.of_checkpoint(shipped.CHECKPOINT, None))


@pytest.fixture(scope="module")
def student():
    return load(shipped.STUDENT, ModelConfig.of_checkpoint(shipped.STUDENT, None))


def test_the_model_is_small_and_in_half_precision():
    assert shipped.CHECKPOINT.stat().st_size <= 24e6
    with safe_open(shipped.CHECKPOINT, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_its_sizes_are_the_tabletop_preset(model):
    assert model.config == ModelConfig.preset("tabletop")


def test_the_student_is_its_default_student_for_smaller_pictures_in_half_precision(student):
    made = plan(get_preset("default+low-res"), ModelConfig.preset("tabletop")).config
    assert layer_counts(student.config) == layer_counts(made)
    assert (student.config.text, student.config.separable_convs) == (made.text, True)
    assert student.config.image_size == made.image_size == 168
    assert shipped.STUDENT.stat().st_size <= 11e6
    with safe_open(shipped.STUDENT, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_the_students_text_encoder_is_a_fifth_of_its_teachers(model, student):
    teachers, mine = (sum(p.numel() for p in m.backbone.language_backbone.parameters()) for m in (model, student))
    assert mine <= 0.2 * teachers


def test_every_scene_has_a_text_of_each_level():
    samples = load_samples(shipped.SCENES, "demo").samples
    assert len(samples) == 6
    for sample in samples:
        assert sorted(query.route for query in sample.queries) == sorted(ROUTES)
        assert all(query.targets for query in sample.queries)


@pytest.mark.parametrize(
    ("name", "checkpoint", "least"),
    [
        ("model", shipped.CHECKPOINT, {"concept": 60, "simple": 60, "complex": 60}),
        ("student", shipped.STUDENT, {"concept": 50, "simple": 60, "complex": 60}),
    ],
)
def test_it_finds_some_of_what_the_scenes_texts_mean(name, checkpoint, least, request):
    found = request.getfixturevalue(name)
    segmenter = segmenter_of(found, classifier=RouteClassifier.of_checkpoint(checkpoint))
    scores = evaluate(segmenter, load_samples(shipped.SCENES, "demo").samples)
    assert scores.auto_route_accuracy == 100
    assert all(scores.routes[route].giou > bound for route, bound in least.items()), scores.routes
