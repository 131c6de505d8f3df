"""Training that feels int8: the same layers, and nearly the same numbers, as quantization will have."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.config import default_limits
from sam3i_edge.distill.losses import pyramid_losses
from sam3i_edge.errors import ConfigError
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import graph_specs
from sam3i_edge.model.vision import normalize
from sam3i_edge.quantize.calibration import load_calibration
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.quantize.ptq import blocks, decibels, quantize_graph, trace
from sam3i_edge.quantize.qat import FakeIntegers
from sam3i_edge.quantize.quantizer import SCHEMES, quantizable_nodes, recipe_block
from sam3i_edge.quantize.recipe import QuantRecipe
from tests.distill.conftest import CONFIG, make_teacher

RECIPE = QuantRecipe(observer="min-max", smooth=0.0, bias_correction=False, embedding="fp32")


@pytest.fixture(scope="module")
def model():
    return make_teacher()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_computes_as_the_quantized_graph_will(model, scheme):
    limits = default_limits(model.config)
    modules, specs = graph_modules(model, limits), graph_specs(model.config.sizes, limits)
    inputs = GraphInputs(modules, load_calibration(None), clip_tokenizer(32), limits, model.config.image_size)
    fake = FakeIntegers(model, RECIPE, SCHEMES[scheme])
    images = [pixels for (pixels,) in inputs.of("vision")]
    with torch.no_grad():
        fake.train()
        with fake.active():  # min-max over one batch of all images
            model.encode_image(normalize(torch.cat(images)))
        fake.eval()
        quantized = quantize_graph(
            modules["vision"], specs["vision"], "vision", RECIPE, SCHEMES[scheme], lambda: inputs.of("vision")
        )
        wanted, exact = quantized.module(images[0]), model.encode_image(normalize(images[0]))
        with fake.active():
            found = model.encode_image(normalize(images[0]))
    for a, b, c in zip(found, wanted, exact, strict=True):
        # Roundings in different orders are different noise; there must be as much of it.
        costs = [decibels(float(c.square().sum()), float((c - x).square().sum())) for x in (a, b)]
        assert abs(costs[0] - costs[1]) < 2, costs


def test_what_is_a_constant_is_not_quantized(model):
    """The decoder's first self-attention depends on no input: rounded, it could not be folded."""
    limits = default_limits(model.config)
    module, spec = graph_modules(model, limits)["grounding"], graph_specs(model.config.sizes, limits)["grounding"]
    found = blocks(trace(module, spec))
    assert "transformer.decoder.layers.1.self_attn" in found
    assert not any(block.startswith("transformer.decoder.layers.0.self_attn") for block in found)


def test_it_has_the_layers_that_quantization_has(model):
    limits = default_limits(model.config)
    modules, specs = graph_modules(model, limits), graph_specs(model.config.sizes, limits)
    expected = 0
    for graph, module in modules.items():
        nodes = list(quantizable_nodes(trace(module, specs[graph])))
        table = RECIPE.filled(graph, dict.fromkeys(recipe_block(node) for node in nodes))
        weights = {str(node.args[1]) for node in nodes if table[recipe_block(node)] == "int8"}
        expected += len(weights)
    assert len(FakeIntegers(model, RECIPE, SCHEMES["symmetric"]).seen) == expected


@pytest.mark.parametrize(
    ("backbone", "warned"),
    [("efficientvit_b0", False), ("repvit_m0_9", False), ("tiny_vit_5m_224", False), ("fastvit_t8", True)],
)
def test_a_backbone_of_timm_is_rounded_where_its_layers_are_its_graphs(backbone, warned, caplog):
    config = dataclasses.replace(CONFIG, vision=dataclasses.replace(CONFIG.vision, backbone=backbone))
    student = make_teacher(config)
    fake = FakeIntegers(student, RECIPE, SCHEMES["symmetric"])
    asked = [name for name, _ in fake._int8]
    body = [site for site, name in enumerate(asked) if ".body." in name]
    assert ("Training does not round" in caplog.text) == warned
    assert len(body) > (5 if warned else 30) and not any("in_proj" in name for name in asked[: body[-1]])
    with torch.no_grad(), fake.train().active():
        student.encode_image(torch.rand(1, 3, CONFIG.image_size, CONFIG.image_size))
    assert fake.seen[body].all()


def test_training_with_it_lessens_what_int8_costs():
    teacher, student = make_teacher(), make_teacher()
    with torch.no_grad():  # an outlier, as large models have them: the other channels' digits are lost beside it
        for model in (teacher, student):
            for block in model.backbone.vision_backbone.trunk.blocks:
                block.norm2.weight[0] *= 200
                block.norm2.bias[0] *= 200
                block.mlp.fc1.weight[:, 0] /= 200
    fake = FakeIntegers(student, RECIPE, SCHEMES["symmetric"])
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(student.backbone.vision_backbone.parameters(), lr=1e-3)
    costs = []
    for _ in range(60):
        pixels = torch.randn(2, 3, 56, 56, generator=generator)
        with torch.no_grad():
            wanted = teacher.encode_image(pixels)
        with fake.active():
            cost = torch.stack([*pyramid_losses(student.encode_image(pixels), wanted).values()]).sum()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(float(cost.detach()))
    assert sum(costs[-10:]) < 0.8 * sum(costs[:10])


def test_outside_of_it_nothing_is_rounded(model):
    fake = FakeIntegers(model, RECIPE, SCHEMES["symmetric"])
    pixels = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        before = model.encode_image(pixels)
        with fake.active():
            inside = model.encode_image(pixels)
        after = model.encode_image(pixels)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(before, inside, strict=True))


def test_ranges_follow_the_batches_in_training_alone(model):
    fake = FakeIntegers(model, RECIPE, SCHEMES["symmetric"])
    for scale, grows in ((1.0, True), (100.0, True)):
        before = fake.high.clone()
        with torch.no_grad(), fake.active():
            model.encode_image(scale * torch.randn(1, 3, 56, 56))
        assert bool((fake.high > before).any()) is grows
    fake.eval()
    before = fake.high.clone()
    with torch.no_grad(), fake.active():
        model.encode_image(1e4 * torch.randn(1, 3, 56, 56))
    assert torch.equal(fake.high, before)


def test_a_recipe_of_another_model_is_refused(model):
    with pytest.raises(ConfigError, match=r"trunk\.blocks\.99"):
        FakeIntegers(model, QuantRecipe(vision={"trunk.blocks.99.attn": "int8"}), SCHEMES["symmetric"])
