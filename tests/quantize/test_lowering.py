"""What is done to a quantized graph before it is written."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sam3i_edge.quantize.lowering import lowering, store_in_half


@pytest.fixture
def graph():
    """y = (x + small) @ large, the large one twice, and a quantizer with as large a float scale."""
    rng = np.random.default_rng(0)
    large = rng.normal(size=(128, 128)).astype(np.float32)
    weights = {"small": large[0], "large": large, "scales": np.full(5000, 0.1, np.float32), "infinite": large - np.inf}
    made = onnx.parser.parse_graph("""
        graph (float[128,128] x, float[128,5000] wide) => (float[128,128] y, int8[128,5000] q) {
            a = Add(x, small) b = MatMul(a, large) c = MatMul(b, large) y = Max(c, infinite)
            q = QuantizeLinear<axis=1>(wide, scales, zero)
        }""")
    constants = weights | {"zero": np.zeros(5000, np.int8)}
    made.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model):
    inputs = {"x": np.ones((128, 128), np.float32), "wide": np.ones((128, 5000), np.float32)}
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)


def stored(model):
    return {weight.name: weight.data_type for weight in model.graph.initializer}


def test_large_constants_are_kept_in_half_precision_and_read_as_floats(graph):
    changed = onnx_ir.from_proto(graph)
    store_in_half(changed)
    proto = onnx_ir.to_proto(changed)
    onnx.checker.check_model(proto, full_check=True)
    types = stored(proto)
    assert types["large_half"] == TensorProto.FLOAT16 and "large" not in types
    assert types["small"] == types["scales"] == types["infinite"] == TensorProto.FLOAT
    assert sum(node.op_type == "Cast" for node in proto.graph.node) == 1
    for found, wanted in zip(run(proto), run(graph), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=0.2)


def test_tensorrt_keeps_its_weights_as_constants(graph):
    changed = onnx_ir.from_proto(graph)
    lowering("tensorrt")(changed)
    assert stored(onnx_ir.to_proto(changed)) == stored(graph)
