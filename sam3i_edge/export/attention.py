"""Attention that an engine builder cannot make one kernel of.

NVIDIA's builder finds MatMul, Softmax, MatMul in half precision and puts a fused kernel in their place. Such kernels
were found to be wrong in silence on some GPUs (github.com/NVIDIA/TensorRT/issues/4837). A softmax that is written out
in five operators is not recognized: the builder makes one kernel of these, and leaves the two products to theirs.
"""

from __future__ import annotations

import numpy as np
import onnx_ir

LAST_AXIS = "softmax_axis"


def write_out_softmax(model: onnx_ir.Model) -> None:
    """Put max, subtraction, exp, sum and division, in FP32, in the place of every Softmax over the last axis.

    In FP32, for a sum of thousands of FP16 values could lose the small ones; the casts become part of the same kernel.
    """
    found = [node for node in model.graph if node.op_type == "Softmax" and _axis(node) in (-1, _rank(node) - 1)]
    if not found:
        return
    axis = onnx_ir.Value(name=LAST_AXIS, const_value=onnx_ir.tensor(np.array([-1]), name=LAST_AXIS))
    model.graph.initializers.add(axis)
    for node in found:
        _write_out(model.graph, node, axis)


def _axis(node: onnx_ir.Node) -> int:
    given = node.attributes.get("axis")
    return -1 if given is None else given.as_int()


def _rank(node: onnx_ir.Node) -> int:
    value = node.inputs[0]
    return 0 if value is None or value.shape is None else len(value.shape)


def _write_out(graph: onnx_ir.Graph, softmax: onnx_ir.Node, axis: onnx_ir.Value) -> None:
    scores, result = softmax.inputs[0], softmax.outputs[0]
    assert scores is not None
    made: list[onnx_ir.Node] = []

    def add(operator: str, *inputs: onnx_ir.Value, **attributes: int) -> onnx_ir.Value:
        step = onnx_ir.node(operator, inputs, attributes=attributes, name=f"{softmax.name}_{len(made)}_{operator}")
        step.outputs[0].name = f"{result.name}_{len(made)}_{operator}"
        made.append(step)
        return step.outputs[0]

    single = add("Cast", scores, to=onnx_ir.DataType.FLOAT)
    shifted = add("Sub", single, add("ReduceMax", single, axis, keepdims=1))
    powers = add("Exp", shifted)
    shares = add("Div", powers, add("ReduceSum", powers, axis, keepdims=1))
    last = add("Cast", shares, to=result.dtype or onnx_ir.DataType.FLOAT)
    graph.insert_before(softmax, made)
    last.dtype, last.shape = result.dtype, result.shape
    onnx_ir.convenience.replace_all_uses_with(result, last)
    graph.remove(softmax, safe=True)
