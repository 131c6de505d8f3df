"""Frames estimated from blocks: the sums, the choice, and a real measurement of a small model."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sam3i_edge.cli import main
from sam3i_edge.config import ModelConfig
from sam3i_edge.distill import budget
from sam3i_edge.distill.budget import BLOCKS, PROBES, Estimate, WidthTimes, _resized, _width, added, lines
from sam3i_edge.distill.students import PRESETS, plan
from sam3i_edge.engine import STAGES
from tests.train.conftest import with_backbone

TIMES = WidthTimes(
    dict.fromkeys(STAGES, 1.0), {"global": 10.0, "windowed": 4.0, "text": 2.0, "encoder": 5.0, "decoder": 3.0}
)
FULL = ModelConfig()
TABLETOP = ModelConfig.preset("tabletop")


def test_a_frame_is_its_blocks():
    stages = {stage: TIMES.stage(stage, FULL) for stage in STAGES}
    assert stages == {
        "preprocess": 1,
        "vision": 1 + 3 * 10 + 28 * 4,
        "text": 1 + 23 * 2,
        "grounding": 1 + 5 * 5 + 5 * 3,
        "postprocess": 1,
    }


def test_a_backbone_of_timm_has_no_blocks_of_the_trunk():
    lite = with_backbone(FULL, "efficientvit_b0")
    assert (TIMES.stage("vision", lite), TIMES.stage("text", lite)) == (1, TIMES.stage("text", FULL))


def test_the_probes_have_more_blocks():
    layers = {}
    for name, probe in PROBES.items():
        config = _resized(FULL, probe)
        layers[name] = (config.vision.num_layers, config.vision.global_attention_layers, config.decoder_layers)
    assert layers == {"smallest": (1, (0,), 1), "second": (2, (0, 1), 1), "third": (5, (4,), 2)}
    assert {block: added(block, PROBES[probe]) for block, (probe, _) in BLOCKS.items()} == {
        "global": 1,
        "text": 4,
        "encoder": 1,
        "windowed": 4,
        "decoder": 1,
    }


@pytest.mark.parametrize(("name", "stages"), [("low-res", {"text"}), ("few-queries", {"vision", "text"})])
def test_what_a_preset_leaves_alone_is_measured_once(name, stages):
    config = plan(PRESETS[name], FULL).config
    assert {
        stage for stage in ("vision", "text", "grounding") if _width(stage, config) == _width(stage, FULL)
    } == stages


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.picture == one.queries == 1])
def test_two_measurements_know_every_preset_of_the_teachers_pictures_and_queries(name):
    measured = (FULL, plan(PRESETS["default"], FULL).config)
    for stage in set(STAGES) - ({"vision"} if PRESETS[name].backbone else set()):
        assert _width(stage, plan(PRESETS[name], FULL).config) in [_width(stage, config) for config in measured]


def test_presets_that_a_teacher_cannot_have_are_left_out(monkeypatch, tmp_path):
    measured = []
    monkeypatch.setattr(budget, "_measure", lambda config, probes, *_: measured.append(len(probes)) or TIMES)
    lite = with_backbone(FULL, "efficientvit_b0")
    said = []
    names = {one.name for one in budget.estimate(lite, "x86-cpu", tmp_path, 1, said.append)}
    assert {"teacher", "text", "slim", "low-res"} <= names and not names & {"default", "pruned", "small"}
    assert any(
        line.startswith(f"{sum(measured)} small models are exported and timed, in {len(measured)} g") for line in said
    )
    assert any(line.startswith("left out: default. The teacher sees with efficientvit_b0") for line in said)


def test_the_largest_that_fits_is_named():
    estimates = [
        Estimate(name, dict.fromkeys(STAGES, ms / 5), "") for name, ms in (("teacher", 100), ("a", 40), ("b", 20))
    ]
    assert "The largest that takes 50 ms or less: a" in "\n".join(lines(estimates, 50))
    assert "None takes 5 ms or less in FP32" in "\n".join(lines(estimates, 5))
    *rows, legend = list(lines(estimates, None))[1:]
    assert [line.split()[0] for line in rows] == ["teacher", "a", "b"]
    assert legend.startswith("of it: share of the teacher's frame")


def test_a_latency_without_a_unit_is_refused(capsys):
    assert main(["distill", "plan", "--latency", "50"]) == 1
    assert "Cannot read the latency '50'. Write a number with ms or s: 50ms." in capsys.readouterr().err


def test_a_target_that_is_not_ready_is_refused_before_anything_is_exported(capsys):
    assert main(["distill", "plan", "--target", "jetson"]) == 1
    told = capsys.readouterr().err
    assert "The target jetson is not ready here: " in told and "exporting" not in told


def test_adapters_of_any_number_of_heads_can_be_planned():
    three = dataclasses.replace(TABLETOP, adapter=dataclasses.replace(TABLETOP.adapter, num_heads=3))
    assert {stage: budget._width(stage, three).adapter.num_heads for stage in STAGES} == dict.fromkeys(STAGES, 3)


def test_a_teacher_that_is_not_there_is_no_model_of_the_published_size(tmp_path, capsys):
    assert main(["distill", "plan", "--teacher", str(tmp_path / "none.safetensors")]) == 1
    assert "There is no checkpoint" in capsys.readouterr().err


@pytest.mark.slow
def test_a_plan_of_a_small_model(tmp_path, capsys, monkeypatch):
    some = {name: PRESETS[name] for name in ("default", "pruned", "lite", "low-res")}
    monkeypatch.setattr(budget, "PRESETS", some)
    small = dataclasses.replace(ModelConfig.preset("small"), text=ModelConfig.preset("tabletop").text)
    (tmp_path / "small.json").write_text(json.dumps(small.to_dict()))
    command = ["distill", "plan", "--config", str(tmp_path / "small.json"), "--target", "x86-cpu"]
    assert main([*command, "--latency", "10s", "--json", str(tmp_path / "plan.json")]) == 0
    assert "The largest that takes 10000 ms or less: " in capsys.readouterr().out
    found = {row["name"]: row["frame_ms"] for row in json.loads((tmp_path / "plan.json").read_text())["estimates"]}
    assert set(found) == {"teacher", *some}
    assert all(0 < milliseconds < 10_000 for milliseconds in found.values())
