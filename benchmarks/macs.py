"""What a graph has to do: multiplications and bytes, counted operator by operator in its ONNX file.

Counted are the contractions (matrix products and convolutions), as other counters do, for one row of the free side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3i_edge.errors import BenchmarkError, packages_for

VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Constant", "ConstantOfShape"})
"""They move nothing."""
UNCOUNTED = frozenset({"Attention", "MultiHeadAttention", "QAttention", "LSTM", "GRU", "RNN", "If", "Loop", "Scan"})
"""They contract, and no rule here says how much: a count without them would be wrong."""

Shape = Sequence[int]


@dataclass(frozen=True)
class GraphCount:
    """One graph's work for one image, or one prompt."""

    macs: int
    weight_bytes: int
    activation_bytes: int
    """All that its operators read and write but weights, as if none were fused."""
    io_bytes: int
    """Of its inputs and outputs."""


def count_graph(file: Path, rows: int = 1) -> GraphCount:
    """Count a graph. Large weights are not read.

    Raises:
        RuntimeUnavailableError: ``onnx`` is not installed.
        BenchmarkError: it holds an operator that cannot be counted.
    """
    with packages_for("Counting a graph's work", "export"):
        import onnx
    model = onnx.load(file, load_external_data=False)
    free = {side.dim_param for port in model.graph.input for side in port.type.tensor_type.shape.dim} - {""}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_value = _side(side.dim_param, free, rows)
    return _count(onnx.shape_inference.infer_shapes(model, data_prop=True).graph, file)


def _side(text: str, free: set[str], rows: int) -> int:
    """A side that the exporter wrote as the free one's name, or as a product with it: ``4*prompts``."""
    factors = [rows if factor in free else factor for factor in text.replace(" ", "").split("*")]
    return math.prod(int(factor) for factor in factors)


def _count(graph: Any, file: Path) -> GraphCount:
    weights = {weight.name: (tuple(weight.dims), weight.data_type) for weight in graph.initializer}
    tensors = dict(weights)
    for port in (*graph.input, *graph.value_info, *graph.output):
        tensor = port.type.tensor_type
        if all(side.HasField("dim_value") for side in tensor.shape.dim) and tensor.HasField("shape"):
            tensors[port.name] = tuple(side.dim_value for side in tensor.shape.dim), tensor.elem_type
    macs = activations = 0
    for node in graph.node:
        if node.op_type == "Constant":
            for value in (attribute.t for attribute in node.attribute if attribute.name == "value"):
                tensors[node.output[0]] = weights[node.output[0]] = (tuple(value.dims), value.data_type)
        macs += _macs(node, tensors, file)
        if node.op_type not in VIEWS:
            moved = [name for name in (*node.input, *node.output) if name in tensors and name not in weights]
            activations += sum(_bytes(*tensors[name]) for name in moved)
    ports = [port.name for port in (*graph.input, *graph.output)]
    return GraphCount(
        macs, sum(_bytes(*known) for known in weights.values()), activations, sum(_bytes(*tensors[p]) for p in ports)
    )


def _macs(node: Any, tensors: Mapping[str, tuple[Shape, int]], file: Path) -> int:
    if node.op_type in UNCOUNTED:
        raise BenchmarkError(f"{file}: {node.op_type} ({node.name}) cannot be counted.")
    rule = RULES.get(node.op_type)
    if rule is None:
        return 0
    used = [name for name in (*node.input, node.output[0]) if name]
    unknown = [name for name in used if name not in tensors]
    if unknown:
        raise BenchmarkError(f"{file}: the shape of {unknown[0]!r}, at {node.op_type} ({node.name}), is not known.")
    attributes = {attribute.name: attribute for attribute in node.attribute}
    return rule([tensors[name][0] for name in node.input if name], tensors[node.output[0]][0], attributes)


def _gemm(inputs: Sequence[Shape], output: Shape, attributes: Mapping[str, Any]) -> int:
    is_transposed = "transA" in attributes and attributes["transA"].i
    return math.prod(output) * inputs[0][0 if is_transposed else 1]


def _einsum(inputs: Sequence[Shape], output: Shape, attributes: Mapping[str, Any]) -> int:
    terms = attributes["equation"].s.decode().replace(" ", "").partition("->")[0].split(",")
    if len(inputs) != 2 or "." in "".join(terms):
        raise BenchmarkError(f"Einsum {','.join(terms)} cannot be counted.")
    sides = {
        letter: side
        for term, shape in zip(terms, inputs, strict=True)
        for letter, side in zip(term, shape, strict=True)
    }
    return math.prod(sides.values())


Rule = Callable[[Sequence[Shape], Shape, Mapping[str, Any]], int]
"""The products of an operator, from the shapes of its inputs, that of its output, and its attributes."""

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("MatMul", "MatMulInteger", "QLinearMatMul"), lambda inputs, output, _: math.prod(output) * inputs[0][-1]
    ),
    "Gemm": _gemm,
    **dict.fromkeys(("Conv", "ConvInteger"), lambda inputs, output, _: math.prod(output) * math.prod(inputs[1][1:])),
    "QLinearConv": lambda inputs, output, _: math.prod(output) * math.prod(inputs[3][1:]),
    "ConvTranspose": lambda inputs, _output, _: math.prod(inputs[0]) * math.prod(inputs[1][1:]),
    "Einsum": _einsum,
}


def _bytes(shape: Shape, kind: int) -> int:
    from onnx import TensorProto, helper

    is_packed = kind in (TensorProto.INT4, TensorProto.UINT4)  # two in a byte
    bits = 4 if is_packed else 8 * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
    return -(-math.prod(shape) * bits // 8)
