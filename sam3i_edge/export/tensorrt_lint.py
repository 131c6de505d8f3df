"""Whether TensorRT 10 and 11 can take a graph: checked at export, since the engine is built far from here.

By the operator list and the restrictions of TensorRT's ONNX parser (github.com/onnx/onnx-tensorrt, docs/operators.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir

from sam3i_edge.graphs import FREE

MAX_OPSET = 20
"""What the parser of TensorRT 10.0 reads; later ones read more."""
MAX_TOP_K = 3840
MAX_FP16 = float(np.finfo(np.float16).max)

_NAMES = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant ConstantOfShape
    Conv ConvTranspose Cos DepthToSpace DequantizeLinear Div Elu Equal Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish
    Identity InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool
    Mean Min Mish Mul Neg Not Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL2 ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum Relu Reshape Resize Round Selu Shape Sigmoid Sign Sin Slice Softmax Softplus
    Softsign Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where Xor
"""
OPERATORS = frozenset(_NAMES.split())
"""Of those that the parser takes, the ones that need no plug-in and no control flow. The fused Attention is not among
them: its FP16 kernels were found to be wrong on some GPUs."""

TYPES = frozenset({"FLOAT", "FLOAT16", "INT32", "INT64", "BOOL", "INT8"})
IO_ONLY = "UINT8"
"""A type that a network takes as input and may do nothing with but cast."""

CONSTANT_INPUTS = {
    "TopK": (1,),
    "InstanceNormalization": (1, 2),
    "Slice": (3, 4),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Conv": (1, 2),
    "ConvTranspose": (1,),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
} | {name: (1,) for name in OPERATORS if name.startswith("Reduce")}
"""Inputs, by position, that must be known when the engine is built; a convolution's weight may be dequantized there."""


def lint(path: Path) -> list[str]:
    """What TensorRT would refuse in an ONNX file; empty if there is nothing."""
    model = onnx_ir.load(path)
    graph = model.graph
    problems = [*_check_opset(graph.opset_imports), *_check_interface(graph)]
    for name, value in graph.initializers.items():
        problems += _check_constant(name, value)
    for node in graph.all_nodes():
        problems += _check_node(node)
    return problems


def _check_opset(opsets: dict[str, int]) -> Iterator[str]:
    for domain, version in opsets.items():
        if domain:
            yield f"operators of the domain {domain!r} need a plug-in"
        elif version > MAX_OPSET:
            yield f"opset {version} is beyond {MAX_OPSET}, the last that TensorRT 10.0 reads"


def _check_interface(graph: onnx_ir.Graph) -> Iterator[str]:
    for value in (*graph.inputs, *graph.outputs):
        for axis, side in enumerate(value.shape or ()):
            if not isinstance(side, int) and (axis != 0 or side.value != FREE):
                yield f"{value.name}: its side {axis} is free; only the number of prompts may be"
    for value in graph.inputs:
        name = value.dtype.name if value.dtype else "untyped"
        uses = {use.node.op_type for use in value.uses()}
        if name == IO_ONLY and uses - {"Cast", "Transpose"}:
            yield f"{value.name}: a {name} input may only be cast, and goes into {', '.join(sorted(uses))}"
        elif name not in TYPES | {IO_ONLY}:
            yield f"{value.name}: inputs of type {name} are not taken"


def _check_constant(name: str, value: onnx_ir.Value) -> Iterator[str]:
    tensor = value.const_value
    if tensor is None:
        return
    if tensor.dtype.name not in TYPES:
        yield f"{name}: constants of type {tensor.dtype.name} are not taken"
    elif tensor.dtype.name == "FLOAT16" and not np.isfinite(tensor.numpy()).all():
        yield f"{name}: an FP16 constant is not finite"


def _check_node(node: onnx_ir.Node) -> Iterator[str]:
    where = f"{node.op_type} {node.name or node.outputs[0].name}"
    if node.op_type not in OPERATORS or node.domain:
        yield f"{where}: the operator is not taken"
        return
    for i in CONSTANT_INPUTS.get(node.op_type, ()):
        if i < len(node.inputs) and node.inputs[i] is not None and not _is_known(node, i):
            yield f"{where}: its input {i} must be a constant"
    if node.op_type == "TopK":
        count = _constant(node, 1)
        if count is not None and int(count.reshape(-1)[0]) > MAX_TOP_K:
            yield f"{where}: K is {int(count.reshape(-1)[0])}; at most {MAX_TOP_K}"
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        zero = _constant(node, 2)
        if zero is not None and (zero.dtype != np.int8 or zero.any()):
            yield f"{where}: int8 must be symmetric: a zero point of 0, of type int8"
    if node.op_type != "DequantizeLinear":
        for value in node.inputs:
            if value is not None and value.dtype == onnx_ir.DataType.INT8 and not _is_zero_point(node, value):
                yield f'{where}: the int8 tensor {value.name} may only go into a DequantizeLinear (embedding = "fp32"?)'
    if node.op_type == "Cast" and node.attributes["to"].as_int() == onnx_ir.DataType.FLOAT16.value:
        values = _constant(node, 0)
        if values is not None and np.abs(values).max(initial=0) > MAX_FP16:
            yield f"{where}: a constant of {np.abs(values).max():.3g} does not fit FP16"


def _is_known(node: onnx_ir.Node, i: int) -> bool:
    value = node.inputs[i]
    maker = value.producer() if value is not None else None
    if node.op_type == "Conv" and maker is not None and maker.op_type == "DequantizeLinear":
        return _constant(maker, 0) is not None
    return _constant(node, i) is not None


def _is_zero_point(node: onnx_ir.Node, value: onnx_ir.Value) -> bool:
    return node.op_type == "QuantizeLinear" and value is node.inputs[2]


def _constant(node: onnx_ir.Node, i: int) -> np.ndarray | None:
    """The value of an input that is an initializer or comes from a Constant node."""
    value = node.inputs[i] if i < len(node.inputs) else None
    if value is None:
        return None
    tensor = onnx_ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()
