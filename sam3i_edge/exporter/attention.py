"""Attention that an engine builder cannot make one kernel of.

NVIDIA's builder finds MatMul, Softmax, MatMul in half precision and puts a fused kernel in their place. Such kernels
were found to be wrong in silence on some GPUs (github.com/NVIDIA/TensorRT/issues/4837). A softmax that is written out
as below is not recognized: the builder makes one kernel of it, and leaves the two products to theirs.
"""

from __future__ import annotations

import numpy as np
import onnx_ir


def write_out_softmax(model: onnx_ir.Model) -> None:
    """Put negated maximum, addition, exp, sum and division, in FP32, in the place of every Softmax.

    In FP32, for a sum of thousands of FP16 values could lose the small ones; the casts become part of the same kernel.
    """
    for node in list(model.graph):
        if node.op_type == "Softmax":
            _write_out(model.graph, node)


def _axis_of(graph: onnx_ir.Graph, softmax: onnx_ir.Node) -> onnx_ir.Value:
    """Its axis as a constant, one for all that have the same."""
    given = softmax.attributes.get("axis")
    axis = -1 if given is None else given.as_int()
    name = f"softmax_axis_{axis}"
    if name not in graph.initializers:
        graph.initializers.add(onnx_ir.Value(name=name, const_value=onnx_ir.tensor(np.array([axis]), name=name)))
    return graph.initializers[name]


def _write_out(graph: onnx_ir.Graph, softmax: onnx_ir.Node) -> None:
    scores, result, axis = softmax.inputs[0], softmax.outputs[0], _axis_of(graph, softmax)
    assert scores is not None
    made: list[onnx_ir.Node] = []

    def add(operator: str, *inputs: onnx_ir.Value, **attributes: int) -> onnx_ir.Value:
        step = onnx_ir.node(operator, inputs, attributes=attributes, name=f"{softmax.name}_{len(made)}_{operator}")
        step.outputs[0].name = f"{result.name}_{len(made)}_{operator}"
        made.append(step)
        return step.outputs[0]

    single = add("Cast", scores, to=onnx_ir.DataType.FLOAT)
    # The maximum, negated: behind a ReduceMax the builder finds the softmax again, for some sizes of heads.
    shifted = add("Add", single, add("ReduceMin", add("Neg", single), axis, keepdims=1))
    powers = add("Exp", shifted)
    shares = add("Div", powers, add("ReduceSum", powers, axis, keepdims=1))
    last = add("Cast", shares, to=result.dtype or onnx_ir.DataType.FLOAT)
    graph.insert_before(softmax, made)
    last.dtype, last.shape = result.dtype, result.shape
    onnx_ir.convenience.replace_all_uses_with(result, last, replace_graph_outputs=True)
    graph.remove(softmax, safe=True)
