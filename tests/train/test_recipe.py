"""Learning rates over time and by part, and recipes from files."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sam3i_edge.errors import ConfigError
from sam3i_edge.train.recipe import TrainRecipe, load_recipe
from sam3i_edge.train.schedule import ConvMuon, make_optimizers, rate_share, set_rates
from sam3i_edge.train.stages import enter
from tests.train.conftest import tiny_model


def test_the_rate_rises_falls_as_an_inverse_root_and_cools_down():
    recipe = TrainRecipe(steps=1000, warmup_steps=10, timescale=100.0, cooldown_steps=50)
    assert [rate_share(recipe, step, 1000) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert rate_share(recipe, 310, 1000) == pytest.approx(0.5)  # three timescales past the warm-up
    assert rate_share(recipe, 975, 1000) == pytest.approx(rate_share(recipe, 950, 1000) / 2, rel=0.02)
    assert rate_share(recipe, 999, 1000) < 0.01


def test_parts_learn_at_their_own_rates():
    model, recipe = tiny_model(), load_recipe("published", "base", {"rate_scale": 2.0})
    enter(model, "base")
    (optimizer,) = make_optimizers(model, recipe, trunk_layers=2)
    groups = {id(p): (g["base_rate"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    found = {name: groups[id(p)] for name, p in model.named_parameters() if id(p) in groups}
    trunk, text = "backbone.vision_backbone.trunk.", "backbone.language_backbone."
    assert found["transformer.encoder.layers.0.linear1.weight"] == pytest.approx((1.6e-3, 0.1))
    assert found["transformer.encoder.layers.0.linear1.bias"] == pytest.approx((1.6e-3, 0.0))
    assert found["transformer.encoder.layers.0.norm1.weight"] == pytest.approx((1.6e-3, 0.0))
    assert found[f"{text}resizer.weight"] == pytest.approx((1e-4, 0.1))
    assert found[f"{trunk}blocks.1.attn.qkv.weight"] == pytest.approx((5e-4 * 0.9, 0.1))
    assert found[f"{trunk}blocks.0.attn.qkv.weight"] == pytest.approx((5e-4 * 0.9**2, 0.1))
    assert found[f"{trunk}patch_embed.proj.weight"] == pytest.approx((5e-4 * 0.9**3, 0.1))
    set_rates([optimizer], recipe, 0, 100)
    assert all(group["lr"] == pytest.approx(group["base_rate"] / 3) for group in optimizer.param_groups)


def test_fp16_is_refused_with_two_optimizers():
    with pytest.raises(ConfigError, match="with muon there are two optimizers, which fp16 does not fit: give bf16"):
        TrainRecipe(precision="fp16", muon=True)


def test_muon_takes_the_matrices_between_hidden_layers():
    model, recipe = tiny_model(), load_recipe("published", "base", {"muon": True})
    enter(model, "base")
    adamw, muon = make_optimizers(model, recipe, trunk_layers=2)
    assert [type(adamw), type(muon)] == [torch.optim.AdamW, ConvMuon]
    names = {id(p): name for name, p in model.named_parameters()}
    others, matrices = ({names[id(p)] for g in o.param_groups for p in g["params"]} for o in (adamw, muon))
    text, encoder = "backbone.language_backbone.", "transformer.encoder.layers.0."
    assert {
        "backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight",
        f"{text}resizer.weight",
        f"{encoder}self_attn.in_proj_weight",
        f"{encoder}linear1.weight",
    } <= matrices
    assert {
        f"{text}encoder.token_embedding.weight",
        "transformer.decoder.query_embed.weight",
        "transformer.decoder.presence_token_head.layers.2.weight",  # one output
        f"{encoder}linear1.bias",
    } <= others
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not others & matrices and others | matrices == learning


def test_a_backbone_of_timm_learns_at_its_own_rate_and_its_convolutions_by_muon():
    values = {"muon": True, "rate_scale": 2.0, "rates": {"backbone": 0.01}}
    model, recipe = tiny_model(backbone="efficientvit_b0"), load_recipe("published", "base", values)
    adamw, muon = make_optimizers(model, recipe, trunk_layers=2)
    rates = [{id(p): g["base_rate"] for g in kind.param_groups for p in g["params"]} for kind in (adamw, muon)]
    vision = {name: p for name, p in model.named_parameters() if "vision_backbone" in name}
    by_adamw, by_muon = ({name: at[id(p)] for name, p in vision.items() if id(p) in at} for at in rates)
    assert set((by_adamw | by_muon).values()) == {0.02} and set(by_adamw) | set(by_muon) == set(vision)
    wide = {name for name, p in vision.items() if p.ndim == 4 and min(p.shape[:2]) >= 16}
    assert set(by_muon) == {name for name in wide if "aggreg" not in name}  # these are in groups
    assert len(by_muon) == 34
    assert all("vision_backbone" in name for name, p in model.named_parameters() if p.ndim == 4 and id(p) in rates[1])


def test_muon_moves_a_convolution_as_it_moves_the_matrix_of_its_rows():
    torch.manual_seed(0)
    start, gradients = torch.randn(8, 4, 3, 3), torch.randn(3, 8, 4, 3, 3)
    filters, matrix = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.flatten(1).clone())
    conv_muon, muon = (kind([{"params": [p]}], lr=0.1) for kind, p in ((ConvMuon, filters), (torch.optim.Muon, matrix)))
    for gradient in gradients:
        filters.grad, matrix.grad = gradient.clone(), gradient.flatten(1).clone()
        conv_muon.step()
        muon.step()
    assert filters.shape == filters.grad.shape == start.shape
    assert torch.equal(filters.flatten(1), matrix) and not torch.equal(filters, start)


def test_epochs_become_steps():
    assert TrainRecipe(epochs=2.0, images=8, accumulate=2).total_steps(80) == 10
    assert TrainRecipe(epochs=2.0, steps=7).total_steps(80) == 7


@pytest.mark.parametrize(
    ("recipe", "stage", "values", "message"),
    [
        ("tabeltop", "base", {}, "'tabeltop'.*tabletop"),
        ("tabletop", "4", {}, "stage '4'"),
        ("missing.toml", "1", {}, "Cannot read the recipe missing.toml"),
        *(
            ("published", "1", values, message)
            for values, message in (
                ({"stepz": 3}, "stepz"),
                ({"precision": "int8"}, "precision 'int8'"),
                ({"steps": -5}, "steps is -5; it must be 0 or more"),
                ({"workers": -1}, "workers is -1; it must be 0 or more"),
                ({"ema": 1.0}, "ema is 1; it must be less"),
                ({"images": 0}, "images is 0; it must be greater than 0"),
                ({"dropout": 1.5}, r"dropout is 1\.5; it must lie between 0 and 1"),
                ({"rates": {"vision": -1.0}}, r"rates\.vision is -1\.0; it must be 0 or more"),
                ({"epochs": 0.0}, "one must be greater than 0"),
                ({"epochs": float("inf")}, "epochs is inf; it must be finite"),
                ({"seed": -1}, "seed is -1; it must lie between 0 and 4294967295"),
                ({"validation_images": 0}, "validation_images is 0; it must be greater than 0"),
            )
        ),
    ],
)
def test_bad_recipes_are_refused(recipe, stage, values, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(recipe, stage, values)


def test_one_rate_of_a_part_is_changed_alone():
    changed = load_recipe("tabletop", "base", {"rates": {"vision": 1e-3}}).rates
    assert changed == dataclasses.replace(load_recipe("tabletop", "base").rates, vision=1e-3)


def test_a_recipe_from_a_file(tmp_path):
    file = tmp_path / "own.toml"
    stages = ("encoders", "base", "stage1", "stage2", "stage3")
    file.write_text("\n".join(f"[{stage}]\nsteps = {i + 1}" for i, stage in enumerate(stages)) + "\nimages = 4\n")
    assert load_recipe(file, "3") == TrainRecipe(steps=5, images=4)
    assert load_recipe(file, "base", {"seed": 7}) == TrainRecipe(steps=2, seed=7)
    file.write_text("[stage1]\nsteps = 3\n")  # the stages that are to run are enough
    assert load_recipe(file, "1") == TrainRecipe(steps=3)
    with pytest.raises(ConfigError, match=r"no table \[base\], which that stage needs; only \[stage1\]"):
        load_recipe(file, "base")
    file.write_text("[base]\nstep = 1\n")
    with pytest.raises(ConfigError, match=r"own\.toml.*step"):
        load_recipe(file, "base")
