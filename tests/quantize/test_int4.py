"""Weights in 4 bits: rounded in the model, recognized in the graph, multiplied by as they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sam3i_edge.config import default_limits
from sam3i_edge.errors import ConfigError, ExportError
from sam3i_edge.exporter.convert import convert
from sam3i_edge.exporter.quantized import Int8Options, make_plan
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GraphSpec, TensorSpec, graph_specs
from sam3i_edge.model.vision import normalize
from sam3i_edge.quantize.int4 import GROUP, HIGHEST, packed, round_weights, rounded
from sam3i_edge.quantize.lowering import lowering
from sam3i_edge.quantize.ptq import decibels
from sam3i_edge.quantize.qat import FakeIntegers
from sam3i_edge.quantize.quantizer import SCHEMES
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.targets import get_target
from tests.distill.conftest import make_teacher
from tests.quantize.kernels import kernels_of, onnxruntime_kernels

SPEC = GraphSpec("block.onnx", (TensorSpec("x", "float32", (1, 50, 64)),), (TensorSpec("y", "float32", (1, 50, 64)),))
FLOOR_DB = 100.0
"""If a runtime rounded the inputs, too, some 38 would be left beside the outlier."""


class Block(nn.Module):
    """One block with two layers that 4 bits hold, behind one whose inputs make no whole groups."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(64, 40), nn.Linear(40, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x):
        return self.body(x)


def weights(*size, seed=0):
    """Of very different sizes, some groups of nothing but zeros."""
    found = torch.randn(*size, generator=torch.Generator().manual_seed(seed)) * torch.logspace(-9, 3, size[0])[:, None]
    found[::7, :GROUP] = 0
    return found


def test_what_was_rounded_is_recognized_to_the_bit():
    for weight in (weights(300, 96), weights(5, 32, seed=1).abs()):
        found = rounded(weight)
        stored = packed(np.ascontiguousarray(found.T.numpy()))
        assert stored is not None and np.abs(stored.integers).max() <= HIGHEST
        again = stored.integers * np.repeat(stored.scales, GROUP, axis=0)
        assert np.array_equal(again, found.T.numpy())
        assert torch.equal(rounded(found), found)


def test_other_weights_are_not_taken_for_rounded():
    weight = rounded(weights(64, 64)).numpy()
    weight[3, 5] *= 1.001
    for other in (
        weight,
        0 * weight,
        weights(64, 64).numpy(),
        weights(64, 48).T.numpy()[:40],
        weight[0],
        weight.astype(np.float16),
    ):
        assert packed(other) is None


def test_rounding_is_the_nearest_or_better():
    weight = torch.randn(50, 128, generator=torch.Generator().manual_seed(0))
    groups = weight.unflatten(1, (-1, GROUP))
    scale = groups.abs().amax(-1, keepdim=True) / HIGHEST
    nearest = ((groups / scale).round() * scale).flatten(1)
    assert (rounded(weight) - weight).square().sum() < 0.95 * (nearest - weight).square().sum()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The block, its weights rounded, and the file of its graph."""
    module, folder = Block().eval(), tmp_path_factory.mktemp("int4")
    before = module.body[0].weight.detach().clone()
    round_weights({"text": module}, {"text": SPEC}, QuantRecipe(text={"body": "int4"}))
    assert not torch.equal(module.body[0].weight, before)
    convert(module, SPEC, get_target("x86-cpu"), folder, lowering("onnxruntime"))
    return module, folder / SPEC.file


def test_the_file_holds_4_bits_where_groups_are_whole(written):
    _, file = written
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    sizes = sorted(tuple(w.dims) for w in model.graph.initializer if w.data_type == onnx.TensorProto.INT4)
    assert sizes == [(64, 40), (96, 64)]
    assert [tuple(w.dims) for w in model.graph.initializer if tuple(w.dims) == (40, 96)]


def test_onnx_runtime_multiplies_by_them_as_they_are(written, tmp_path):
    module, file = written
    kernels = onnxruntime_kernels(file, tmp_path)
    assert kernels.count("MatMulNBits") == 2 and "DequantizeLinear" not in kernels
    assert_near(module, open_session("onnxruntime", file, SessionOptions("cpu", precision="int8")))


def test_openvino_multiplies_by_them_as_they_are(written):
    module, file = written
    session = open_session("openvino", file, SessionOptions("CPU", precision="int8"))
    layers = kernels_of(session._single.model)
    assert layers.count(("FullyConnected", "i4")) == 2, layers
    assert_near(module, session)


def assert_near(module, session):
    x = np.random.default_rng(0).normal(size=(1, 50, 64)).astype(np.float32)
    x[..., 3] *= 50
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    found = np.asarray(session.run({"x": x})["y"])
    assert decibels(float(np.square(wanted).sum()), float(np.square(found - wanted).sum())) > FLOOR_DB


def test_training_feels_what_export_will_round():
    rest = {"*": "fp32"}
    recipe = QuantRecipe(vision=rest | {"trunk.blocks.*": "int4"}, text=rest, grounding=rest)
    model = make_teacher()
    fake = FakeIntegers(model, recipe, SCHEMES["symmetric"])
    assert len(fake.seen) == 0
    pixels = normalize(torch.randint(0, 255, (1, 56, 56, 3), dtype=torch.uint8))
    with fake.active():
        found = model.encode_image(pixels)
        sum(level.sum() for level in found).backward()
    weight = model.backbone.vision_backbone.trunk.blocks[0].mlp.fc1.weight
    assert weight.grad is not None and (weight.grad != 0).float().mean() > 0.9
    limits = default_limits(model.config)
    with torch.no_grad():
        plain = model.encode_image(pixels)
        round_weights(graph_modules(model, limits), graph_specs(model.config.sizes, limits), recipe)
        wanted = model.encode_image(pixels)
    for a, b, c in zip(found, wanted, plain, strict=True):
        torch.testing.assert_close(a, b)
        assert not torch.allclose(a, c)


def test_a_search_with_int4_lines_is_refused(tmp_path):
    (tmp_path / "recipe.toml").write_text('[text]\n"*" = "int4"\n')
    options = Int8Options(recipe=tmp_path / "recipe.toml")
    with pytest.raises(ExportError, match=r"has blocks in int4, and a search chooses between int8 and fp32"):
        make_plan("int8", get_target("x86-cpu"), options, search=True)


def test_an_unknown_block_is_named():
    with pytest.raises(ConfigError, match=r"Unknown block of the text graph 'boody'.*Did you mean 'body'"):
        round_weights({"text": Block()}, {"text": SPEC}, QuantRecipe(text={"boody": "int4"}))


@pytest.mark.parametrize("recipe", [QuantRecipe(text={"*": "int4"}), QuantRecipe(embedding="int4")])
def test_tensorrt_is_refused(tmp_path, recipe):
    assert dataclasses.replace(recipe, embedding="int4").has("int4") and not QuantRecipe().has("int4")
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    with pytest.raises(ExportError, match=r"recipe\.toml has int4, and for TensorRT there are no 4-bit weights"):
        make_plan("int8", get_target("jetson"), Int8Options(recipe=tmp_path / "recipe.toml"), search=False)
