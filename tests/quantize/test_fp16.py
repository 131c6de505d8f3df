"""Strongly typed FP16: what is measured to need FP32 stays so, all else is in half precision."""

from __future__ import annotations

import collections

import onnx
import pytest
import torch
from torch import Tensor, nn

from sam3i_edge.cli import main
from sam3i_edge.errors import ExportError
from sam3i_edge.exporter import Int8Options, export
from sam3i_edge.exporter.quantized import make_plan
from sam3i_edge.exporter.tensorrt_lint import lint
from sam3i_edge.graphs import GraphSpec, TensorSpec
from sam3i_edge.quantize.fp16 import islands, measure, to_half
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.quantize.recipe import read_recipe
from sam3i_edge.targets import get_target
from tests.conftest import PARITY

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

CHECKPOINT, CONFIG = PARITY / "checkpoint.pt", PARITY / "config.json"
SINGLE = "trunk.blocks.0.mlp"
"""A block of it that a recipe has in fp32."""
SPEC = GraphSpec(
    "graph.onnx", (TensorSpec("x", "float32", ("prompts", 4, 8)),), (TensorSpec("y", "float32", ("prompts", 4, 8)),)
)


class Large(nn.Module):
    """Its values leave half precision on the way, and come back."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 1e5) / 1e5


class Turning(nn.Module):
    """Half precision does not know where in its circle a large angle is."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.round() * 300.7).sin()


class Hidden(nn.Module):
    """A mask of minus infinity."""

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.where(torch.arange(8) < 5, 0.0, -torch.inf)
        return (x + mask).softmax(-1)


class Careful(nn.Module):
    """As timm writes attention that must not be in half precision while it learns."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return (x.float() @ x.float().transpose(-1, -2) @ x).to(x.dtype)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.large, self.turning, self.hidden = Large(), Turning(), Hidden()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(self.large(x) + self.turning(x) + self.hidden(x))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(2, 4, 8, generator=generator),) for _ in range(3)]


def test_what_half_precision_cannot_do_is_found_with_the_reason(network, data):
    found = islands(measure(trace(network, SPEC), data))
    assert {name.split("/")[0] for name in found} == {"large", "turning", "hidden"}
    assert "beyond 8188" in found["large/mul"] and "reaches inf" in found["hidden/add"]
    assert "SQNR" in found["turning/sin"] and found["turning/mul"] == "feeds turning/sin"


def test_the_rest_is_in_half_precision_and_the_interface_as_it_was(network, data):
    graph = to_half(trace(network, SPEC), islands(measure(trace(network, SPEC), data)))
    seen = collections.defaultdict(set)

    class Types(torch.fx.Interpreter):
        def run_node(self, n):
            result = super().run_node(n)
            if n.op == "call_function" and isinstance(result, Tensor) and result.is_floating_point():
                seen[n.target.__name__.split(".")[0]].add(result.dtype)
            return result

    with torch.no_grad():
        (x,) = data[0]
        found = Types(graph).run(x)
        wanted = network(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)
    assert seen["linear"] == {torch.float16}
    assert seen["sin"] == seen["softmax"] == seen["div"] == {torch.float32}


def test_without_its_islands_the_network_is_wrong(network, data):
    with torch.no_grad():
        assert not torch.allclose(to_half(trace(network, SPEC), {})(*data[0]), network(*data[0]), atol=1e-2)


def test_a_part_without_autocast_is_seen_and_in_half_precision(data):
    graph = trace(Careful(), SPEC)
    assert {unit.name.split("/")[1] for unit in measure(graph, data)} == {"transpose", "matmul"}
    half = to_half(graph, {})
    products = [node for node in half.graph.nodes if node.target is torch.ops.aten.matmul.default]
    with torch.no_grad():
        (x,) = data[0]
        torch.testing.assert_close(half(x), Careful()(x), rtol=1e-2, atol=1e-2)
        assert not torch.equal(half(x), Careful()(x))
    assert len(products) == 2
    casts = [node.args[1] for node in half.graph.nodes if node.target is torch.ops.aten.to.dtype]
    assert casts == [torch.float16, torch.float32], "at the entrance and at the exit alone"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "bundle"
    assert main(["export", "--target", "nvidia", "--precision", "fp16", "-o", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_bundle_of_it_says_what_stays_in_fp32(bundle):
    tables = tomllib.loads((bundle / "fp16.toml").read_text())
    assert list(tables) == ["vision", "text", "grounding"]
    assert "encoder.transformer.resblocks.0.attn/softmax" in tables["text"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_its_products_are_in_half_precision_and_tensorrt_would_take_them(name, bundle):
    assert lint(bundle / "graphs" / f"{name}.onnx") == []
    model = onnx.shape_inference.infer_shapes(onnx.load(bundle / "graphs" / f"{name}.onnx"))
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "Conv", "ConvTranspose")]
    assert len(products) > 20
    # Both products of an attention whose softmax the measurement found too sensitive, and no others.
    named = [place for place in tomllib.loads((bundle / "fp16.toml").read_text())[name] if place.endswith("/matmul")]
    single = [node for node in products if types[node.output[0]] != onnx.TensorProto.FLOAT16]
    assert len(single) == 2 * len(named) < 0.1 * len(products)
    interface = {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    assert onnx.TensorProto.FLOAT16 not in interface
    large = [weight for weight in model.graph.initializer if len(weight.raw_data) > 4096]
    assert large and {weight.data_type for weight in large} == {onnx.TensorProto.FLOAT16}


@pytest.fixture(scope="module")
def int8_bundle(tmp_path_factory):
    """The recorded small model in int8, all else in FP16 but for one block that its recipe keeps out."""
    folder = tmp_path_factory.mktemp("int8-half")
    (folder / "recipe.toml").write_text(f'embedding = "fp32"\n[vision]\n"{SINGLE}" = "fp32"')
    options = Int8Options(recipe=folder / "recipe.toml", scored_images=0)
    bundle = folder / "bundle"
    export(CHECKPOINT, CONFIG, bundle, target="nvidia", precision="int8-fp16", int8=options)
    return bundle


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_beside_int8_all_else_is_in_half_precision(name, int8_bundle):
    """Between integers and FP16 there is no FP32: the scales are FP16."""
    model = onnx.shape_inference.infer_shapes(onnx.load(int8_bundle / "graphs" / f"{name}.onnx"))
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
    types |= {weight.name: weight.data_type for weight in model.graph.initializer}
    kept = tomllib.loads((int8_bundle / "fp16.toml").read_text())[name]
    scales = [types[n.input[1]] for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(scales) > 20 and scales.count(onnx.TensorProto.FLOAT16) > 0.8 * len(scales)
    products = [types[n.output[0]] for n in model.graph.node if n.op_type in ("MatMul", "Gemm", "Conv")]
    single = products.count(onnx.TensorProto.FLOAT)
    assert single <= 2 * sum(place.rpartition("/")[2] in ("linear", "matmul", "conv2d") for place in kept)
    assert products.count(onnx.TensorProto.FLOAT16) == len(products) - single > 10


@pytest.mark.slow
def test_a_recipe_keeps_a_block_out_of_half_precision(int8_bundle):
    kept = tomllib.loads((int8_bundle / "fp16.toml").read_text())["vision"]
    assert kept[f"{SINGLE}/linear"] == "the recipe has its block in fp32"
    recipe = read_recipe(int8_bundle / "recipe.toml")
    assert recipe.vision[SINGLE] == "fp32" and recipe.vision["trunk.patch_embed"] == "fp16"


def test_half_precision_in_a_recipe_is_for_typed_graphs(tmp_path):
    (tmp_path / "recipe.toml").write_text('embedding = "fp32"\n[vision]\n"trunk.*" = "fp16"')
    options = Int8Options(recipe=tmp_path / "recipe.toml")
    for target, precision in (("nvidia", "int8"), ("intel-gpu", "int8-fp16"), ("intel-cpu", "int8")):
        with pytest.raises(ExportError, match="blocks in fp16, which is for graphs whose own types say so"):
            make_plan(precision, get_target(target), options, search=False)
    assert make_plan("int8-fp16", get_target("nvidia"), options, search=False)
