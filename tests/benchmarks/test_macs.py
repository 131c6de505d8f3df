"""Counted work against a published counter, and operators one by one against arithmetic."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, load, save
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sam3i_edge.benchmarks.layers import profile_graphs, read_onnxruntime
from sam3i_edge.benchmarks.macs import count_graph
from sam3i_edge.benchmarks.roofline import matrix_product_peak, write_product
from sam3i_edge.config import default_limits
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.graph_modules import GroundingGraph, TextGraph, VisionGraph
from sam3i_edge.graphs import graph_specs
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.targets import get_target
from tests.runtimes.processor import needs_bf16


@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_counts_agree_with_torchs_counter(bundle, model, name):
    limits = default_limits(model.config)
    spec = graph_specs(model.config.sizes, limits)[name]
    module = {
        "vision": lambda: VisionGraph(model),
        "text": lambda: TextGraph(model),
        "grounding": lambda: GroundingGraph(model, limits.max_instances),
    }[name]()
    # Ones: gates of zero would let the eager model leave adapters out, which an exported graph always runs.
    sides = [[1 if isinstance(side, str) else side for side in port.shape] for port in spec.inputs]
    inputs = [
        torch.ones(shape, dtype=getattr(torch, port.dtype)) for shape, port in zip(sides, spec.inputs, strict=True)
    ]
    # Torch's counter does not know the processor's fused attention.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    assert count_graph(bundle / spec.file).macs == pytest.approx(counter.get_total_flops() / 2, rel=0.01)


def test_rows_multiply_what_depends_on_the_prompts(bundle):
    one, four = (count_graph(bundle / "graphs/text.onnx", rows) for rows in (1, 4))
    assert four.macs == 4 * one.macs
    assert four.weight_bytes == one.weight_bytes


def graph_of(file, node, inputs, output, weights=()):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, np.ones(np.prod(shape)))
        for name, shape in dict(weights).items()
    ]
    graph = helper.make_graph(node if isinstance(node, list) else [node], "g", ports, [result], tensors)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


@pytest.mark.parametrize(
    ("kind", "inputs", "weight", "output", "attributes", "macs"),
    [
        ("MatMul", [5, 2, 3], [3, 7], [5, 2, 7], {}, 5 * 2 * 3 * 7),
        ("Gemm", [3, 2], [3, 7], [2, 7], {"transA": 1}, 2 * 3 * 7),
        ("Conv", [1, 4, 9, 9], [6, 2, 3, 3], [1, 6, 7, 7], {"group": 2}, 6 * 7 * 7 * 2 * 9),
        ("ConvTranspose", [1, 4, 5, 5], [4, 6, 2, 2], [1, 6, 10, 10], {"strides": [2, 2]}, 4 * 25 * 6 * 4),
        ("Einsum", [5, 3], [3, 7], [5, 7], {"equation": "ij,jk->ik"}, 5 * 3 * 7),
        ("Add", [5, 3], [5, 3], [5, 3], {}, 0),
    ],
)
def test_operators(tmp_path, kind, inputs, weight, output, attributes, macs):
    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    counted = count_graph(graph_of(tmp_path / "g.onnx", node, {"x": inputs}, output, {"w": weight}))
    assert counted.macs == macs
    assert counted.weight_bytes == 4 * np.prod(weight)
    assert counted.io_bytes == counted.activation_bytes == 4 * (np.prod(inputs) + np.prod(output))


def test_weights_of_4_bits_are_two_in_a_byte(tmp_path):
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["y"])
    file = graph_of(tmp_path / "g.onnx", node, {}, [3, 3], {"s": [1]})
    model = load(file)
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.INT4, [3, 3], np.ones(9, np.int8)))
    save(model, file)
    assert count_graph(file).weight_bytes == 5 + 4


def test_the_profile_is_of_the_graph_that_is_timed(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "b"], ["y"])]
    file = graph_of(tmp_path / "g.onnx", nodes, {"x": [2, 8]}, [2, 8], {"w": [8, 8], "b": [8]})
    inputs = {"g": {"x": np.ones((2, 8), np.float32)}}
    kinds = {
        precision: {layer.kind for layer in profile_graphs("onnxruntime", {"g": file}, options, inputs)}
        for precision, options in ((each, SessionOptions("cpu", each)) for each in ("fp32", "int8"))
    }
    assert kinds["int8"] == {"MatMul", "Add"}, "in int8 their fusion is off, as it hinders integer kernels"
    assert "Gemm" in str(kinds["fp32"])


def test_what_no_rule_counts_is_refused(tmp_path):
    node = helper.make_node("LSTM", ["x", "w", "w"], ["y"], hidden_size=2)
    with pytest.raises(BenchmarkError, match=r"LSTM .* cannot be counted"):
        count_graph(graph_of(tmp_path / "g.onnx", node, {"x": [1, 1, 2]}, [1, 1, 1, 2], {"w": [1, 8, 2]}))


@pytest.mark.parametrize(("target", "runtime"), [("x86-cpu", "onnxruntime"), ("intel-cpu", "openvino")])
@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("fp16", 3e-3), ("int8", 0.05)])
def test_the_product_that_stands_for_the_peak_multiplies(tmp_path, target, runtime, precision, error):
    write_product(tmp_path / "p.onnx", get_target(target), precision, side=64)
    device = get_target(target).device
    session = open_session(runtime, tmp_path / "p.onnx", SessionOptions(device))
    x = np.random.default_rng(0).standard_normal((64, 64), np.float32)
    expected = x @ np.random.default_rng(1).standard_normal((64, 64), np.float32)
    found = np.asarray(session.run({"x": x})["y"])
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < error


@needs_bf16
def test_what_is_int8_beside_bf16_is_held_against_int8():
    target = get_target("intel-cpu")
    peak = matrix_product_peak("openvino", target, SessionOptions(target.device, "int8-bf16"), "int8-bf16")
    assert peak.of.startswith("int8 product of matrices")


def test_a_profile_of_onnx_runtime_is_read_without_its_first_run():
    def event(name, dur):
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": dur, "args": {"op_name": "Conv"}}

    events = [{"cat": "Session", "name": "model_run", "dur": 9}, event("a", 9000), event("a", 1000), event("a", 3000)]
    assert read_onnxruntime(events) == {("a", "Conv"): 2.0}
