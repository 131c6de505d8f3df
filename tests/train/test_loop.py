"""Training runs: what learns, what is frozen, exact resume, and refusals."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from sam3i_edge.errors import TrainingError
from sam3i_edge.model import Sam3i, load
from sam3i_edge.train import loop
from sam3i_edge.train.loop import BEST, LAST, train
from sam3i_edge.train.stages import STAGES, task_of
from sam3i_edge.train.state import STATE
from sam3i_edge.train.validation import validation
from tests.train.conftest import TINY, tiny_model, tiny_recipe


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def run(model, stage, samples, output, stop_after=None, **options):
    steps = iter(range(1, 1000))
    stop = (lambda: next(steps) == stop_after) if stop_after else (lambda: False)
    recipe = tiny_recipe(stage, **options.pop("recipe", {}))
    return train(
        model, task_of(model, stage, samples, recipe), recipe, output, about={"data": "shapes"}, stop=stop, **options
    )


@pytest.fixture(scope="module")
def stages(samples, tmp_path_factory):
    """The weights before training, and after each stage, one going on from the other."""
    model = tiny_model()
    states = {"start": weights(model)}
    for stage in STAGES:
        run(model, stage, samples, tmp_path_factory.mktemp(f"stage{stage}") / "run")
        states[stage] = weights(model)
    return states


def test_the_base_stage_leaves_the_adapters_alone(stages):
    learned = changed(stages["start"], stages["base"])
    assert "backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight" in learned
    assert "backbone.language_backbone.encoder.token_embedding.weight" in learned
    assert not [name for name in learned if "adapter" in name and "mask_predictor" not in name]


def test_a_base_that_was_trained_here_answers_alike_on_all_routes(samples, tmp_path):
    run(tiny_model(), "base", samples, tmp_path)
    head = load(tmp_path / LAST, tmp_path / "config.json").segmentation_head
    learned = head.mask_predictor.state_dict()
    for predictor in (head.mask_predictor_adapter1, head.mask_predictor_adapter2):
        assert all(torch.equal(value, learned[name]) for name, value in predictor.state_dict().items())


@pytest.mark.parametrize(
    ("before", "stage", "learning"),
    [
        ("base", "1", ("adapter1.",)),
        ("1", "2", ("adapter12.", "adapter2.")),
        ("2", "3", ("adapter1.", "adapter12.", "adapter2.", "_proj.")),
    ],
)
def test_a_stage_trains_only_its_adapters_and_projections(stages, before, stage, learning):
    learned = changed(stages[before], stages[stage])
    allowed = (*learning, "mask_predictor_adapter")
    strangers = {name for name in learned if not any(part in name for part in allowed)}
    assert not {name for name in strangers if not name.startswith(("simple_query_proj", "complex_query", "concept"))}
    for part in learning:
        assert any(part in name for name in learned), part


def test_stage_3_leaves_every_base_tensor_as_it_was(stages):
    base = [name for name in stages["2"] if not STAGES["3"].is_trained(name)]
    assert len(base) > 150
    assert all(torch.equal(stages["base"][name], stages["3"][name]) for name in base)


def test_frozen_batch_norms_stay_as_they_are(samples, tmp_path):
    model = tiny_model(backbone="efficientvit_b0")
    before = weights(model)
    assert any("running_mean" in name for name in before)
    run(model, "1", samples, tmp_path, validate=lambda _: {"giou": 0.0}, recipe={"validate_every": 2})
    learned = changed(before, weights(model))
    assert learned and all("adapter" in name for name in learned)


def test_dropout_is_the_transformers_and_not_a_backbones():
    model = tiny_model(backbone="efficientvit_b0")
    loop.set_dropout(model, 0.25)
    shares = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert {share for name, share in shares.items() if "vision_backbone" in name} == {0.0}
    assert {share for name, share in shares.items() if "vision_backbone" not in name} == {0.25}


def test_stage_2_begins_with_what_stage_1_learned(stages, samples, tmp_path):
    model = Sam3i(TINY)
    model.load_state_dict(stages["1"])
    run(model, "2", samples, tmp_path / "run", stop_after=1, recipe={"rate_scale": 1e-12})
    state = weights(model)
    for name, value in state.items():
        if "adapter12" in name:
            torch.testing.assert_close(value, state[name.replace("adapter12", "adapter1")], rtol=0, atol=1e-8)
        elif "adapter2.up_proj" in name:
            assert value.abs().max() < 1e-8


@pytest.mark.parametrize(
    ("stage", "muon", "backbone"),
    [("base", False, ""), ("base", True, ""), ("base", True, "efficientvit_b0"), ("3", False, "")],
)
def test_an_interrupted_run_resumes_to_the_same_weights(stage, muon, backbone, samples, tmp_path):
    whole, parts = tiny_model(backbone=backbone), tiny_model(backbone=backbone)
    recipe = {"accumulate": 2, "muon": muon, "ema": 0.5}
    run(whole, stage, samples, tmp_path / "whole", recipe=recipe)
    assert run(parts, stage, samples, tmp_path / "parts", stop_after=4, recipe=recipe).step == 4
    again = tiny_model(seed=1, backbone=backbone)  # what it starts with is not what it resumes with
    run(again, stage, samples, tmp_path / "parts", resume=True, recipe=recipe)
    assert changed(weights(whole), weights(again)) == set()
    assert (tmp_path / "parts" / LAST).read_bytes() == (tmp_path / "whole" / LAST).read_bytes()


def test_a_killed_run_resumes_to_the_same_weights(shapes, samples, tmp_path):
    """The process is killed at a moment of its own choosing, not asked to stop."""
    recipe = {"steps": 40}
    whole, again = tiny_model(), tiny_model()
    run(whole, "base", samples, tmp_path / "whole", recipe=recipe)
    script = (
        "import sys; from pathlib import Path; from tests.train.conftest import load_samples, tiny_model;"
        "from tests.train.test_loop import run; samples = load_samples(sys.argv[1], 'train').samples;"
        "run(tiny_model(), 'base', samples, Path(sys.argv[2]), recipe={'steps': 40})"
    )
    output = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", script, str(shapes), str(output)], stderr=subprocess.DEVNULL)
    while not list(output.glob("state-0*")) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    run(again, "base", samples, output, resume=True, recipe=recipe)
    assert changed(weights(whole), weights(again)) == set()


def test_a_disk_that_fills_at_the_last_checkpoint_leaves_no_finished_run(samples, tmp_path, monkeypatch):
    whole, again = tiny_model(), tiny_model()
    run(whole, "base", samples, tmp_path / "whole")
    save = loop.save_model

    def full(model, path):
        if list(path.parent.glob("state.partial")) and not list(path.parent.glob(STATE.format(5))):
            save(model, path)
        else:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop, "save_model", full)
    with pytest.raises(TrainingError, match=r"could not be written .*No space left.* go on with --resume"):
        run(tiny_model(), "base", samples, tmp_path / "run")
    assert not loop.finished(tmp_path / "run")
    monkeypatch.undo()
    run(again, "base", samples, tmp_path / "run", resume=True)
    assert changed(weights(whole), weights(again)) == set()


def test_validation_keeps_the_best_model_not_the_last(samples, tmp_path):
    scores = iter([10.0, 30.0, 20.0])
    kept = []

    def validate(model):
        kept.append(weights(model))
        return {"giou": next(scores)}

    progress = run(tiny_model(), "base", samples, tmp_path, validate=validate, recipe={"validate_every": 2})
    assert (progress.best, progress.best_step) == (30.0, 4)
    best = load_file(tmp_path / BEST)
    assert all(torch.equal(best[name], value) for name, value in kept[1].items())
    assert changed(kept[1], kept[2])


def test_validation_looks_at_images_that_have_the_routes_texts(samples):
    without = [dataclasses.replace(s, queries=tuple(q for q in s.queries if q.route == "simple")) for s in samples]
    scores = validation([*without, *samples], ("complex",), 4)(tiny_model().eval())
    assert scores["giou"] == validation(samples, ("complex",), 4)(tiny_model().eval())["giou"]
    with pytest.raises(TrainingError, match="The images to validate on have no complex text that means something"):
        validation(without, ("simple", "complex"), 4)


def test_what_a_run_writes_is_a_checkpoint_with_its_config(samples, tmp_path):
    model = tiny_model()
    run(model, "base", samples, tmp_path)
    loaded = load(tmp_path / LAST, tmp_path / "config.json")
    model.reset_adapters()  # a base's routes answer alike once it is loaded
    assert changed(weights(model), weights(loaded)) == set()
    assert json.loads((tmp_path / "run.json").read_text())["recipe"]["steps"] == 6
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_a_few_steps_make_the_loss_fall(samples, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = {"steps": 80, "dropout": 0.0, "save_every": 80, "rate_scale": 8.0}
    run(tiny_model(), "base", samples, tmp_path, recipe=recipe)
    log = EventAccumulator(str(tmp_path)).Reload()
    for part in ("semantic_dice", "box_giou"):
        losses = [event.value for event in log.Scalars(f"loss/{part}")]
        assert losses[-1] < 0.9 * losses[0], part
    assert [event.step for event in log.Scalars("loss/box_giou")][:5] == [1, 5, 10, 20, 40]


@pytest.mark.parametrize("stage", ["encoders", "base", "3"])
def test_mixed_precision_learns_nearly_the_same(stage, samples, tmp_path):
    recipe = {"steps": 1, "dropout": 0.0, "clip_norm": 1e9, "rate_scale": 1e-3}
    models = {precision: tiny_model() for precision in ("no", "bf16")}
    for precision, model in models.items():
        run(model, stage, samples, tmp_path / precision, recipe=recipe | {"precision": precision})
    before, after = weights(tiny_model()), {precision: weights(model) for precision, model in models.items()}
    moved = {p: torch.cat([(a[n] - before[n]).flatten() for n in changed(before, a)]) for p, a in after.items()}
    assert changed(before, after["bf16"]) == changed(before, after["no"])
    assert torch.nn.functional.cosine_similarity(moved["no"], moved["bf16"], dim=0) > 0.9


def test_a_folder_in_use_is_refused(samples, tmp_path):
    run(tiny_model(), "base", samples, tmp_path, stop_after=1)
    with pytest.raises(TrainingError, match=r"is not empty\. Continue its run with --resume"):
        run(tiny_model(), "base", samples, tmp_path)
    with pytest.raises(TrainingError, match="was started with other recipe"):
        run(tiny_model(), "base", samples, tmp_path, resume=True, recipe={"weight_decay": 0.2})
    with pytest.raises(TrainingError, match=r"There is no run to resume in .*nowhere"):
        run(tiny_model(), "base", samples, tmp_path / "nowhere", resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(samples, tmp_path):
    model = tiny_model()
    with torch.no_grad():
        model.transformer.decoder.query_embed.weight[0, 0] = torch.nan
    with pytest.raises(TrainingError, match=r"answers are not finite\. Lower rate_scale"):
        run(model, "base", samples, tmp_path)


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_spoils_the_weights(samples, tmp_path):
    model = tiny_model()
    model.transformer.decoder.norm.weight.register_hook(lambda gradient: gradient * torch.inf)
    before = weights(model)
    with pytest.raises(TrainingError, match=r"The loss is not finite \(loss \d.*, gradient (nan|inf)\)"):
        run(model, "base", samples, tmp_path)
    assert changed(before, weights(model)) == set()


def test_a_dataset_without_the_stages_texts_is_refused(samples, tmp_path):
    plain = [dataclasses.replace(s, queries=tuple(q for q in s.queries if q.route == "concept")) for s in samples]
    with pytest.raises(TrainingError, match="No image has what stage 2 needs: texts on complex level"):
        run(tiny_model(), "2", plain, tmp_path)
