"""``sam3i-edge distill`` as a user runs it, on a tiny teacher."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from sam3i_edge import demo_model
from sam3i_edge.cli import main
from sam3i_edge.distill.losses import pyramid_losses, text_losses
from sam3i_edge.distill.recipe import RECIPES
from sam3i_edge.distill.run import DistillJob, measured_batches
from sam3i_edge.distill.stages import STAGES, stage_of
from sam3i_edge.distill.students import PRESETS
from sam3i_edge.distill.teacher import Teacher
from sam3i_edge.errors import ConfigError, TrainingError
from sam3i_edge.exporter import export
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.model import load
from sam3i_edge.model.vision import normalize
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.tokenizer import PADDING_ID
from sam3i_edge.train import loop
from sam3i_edge.train.loop import finished, save_model
from sam3i_edge.train.state import STATE
from tests.distill.conftest import CONFIG, make_teacher
from tests.train.conftest import with_backbone

SHORT = [
    "steps=4",
    "images=4",
    "prompts=2",
    "workers=0",
    "save_every=1",
    "mask_size=28",
    "mask_share=0.5",
    "precision=no",
    "ema=0.5",
    "warmup_steps=0",  # so that the few steps move the weights
    "cooldown_steps=0",
]


def arguments(shapes, teacher_file, output, *more, values=SHORT):
    options = ["--teacher", str(teacher_file), "--data", str(shapes), "--recipe", "tabletop", "-o", str(output)]
    return ["distill", *options, *(word for value in values for word in ("--set", value)), *more]


@pytest.fixture(scope="module")
def student(shapes, teacher_file, tmp_path_factory):
    output = tmp_path_factory.mktemp("student") / "run"
    assert main(arguments(shapes, teacher_file, output)) == 0
    return output


def test_what_it_leaves_is_a_checkpoint_with_its_config_and_plan(student):
    model = load(student / "student.safetensors", student / "config.json")
    assert (model.config.vision.num_layers, model.config.encoder_layers, model.config.decoder_layers) == (3, 2, 2)
    plan = json.loads((student / "plan.json").read_text())
    assert [len(layers) for layers in plan["kept"].values()] == [3, 2, 2, 2]
    assert plan["student"]["separable_convs"] is True


def test_a_student_with_a_backbone_of_timm_becomes_a_bundle(shapes, teacher_file, tmp_path):
    output = tmp_path / "run"
    assert main(arguments(shapes, teacher_file, output, "--student", "lite", "--stages", "vision,whole")) == 0
    start, taught = (load_file(output / file) for file in ("start.safetensors", "student.safetensors"))
    for part in ("body.stem_in_conv.conv.weight", "norm.running_var", "laterals.3.weight"):
        assert any(part in name and not torch.equal(value, start[name]) for name, value in taught.items()), part
    export(output / "student.safetensors", output=tmp_path / "bundle", target="x86-cpu", precision="fp32")
    operators = {node.op_type for node in onnx.load(tmp_path / "bundle/graphs/vision.onnx").graph.node}
    assert "Conv" in operators and "BatchNormalization" not in operators
    image = read_image(sorted((shapes / "images").iterdir())[0])
    with Segmenter.load(tmp_path / "bundle") as segmenter, torch.inference_mode():
        wanted = load(output / "student.safetensors", output / "config.json").encode_image(
            normalize(torch.from_numpy(preprocess(image, CONFIG.image_size).copy()))
        )
        found = segmenter.encode(image).features
        for name, level in zip(("fine", "middle", "coarse"), wanted, strict=True):
            np.testing.assert_allclose(np.asarray(found[name]), level, atol=1e-3)


@pytest.mark.parametrize(("preset", "size"), [("low-res", 42), ("few-queries", 56)])
def test_students_of_smaller_pictures_and_fewer_queries_are_taught_and_taught_on(
    preset, size, shapes, teacher_file, tmp_path
):
    output, cache = tmp_path / "run", tmp_path / "cache"
    first = ("--student", preset, "--stages", "vision,whole", "--feature-cache", str(cache))
    assert main(arguments(shapes, teacher_file, output, *first)) == 0
    shutil.rmtree(cache)
    assert main(arguments(shapes, teacher_file, output, *first, "--resume")) == 0
    assert not cache.exists(), "a finished stage needs it no more"
    taught = load(output / "student.safetensors", output / "config.json")
    assert (taught.config.image_size, taught.config.num_queries) == (size, 4 if preset == "few-queries" else 6)
    again = ("--student", str(output / "student.safetensors"), "--stages", "whole")
    assert main(arguments(shapes, teacher_file, tmp_path / "again", *again)) == 0
    alone = ("--student", preset, "--stages", "whole", "--without-teacher")
    assert main(arguments(shapes, teacher_file, tmp_path / "alone", *alone)) == 0


def test_the_taught_backbone_of_a_teacher_keeps_its_weights(samples):
    teacher = with_backbone(CONFIG, "efficientvit_b0")
    with pytest.raises(ConfigError, match="--pretrained is for presets with a backbone"):
        DistillJob(Path("t"), teacher, PRESETS["text"], samples, {}, "shapes", pretrained=True)


def test_each_stage_teaches_its_part_and_nothing_else(student):
    states = [
        load_file(student / file)
        for file in ("start.safetensors", *(f"{s}/last.safetensors" for s in ("vision", "text", "whole")))
    ]
    changed = [{n for n in a if not torch.equal(a[n], b[n])} for a, b in itertools.pairwise(states)]
    assert changed[0] and all(name.startswith("backbone.vision_backbone.") for name in changed[0])
    assert changed[1] and all(name.startswith("backbone.language_backbone.") for name in changed[1])
    for part in ("trunk.blocks.0", "resblocks.0.adapter12", "transformer.decoder", "segmentation_head", "presence"):
        assert any(part in name for name in changed[2]), part
    assert all(torch.equal(load_file(student / "student.safetensors")[n], v) for n, v in states[3].items())


def test_stages_called_one_by_one_build_on_each_other(student, shapes, teacher_file, tmp_path, capsys):
    output = tmp_path / "run"
    for number, stage in enumerate(("vision", "text")):
        assert main(arguments(shapes, teacher_file, output, "--stages", stage, *["--resume"] * number)) == 0
    apart = load_file(output / "student.safetensors")
    together = load_file(student / "text/last.safetensors")
    assert all(torch.equal(apart[name], value) for name, value in together.items())
    (state,) = (output / "vision").glob("state-*")
    state.rename(state.with_name(STATE.format(3)))
    assert main(arguments(shapes, teacher_file, output, "--stages", "whole", "--resume")) == 1
    assert "was interrupted. Name it in --stages, too" in capsys.readouterr().err
    shutil.rmtree(output / "vision")
    assert main(arguments(shapes, teacher_file, output, "--stages", "text", "--resume")) == 1
    assert "started with other begins_with" in capsys.readouterr().err


def test_a_stage_that_comes_too_late_is_refused(shapes, teacher_file, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(arguments(shapes, teacher_file, output, "--stages", "whole")) == 0
    taught = (output / "student.safetensors").read_bytes()
    assert main(arguments(shapes, teacher_file, output, "--stages", "vision", "--resume")) == 1
    assert f"{output / 'whole'} was taught without the stage vision. Remove that folder and" in capsys.readouterr().err
    assert not (output / "vision").exists() and (output / "student.safetensors").read_bytes() == taught
    shutil.rmtree(output / "whole")
    assert main(arguments(shapes, teacher_file, output, "--stages", "vision,whole", "--resume")) == 0


def test_a_disk_that_fills_at_the_beginning_leaves_an_empty_folder(shapes, teacher_file, tmp_path, monkeypatch):
    from sam3i_edge.distill import run

    def full(_model, path):
        path.with_suffix(".partial").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "save_model", full)
    assert main(arguments(shapes, teacher_file, tmp_path / "run")) == 1
    assert not list((tmp_path / "run").iterdir())


def test_ctrl_c_while_layers_are_chosen_ends_it(shapes, teacher_file, tmp_path, monkeypatch, capsys):
    import sam3i_edge.commands.distill as command

    monkeypatch.setattr(command, "stop_after_this_step", lambda: [2])
    assert main(arguments(shapes, teacher_file, tmp_path / "run")) == 130
    assert "choosing the layers" not in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(("content", "is_named"), [("[]", True), ("{", True), ("{}", False)])
def test_what_a_damaged_record_says_of_a_stage(tmp_path, content, is_named):
    (tmp_path / "run.json").write_text(content)
    if is_named:
        with pytest.raises(TrainingError, match=r"run\.json is damaged"):
            finished(tmp_path)
    else:
        assert not finished(tmp_path)


def test_a_damaged_record_of_a_run_is_named(shapes, teacher_file, tmp_path, capsys):
    (tmp_path / "plan.json").write_text('{"teacher"')
    assert main(arguments(shapes, teacher_file, tmp_path, "--resume")) == 1
    assert f"{tmp_path / 'plan.json'} is damaged (" in capsys.readouterr().err


def test_images_without_texts_choose_no_layers(samples):
    silent = [dataclasses.replace(sample, queries=()) for sample in samples]
    assert len(measured_batches([*silent, *samples[:2]], CONFIG)[0].images) == 2
    with pytest.raises(TrainingError, match="No image of the training set has a text"):
        measured_batches(silent, CONFIG)


def test_what_does_not_fit_is_said_before_any_stage(shapes, teacher_file, tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[vision]\n"trunk.block.0.mlp" = "int8"')
    more = ["--student", "same", "--stages", "whole,int8", "--int8-recipe", str(recipe)]
    assert main(arguments(shapes, teacher_file, tmp_path / "run", *more)) == 1
    assert "Unknown block of the vision graph 'trunk.block.0.mlp'" in capsys.readouterr().err
    assert not (tmp_path / "run" / "whole").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_processes_that_are_not_forked_can_prepare_its_batches(stage, teacher, samples):
    task = stage_of(copy.deepcopy(teacher), Teacher(teacher), stage, samples, RECIPES["tabletop"][stage])
    data, collate = pickle.loads(pickle.dumps((task.dataset, task.collate)))  # noqa: S301
    assert collate([data[0, 0]])


@pytest.mark.parametrize("stage", ["vision", "text"])
def test_a_student_comes_closer_to_its_teacher(stage, shapes, teacher, teacher_file, samples, tmp_path):
    values = [*SHORT[1:], "steps=80", "rate_scale=10.0", "save_every=80"]
    output = tmp_path / "run"
    assert main(arguments(shapes, teacher_file, output, "--stages", stage, values=values)) == 0
    batch = measured_batches(samples, CONFIG)[0]

    def distance(file):
        model = load(output / file, output / "config.json")
        with torch.inference_mode():
            if stage == "vision":
                pixels = normalize(batch.images)
                parts = pyramid_losses(model.encode_image(pixels), teacher.encode_image(pixels))
            else:
                texts = batch.texts[0]
                used = texts.tokens != PADDING_ID
                parts = text_losses(model.encode_text(*texts), teacher.encode_text(*texts), used)
        return float(sum(parts.values()))

    assert distance("student.safetensors") < 0.8 * distance("start.safetensors")


def test_the_int8_finish_is_a_stage_of_its_own(shapes, teacher_file, tmp_path):
    output = tmp_path / "run"
    assert main(arguments(shapes, teacher_file, output, "--student", "same", "--stages", "int8")) == 0
    assert json.loads((output / "int8" / "run.json").read_text())["int8"]["scheme"] == "affine"
    before, after = (load_file(output / file) for file in ("start.safetensors", "student.safetensors"))
    assert set(before) == set(after) and any(not torch.equal(before[name], after[name]) for name in before)
    (state,) = (output / "int8").glob("state-*")
    assert [name for name in load_file(state / "model.safetensors") if name.startswith("ranges.")]


def test_quantization_aware_training_is_that_stage(shapes, teacher_file, tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('observer = "min-max"\n[vision]\n"trunk.*" = "int4"')
    output = tmp_path / "run"
    options = ["--checkpoint", str(teacher_file), "--data", str(shapes), "--training", "tabletop", "-o", str(output)]
    command = ["quantize", "qat", *options, "--recipe", str(recipe), *(word for v in SHORT for word in ("--set", v))]
    assert main([*command, "--target", "intel-cpu"]) == 0
    assert f"to be exported with --precision int8: {output / 'student.safetensors'}" in capsys.readouterr().out
    made_for = json.loads((output / "int8" / "run.json").read_text())["int8"]
    assert made_for["scheme"] == "symmetric" and made_for["recipe"]["vision"] == {"trunk.*": "int4"}
    before, after = (load_file(output / file) for file in ("start.safetensors", "student.safetensors"))
    assert set(before) == set(after) and any(not torch.equal(before[name], after[name]) for name in before)


def test_a_stopped_run_goes_on_to_the_same_student(student, shapes, teacher_file, tmp_path, monkeypatch, capsys):
    """Stopped in the second stage, as Ctrl-C does."""
    output, steps = tmp_path / "run", iter(range(1000))
    save, again = loop.save_state, arguments(shapes, teacher_file, tmp_path / "run", "--resume")
    import sam3i_edge.commands.distill as command

    received: list[int] = []
    monkeypatch.setattr(command, "stop_after_this_step", lambda: received)
    monkeypatch.setattr(loop, "save_state", lambda *a: (save(*a), next(steps) == 5 and received.append(2)))
    assert main(arguments(shapes, teacher_file, output)) == 130
    assert "go on with --resume" in capsys.readouterr().err
    assert not (output / "student.safetensors").exists()
    monkeypatch.undo()
    assert main(again) == 0
    whole, parts = (load_file(folder / "student.safetensors") for folder in (student, output))
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    assert main(again) == 0, "a finished run is finished again"


def test_labels_alone_teach_the_same_student_from_the_same_start(student, shapes, teacher_file, tmp_path):
    output = tmp_path / "run"
    assert main(arguments(shapes, teacher_file, output, "--stages", "whole", "--without-teacher")) == 0
    a, b = (load_file(folder / "start.safetensors") for folder in (student, output))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert json.loads((output / "whole" / "run.json").read_text())["with_teacher"] is False


def test_a_student_that_exists_is_taught_further(student, shapes, teacher_file, tmp_path):
    first = student / "student.safetensors"
    asked = arguments(shapes, teacher_file, tmp_path / "run", "--student", str(first), "--stages", "whole")
    assert main(asked) == 0
    before, start, after = map(
        load_file, (first, tmp_path / "run/start.safetensors", tmp_path / "run/student.safetensors")
    )
    assert all(torch.equal(start[name], before[name]) for name in before)
    assert any(not torch.equal(after[name], before[name]) for name in before)
    assert (tmp_path / "run/config.json").read_text() == (student / "config.json").read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--student", "tiny"], "Unknown student 'tiny'"),
        (["--stages", "vison"], "Unknown stage 'vison'.*Did you mean 'vision'"),
        (["--set", "hole.steps=3"], "Unknown stage 'hole'.*Did you mean 'whole'"),
        (["--set", "whole.stepz=3"], "stepz"),
        (["--stages", "whole", "--set", "vision.stepz=3"], "stepz"),
        (["--feature-cache", "CACHE", "--set", "vision.least_scale=0.5"], "cache has the images at their own scale"),
        (["--without-teacher"], "labels alone, which only the stage whole has: --stages whole"),
        (["--resume"], "is not there. Resume with the same arguments"),
        (["--pretrained"], "--pretrained is for presets with a backbone of timm"),
        (["--stages", ""], "--stages names no stage. Known: vision, text, whole, int8"),
        (["--student", str(demo_model.STUDENT)], "has hidden_size 96 and its teacher 16: their answers cannot be comp"),
        (["--student", "SHORTER"], r"has text\.context_length 16 and its teacher 32"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    more, message, shapes, teacher_file, tmp_path, tmp_path_factory, capsys
):
    folder = tmp_path_factory.mktemp("given")
    shorter = dataclasses.replace(CONFIG, text=dataclasses.replace(CONFIG.text, context_length=16))
    save_model(make_teacher(shorter), folder / "student.safetensors")
    shorter.write_beside(folder / "student.safetensors")
    given = {"CACHE": tmp_path / "cache", "SHORTER": folder / "student.safetensors"}
    more = [str(given.get(word, word)) for word in more]
    assert main(arguments(shapes, teacher_file, tmp_path / "run", *more)) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_student_is_refused(student, shapes, teacher_file, capsys):
    assert main(arguments(shapes, teacher_file, student)) == 1
    assert "is not empty. Continue its run with --resume" in capsys.readouterr().err
    assert main(arguments(shapes, teacher_file, student, "--resume", "--student", "slim")) == 1
    assert "was started with other student" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["distill", "train"])
def test_two_processes_train_one_model(command, shapes, teacher_file, tmp_path):
    asked = arguments(shapes, teacher_file, tmp_path / "run")
    if command == "train":
        config = str(teacher_file.with_name("config.json"))
        asked[:3] = ["train", "--stage", "base", "--config", config, "--set", "validate_every=0"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "sam3i_edge"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *asked], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the student: " if command == "distill" else "trained 4 steps") == 1
    assert done.stderr.count("choosing the layers that stay") == (command == "distill")
    runs = [json.loads(file.read_text()) for file in (tmp_path / "run").rglob("run.json")]
    assert [run["processes"] for run in runs] == [2] * (3 if command == "distill" else 1)


def test_without_torch_it_says_what_to_install(monkeypatch, capsys):
    for name, options in (("students", ["list"]), ("budget", ["plan"]), ("run", ["--data", "x", "-o", "x"])):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, f"sam3i_edge.distill.{name}", None)
            assert main(["distill", *options]) == 1
        assert "which is not installed: pip install '.[distill]'" in capsys.readouterr().err


def test_the_presets_are_listed(capsys):
    assert main(["distill", "list"]) == 0
    assert "pruned" in capsys.readouterr().out
