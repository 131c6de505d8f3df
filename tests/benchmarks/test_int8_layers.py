"""Counting quantized operators in a graph, and int8 kernels in what NVIDIA's builder prints."""

from pathlib import Path

import numpy as np
import onnx

from sam3i_edge.benchmarks.int8_layers import count_kernels, placement
from sam3i_edge.runtimes.engine_layers import layers_in
from tests.export.tensorrt_graphs import graph

LOG = """Engine layers:
Name: wait_0, LayerType: wait, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0
Name: one_1, LayerType: gemm, Inputs: [ { Name: a, Datatype: Int8 }], Constants: [], Outputs: [ { Name: b, \
Datatype: Float }], TacticName: x
Name: two_2, LayerType: gemm, Inputs: [ { Name: a, Datatype: Float }], Constants: [ { Name: w, Datatype: Int8 }], \
Outputs: [ { Name: b, Datatype: Float }], TacticName: x
Name: __myl_MulMinMaxRounCastReshTran_myl0_3, LayerType: kgen, Inputs: [ { Name: a, Datatype: Float }], \
Constants: [], Outputs: [ { Name: b, Datatype: Int8 }], TacticName: x
Name: _gemm_mha_v2_myl0_4, LayerType: kgen, Inputs: [ { Name: a, Datatype: Int8 }], Constants: [], \
Outputs: [ { Name: b, Datatype: Int8 }], TacticName: x
"""


def test_kernels_are_counted_by_the_type_of_their_inputs() -> None:
    count = count_kernels(layers_in(LOG))
    assert count["all"] == 4
    assert (count["int8 matrix"], count["float matrix"]) == (1, 1)
    assert (count["quantize alone"], count["int8 attention"]) == (1, 1)


def test_placement_tells_layers_from_the_products_of_attention(tmp_path: Path) -> None:
    both = "i = QuantizeLinear(x, s, z) b = DequantizeLinear(i, s, z)"
    product = "q = MatMul(b, w) k = Transpose(b) p = MatMul(q, k) h = Softmax(p) y = MatMul(h, x)"
    constants = {"s": np.float32(0.1), "z": np.int8(0), "w": np.eye(4, dtype=np.float32)}
    onnx.save(graph("float[4,4] x", f"{both} {product}", **constants).model(), tmp_path / "attention.onnx")
    assert placement(tmp_path / "attention.onnx") == {"pairs": [1], "linear": [1, 0, 1], "Q x K": [0, 1, 1]}
