"""What int8 saves is timed for each size of layer, in the target's runtime."""

import math

import onnx
import pytest
import torch
from torch import nn

from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.graphs import GraphSpec, TensorSpec
from sam3i_edge.quantize.latency import saved_ms
from sam3i_edge.quantize.layer_graphs import layer_graph
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.quantizer import SCHEMES, quantizable_nodes
from sam3i_edge.targets import get_target
from tests.quantize.kernels import INTEGER_PRODUCTS, onnxruntime_kernels, openvino_kernels

LINEAR = LayerCall((2, 10, 64), (32, 64))
ATTENTION = LayerCall((1, 2, 20, 16), (1, 2, 16, 30), is_attention=True)
CONV = LayerCall((1, 16, 9, 9), (8, 16, 3, 3), ((2, 2), (1, 1), (1, 1), 1))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(16, 8, 3, stride=2, padding=1), nn.Linear(25, 32)

    def forward(self, x):
        return self.linear(self.conv(x).flatten(2))


def test_sizes_are_read_from_a_traced_graph():
    ports = (TensorSpec("x", "float32", (1, 16, 9, 9)),), (TensorSpec("y", "float32", (1, 8, 32)),)
    graph = trace(Network(), GraphSpec("graph.onnx", *ports))
    found = []

    class Calls(torch.fx.Interpreter):
        def run_node(self, n):
            if n in nodes:
                found.append(LayerCall.of(n, self.fetch_args_kwargs_from_env(n)[0]))
            return super().run_node(n)

    nodes = set(quantizable_nodes(graph))
    Calls(graph).run(torch.zeros(1, 16, 9, 9))
    assert found == [CONV, LayerCall((1, 8, 25), (32, 25))]


def test_work_and_outputs():
    assert LINEAR.output == (2, 10, 32) and LINEAR.macs == 2 * 10 * 32 * 64
    assert ATTENTION.output == (1, 2, 20, 16) and ATTENTION.macs == 2 * 2 * 20 * 30 * 16
    assert CONV.output == (1, 8, 5, 5) and CONV.macs == 8 * 5 * 5 * 16 * 9


@pytest.mark.parametrize("target", ["intel-cpu", "x86-cpu"])
def test_every_size_is_timed_once(target):
    said = []
    found = saved_ms([LINEAR, CONV, LINEAR, ATTENTION], QuantTarget(get_target(target), "int8"), said.append)
    assert list(found) == [LINEAR, CONV, ATTENTION] and all(math.isfinite(saved) for saved in found.values())
    assert said == ["timed 3 of 3 layers"]


@pytest.mark.parametrize("target", ["nvidia", "arm-cpu"])
def test_a_target_that_is_not_here(target):
    with pytest.raises(RuntimeUnavailableError):
        saved_ms([LINEAR], QuantTarget(get_target(target), "int8"))


@pytest.mark.parametrize("call", [LINEAR, CONV, ATTENTION])
@pytest.mark.parametrize("target", ["intel-cpu", "x86-cpu"])
def test_what_is_timed_computes_in_integers_and_in_floating_point(call, target, tmp_path):
    made_for = get_target(target)
    for name, scheme in (("float", None), ("int8", SCHEMES[made_for.int8])):
        graph = layer_graph(call, made_for, scheme)
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, tmp_path / f"{name}.onnx")
        file = tmp_path / f"{name}.onnx"
        if made_for.runtime == "openvino":
            kinds = ("FullyConnected", "MatMul", "Convolution", "Subgraph")
            found = [kernel for kernel, kind in openvino_kernels(file) if kernel in kinds and kind in ("i8", "u8")]
        else:
            found = [kernel for kernel in onnxruntime_kernels(file, tmp_path) if kernel in INTEGER_PRODUCTS]
        assert bool(found) == (name == "int8")


@pytest.mark.parametrize("call", [LINEAR, CONV, ATTENTION])
def test_beside_half_precision_nothing_is_in_single(call):
    aim = QuantTarget(get_target("nvidia"), "int8-fp16")
    for scheme in (None, aim.scheme):
        graph = onnx.shape_inference.infer_shapes(layer_graph(call, aim.target, scheme, aim.floating)).graph
        types = {v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}
        types |= {constant.data_type for constant in graph.initializer}
        assert types == {onnx.TensorProto.FLOAT16} | ({onnx.TensorProto.INT8} if scheme else set())
