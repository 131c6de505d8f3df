"""Strongly typed FP16: what is measured to need FP32 stays so, all else is in half precision."""

from __future__ import annotations

import collections

import onnx
import pytest
import torch
from torch import Tensor, nn

from sam3i_edge.cli import main
from sam3i_edge.export.tensorrt_lint import lint
from sam3i_edge.graphs import GraphSpec, TensorSpec
from sam3i_edge.quantize.half import islands, measure, to_half
from sam3i_edge.quantize.ptq import trace

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

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


@pytest.mark.slow
def test_it_is_verified_with_the_tolerance_of_half_precision(bundle, capsys):
    assert main(["verify", str(bundle), "--runtime", "onnxruntime"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("fp16")


def test_a_drop_is_promised_for_int8_alone(tmp_path, capsys):
    command = ["export", "--target", "nvidia", "--precision", "fp16", "--max-drop", "1", "-o", str(tmp_path / "b")]
    assert main(command) == 1
    assert "max_drop is for int8, and the precision is fp16" in capsys.readouterr().err
