"""Students: which layers stay, and that what stays is the teacher's."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sam3i_edge.config import ModelConfig
from sam3i_edge.distill.importance import _answers, choose_layers, choose_queries, without
from sam3i_edge.distill.run import measured_batches
from sam3i_edge.distill.students import (
    POSITIONS,
    PRESETS,
    QUERIES,
    STACKS,
    Preset,
    build,
    depths,
    get_preset,
    layer_counts,
    plan,
    query_count,
)
from sam3i_edge.errors import ConfigError
from sam3i_edge.model import Sam3i
from sam3i_edge.model.vision import normalize
from tests.distill.conftest import CONFIG, make_teacher


@pytest.mark.parametrize("teacher_sizes", ["full", "tabletop"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fits_teachers_of_every_size(name, teacher_sizes):
    teacher = ModelConfig.preset(teacher_sizes)
    found = plan(PRESETS[name], teacher)
    assert layer_counts(found.config) == depths(PRESETS[name], teacher)
    assert found.config == ModelConfig.from_dict(found.config.to_dict())
    assert found.kept["vision"][-1] == teacher.vision.num_layers - 1
    with torch.device("meta"):
        Sam3i(found.config)


def test_a_student_that_leaves_nothing_out_answers_as_its_teacher(teacher, samples):
    student = build(teacher, plan(Preset("all"), CONFIG)).eval()
    batch = measured_batches(samples, CONFIG)[0]
    with torch.inference_mode():
        for a, b in zip(
            teacher.encode_image(normalize(batch.images)), student.encode_image(normalize(batch.images)), strict=True
        ):
            assert torch.equal(a, b)
        assert torch.equal(teacher.encode_text(*batch.texts[0]), student.encode_text(*batch.texts[0]))


def answers(model, stack, batch):
    return next(_answers(model, [batch])[stack]())


@pytest.mark.parametrize("stack", STACKS)
def test_a_pruned_student_is_the_teacher_without_those_layers(teacher, samples, stack):
    missing = {"vision": 2, "text": 0, "encoder": 1, "decoder": 0}[stack]
    counts = layer_counts(CONFIG)
    kept = {name: [i for i in range(count) if (name, i) != (stack, missing)] for name, count in counts.items()}
    student = build(teacher, plan(Preset("some"), CONFIG, kept)).eval()
    assert layer_counts(student.config)[stack] == counts[stack] - 1
    assert student.config.vision.global_attention_layers == ((1, 2) if stack == "vision" else (1, 3))
    batch = measured_batches(samples, CONFIG)[0]
    with torch.inference_mode():
        whole = answers(teacher, stack, batch)
        with without(teacher, stack, {missing}):
            found = answers(teacher, stack, batch)
        for a, b, c in zip(found, answers(student, stack, batch), whole, strict=True):
            torch.testing.assert_close(a, b)
            assert not torch.allclose(a, c, rtol=1e-3, atol=1e-3)
        assert all(map(torch.equal, whole, answers(teacher, stack, batch)))  # they are back


def test_a_backbone_of_timm_replaces_the_trunk_and_nothing_else(teacher):
    student = build(teacher, plan(PRESETS["lite"], CONFIG))
    same = {
        name
        for name, value in student.state_dict().items()
        if torch.equal(value, teacher.state_dict().get(name, value[..., :0]))
    }
    assert {
        name for name in teacher.state_dict() if "vision_backbone" not in name and ".conv_layers." not in name
    } <= same
    assert not any("vision_backbone" in name for name in same)
    with pytest.raises(ConfigError, match="sees with efficientvit_b0, which has no layers to leave out"):
        depths(PRESETS["pruned"], student.config)
    assert plan(PRESETS["slim"], student.config).config.vision.backbone == "efficientvit_b0"


def test_a_smaller_picture_has_the_teachers_positions_resampled(teacher):
    student = build(teacher, plan(PRESETS["low-res"], CONFIG))
    assert student.config.image_size == round(3 / 4 * CONFIG.grid_size) * CONFIG.patch_size
    flat = make_teacher()
    with torch.no_grad():
        flat.get_parameter(POSITIONS).fill_(0.5)
    assert torch.allclose(build(flat, plan(PRESETS["low-res"], CONFIG)).get_parameter(POSITIONS), torch.tensor(0.5))
    same = {name for name, value in student.named_parameters() if torch.equal(value, teacher.get_parameter(name))}
    assert {name for name, _ in teacher.named_parameters()} - same <= {POSITIONS}


def test_the_queries_that_answer_stay(samples):
    teacher = make_teacher()
    count = query_count(PRESETS["few-queries"], CONFIG)
    batches = measured_batches(samples, CONFIG)
    chosen = choose_queries(teacher, batches, count)
    assert len(chosen) == 4
    student = build(teacher, plan(PRESETS["few-queries"], CONFIG, queries=chosen))
    for name in QUERIES:
        assert torch.equal(student.get_parameter(name), teacher.get_parameter(name)[list(chosen)])
    others = sorted(set(range(CONFIG.num_queries)) - set(chosen))
    with torch.inference_mode():
        scores = sum(answers(teacher, "decoder", batch)[2].sum(0) for batch in batches)
    assert scores[list(chosen)].min() >= scores[others].max()


def test_a_student_may_teach(teacher):
    """Its short token rows stay as they are."""
    student = plan(PRESETS["default"], CONFIG).config
    assert student.text.embedding_size
    assert plan(PRESETS["same"], student).config == student
    assert plan(PRESETS["pruned"], student).config.text == student.text
    first = build(teacher, plan(PRESETS["default"], CONFIG))
    again = build(first, plan(PRESETS["same"], student))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())


def test_a_convolution_that_is_separable_is_split_without_loss():
    teacher = make_teacher()
    conv = teacher.backbone.vision_backbone.convs[0].conv_3x3
    with torch.no_grad():
        conv.weight.copy_(torch.randn(16, 16, 1, 1) * torch.randn(1, 16, 3, 3))
    student = build(teacher, plan(Preset("separable", separable_convs=True), CONFIG))
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(student.backbone.vision_backbone.convs[0].conv_3x3(x), conv(x), rtol=1e-4, atol=1e-4)


def test_the_layers_that_do_nothing_are_left_out(samples):
    teacher = make_teacher()
    idle = {"vision": 1, "text": 0, "encoder": 2, "decoder": 1}
    with torch.no_grad():
        for stack, index in idle.items():
            for name, parameter in teacher.get_submodule(STACKS[stack])[index].named_parameters():
                if stack != "decoder" and any(part in name for part in ("proj", "fc2", "linear2")):
                    parameter.mul_(1e-4)
    wanted = {"vision": 3, "text": 2, "encoder": 2, "decoder": 3}
    said = []
    kept = choose_layers(teacher, measured_batches(samples, CONFIG), wanted, said.append)
    assert kept == {"vision": (0, 2, 3), "text": (1, 2), "encoder": (0, 1), "decoder": (0, 1, 2)}
    assert len(said) == 3 and said[0].startswith("vision: without layer 1 the answers change by")


def test_a_narrower_text_encoder_has_whole_heads():
    text = dataclasses.replace(CONFIG.text, hidden_size=240, num_heads=12)
    teacher = dataclasses.replace(CONFIG, text=text)
    assert plan(PRESETS["text"], teacher).config.text.hidden_size == 192  # the nearest step of 32 and heads, not 160
    assert plan(PRESETS["same"], teacher).config == teacher


def test_layers_that_nothing_reads_are_no_layers(samples):
    config = dataclasses.replace(CONFIG, vision=dataclasses.replace(CONFIG.vision, global_attention_layers=(0, 2)))
    teacher = make_teacher(config)
    batches = measured_batches(samples, config)
    kept = choose_layers(teacher, batches, {"vision": 2})
    assert len(kept["vision"]) == 2 and kept["vision"][-1] == 2
    student = build(teacher, plan(PRESETS["same"], config)).eval()
    assert layer_counts(student.config)["vision"] == student.config.vision.num_layers == 3
    with torch.inference_mode():
        for a, b in zip(*(answers(model, "vision", batches[0]) for model in (teacher, student)), strict=True):
            assert torch.equal(a, b)


def test_a_text_student_is_small():
    teacher = ModelConfig.preset("tabletop")
    counts = []
    for config in (teacher, plan(PRESETS["text"], teacher).config):
        with torch.device("meta"):
            counts.append(sum(p.numel() for p in Sam3i(config).backbone.language_backbone.parameters()))
    assert counts[1] <= 0.2 * counts[0]


def test_an_unknown_student_is_refused():
    with pytest.raises(ConfigError, match=r"Unknown student 'defualt'.*Did you mean 'default'"):
        get_preset("defualt")


def test_a_smaller_picture_of_a_backbone_has_an_even_number_of_patches_on_a_side():
    teacher = dataclasses.replace(CONFIG, image_size=20 * CONFIG.patch_size)
    assert plan(get_preset("low-res"), teacher).config.grid_size == 15
    assert plan(get_preset("lite+low-res"), teacher).config.grid_size == 16


def test_presets_add_up():
    both = get_preset("default+low-res+slim")
    assert (both.vision, both.picture, both.text_width) == (2 / 3, 3 / 4, 2 / 3)
    assert (both.encoder, both.decoder) == pytest.approx((4 / 9, 4 / 9))
    assert both.separable_convs and not both.backbone
    assert get_preset("lite+low-res").backbone == PRESETS["lite"].backbone
    assert get_preset("lite+pruned").vision == 1.0, "layers of a trunk that it does not have"
    with pytest.raises(ConfigError, match="one backbone, not efficientvit_b0 and repvit_m1_1"):
        get_preset("lite+lite-repvit")
    with pytest.raises(ConfigError, match="Unknown student 'lowres'"):
        get_preset("default+lowres")
