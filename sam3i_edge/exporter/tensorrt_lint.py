"""Whether TensorRT 10 and 11 can take a graph: checked at export, since the engine is built far from here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
from onnx_ir.passes.common import ShapeInferencePass

from sam3i_edge.exporter import tensorrt_rules as rules
from sam3i_edge.graphs import FREE

MAX_FP16 = float(np.finfo(np.float16).max)


def lint(path: Path) -> list[str]:
    """What TensorRT would refuse in an ONNX file; empty if there is nothing."""
    model = onnx_ir.load(path)
    graph = model.graph
    problems = [*_check_opset(graph.opset_imports), *_check_interface(graph)]
    ShapeInferencePass(check_type=False, strict_mode=False)(model)
    for name, value in graph.initializers.items():
        problems += _check_constant(name, value)
    for node in graph.all_nodes():
        problems += _check_node(node, graph.opset_imports[""])
    return list(dict.fromkeys(problems))


def _check_opset(opsets: dict[str, int]) -> Iterator[str]:
    for domain, version in opsets.items():
        if domain:
            yield f"operators of the domain {domain!r} need a plug-in"
        elif version > rules.MAX_OPSET:
            yield f"opset {version} is beyond {rules.MAX_OPSET}, the last that TensorRT 10.0 reads"


def _check_interface(graph: onnx_ir.Graph) -> Iterator[str]:
    for value in (*graph.inputs, *graph.outputs):
        for axis, side in enumerate(value.shape or ()):
            if not isinstance(side, int) and (axis != 0 or side.value != FREE):
                yield f"{value.name}: its side {axis} is free; only the number of prompts may be"
    for value in graph.inputs:
        if _type(value) not in rules.TYPES | rules.ONLY_INTO.keys():
            yield f"{value.name}: inputs of type {_type(value)} are not taken"
        if len(value.shape or ()) > rules.MAX_RANK:
            yield f"{value.name}: it has {len(value.shape or ())} sides; at most {rules.MAX_RANK}"


def _check_constant(name: str, value: onnx_ir.Value) -> Iterator[str]:
    tensor = value.const_value
    if tensor is None:
        return
    if tensor.dtype.name not in rules.TYPES | {"INT8"}:
        yield f"{name}: constants of type {tensor.dtype.name} are not taken"
    elif tensor.dtype.name == "FLOAT16" and not np.isfinite(tensor.numpy()).all():
        yield f"{name}: an FP16 constant is not finite"


def _check_node(node: onnx_ir.Node, opset: int) -> Iterator[str]:
    where = f"{node.op_type} {node.name or node.outputs[0].name}"
    if node.op_type not in rules.OPERATORS or node.domain:
        yield f"{where}: the operator is not taken"
        return
    yield from (f"{where}: {problem}" for problem in _input_types(node, opset))
    for check in (_output_types, _sources, _attributes, _ranks, _top_k, _squeeze, _resize, _quantization, _fits_half):
        yield from (f"{where}: {problem}" for problem in check(node))


def _input_types(node: onnx_ir.Node, opset: int) -> Iterator[str]:
    """By TensorRT's list, and by ONNX's: the parser neither casts nor promotes."""
    parameters = onnx.defs.get_schema(node.op_type, opset).inputs
    seen: dict[str, str] = {}
    for i, value in enumerate(node.inputs):
        if value is None:
            continue
        kind, parameter = _type(value), parameters[min(i, len(parameters) - 1)]
        role = parameters[0].type_str if node.op_type in rules.ONE_TYPE else parameter.type_str
        taken = rules.OPERATORS[node.op_type] if role == parameters[0].type_str else rules.TYPES
        if kind in rules.ONLY_INTO:
            if node.op_type != rules.ONLY_INTO[kind] and not (node.op_type == "QuantizeLinear" and i == 2):
                hint = ' (embedding = "fp32"?)' if kind == "INT8" else ""
                yield f"the {kind.lower()} tensor {value.name} may only go into a {rules.ONLY_INTO[kind]}{hint}"
        elif kind not in taken or f"tensor({kind.lower()})" not in parameter.types:
            yield f"its input {value.name} is of type {kind}, which is not taken there"
        elif seen.setdefault(role, kind) != kind:
            yield f"its inputs are of types {seen[role]} and {kind}, and nothing casts them"


def _output_types(node: onnx_ir.Node) -> Iterator[str]:
    for value in node.outputs:
        kind = _type(value)
        if kind == "UINT8" and (value.uses() or not value.is_graph_output()):
            yield f"the uint8 tensor {value.name} is inside of the graph; only inputs and outputs may be"
        if kind not in rules.TYPES and node.op_type not in rules.ONLY_FROM.get(kind, ()):
            yield f"its output {value.name} is of type {kind}, which is not taken there"
    if len(node.outputs) > 1 and node.op_type in rules.ONE_OUTPUT:
        yield "only its first output is made"


def _sources(node: onnx_ir.Node) -> Iterator[str]:
    """Of the inputs that are not data."""
    for i in rules.CONSTANT_INPUTS.get(node.op_type, ()):
        if i < len(node.inputs) and node.inputs[i] is not None and not _is_known(node, i):
            yield f"its input {i} must be a constant"
    for i in rules.SHAPE_INPUTS.get(node.op_type, ()):
        value = node.inputs[i] if i < len(node.inputs) else None
        if value is not None and not _follows_from_shapes(value):
            yield f"its input {i} is a size that depends on the data"


def _attributes(node: onnx_ir.Node) -> Iterator[str]:
    for name, taken in rules.ATTRIBUTES.get(node.op_type, {}).items():
        value = node.attributes[name].value if name in node.attributes else None
        if value is not None and not taken.issuperset([value] if isinstance(value, (int, str)) else value):
            yield f"{name} is {value}; {' or '.join(sorted(map(str, taken)))} is taken"


def _ranks(node: onnx_ir.Node) -> Iterator[str]:
    least, most = rules.RANKS.get(node.op_type, (0, rules.MAX_RANK))
    for value in node.inputs[:1]:
        if value is not None and value.shape is not None and not least <= len(value.shape) <= most:
            yield f"its input has {len(value.shape)} sides; from {least} to {most} are taken"
    for value in node.outputs:
        if value.shape is not None and len(value.shape) > rules.MAX_RANK:
            yield f"its output has {len(value.shape)} sides; at most {rules.MAX_RANK}"


def _top_k(node: onnx_ir.Node) -> Iterator[str]:
    count = _constant(node, 1) if node.op_type == "TopK" else None
    if count is not None and count.max() > rules.MAX_TOP_K:
        yield f"K is {count.max()}; at most {rules.MAX_TOP_K}"


def _squeeze(node: onnx_ir.Node) -> Iterator[str]:
    if node.op_type == "Squeeze" and len(node.inputs) == 1 and not all(isinstance(s, int) for s in _shape(node, 0)):
        yield "it must name its axes, since a side of its input is free"


def _resize(node: onnx_ir.Node) -> Iterator[str]:
    if node.op_type == "Resize" and node.attributes.get_string("mode") == "linear":
        before, after = _shape(node, 0), node.outputs[0].shape or ()
        outer = list(zip(before, after, strict=False))[: -rules.LINEAR_SIDES]
        if any(isinstance(old, int) and isinstance(new, int) and old != new for old, new in outer):
            yield f"linear, it may change no more than the last {rules.LINEAR_SIDES} sides"


def _quantization(node: onnx_ir.Node) -> Iterator[str]:
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return
    scale, zero = _constant(node, 1), _constant(node, 2)
    if zero is not None and (zero.dtype != np.int8 or zero.any()):
        yield "int8 must be symmetric: a zero point of 0, of type int8"
    if scale is None:
        return
    if not (scale > 0).all():
        yield "its scales must be above 0"
    if zero is not None and zero.size != scale.size:
        yield f"it has {scale.size} scales and {zero.size} zero points"
    if scale.size > 1:
        shape, axis = _shape(node, 0), node.attributes.get_int("axis")
        if axis is None:
            yield "it must name the axis of its scales; without it, some parsers take 0 and not 1"
        elif shape and shape[axis] != scale.size:
            yield f"it has {scale.size} scales for {shape[axis]} channels"


def _fits_half(node: onnx_ir.Node) -> Iterator[str]:
    if node.op_type == "Cast" and node.attributes["to"].as_int() == onnx_ir.DataType.FLOAT16.value:
        values = _constant(node, 0)
        if values is not None and np.abs(values).max(initial=0) > MAX_FP16:
            yield f"a constant of {np.abs(values).max():.3g} does not fit FP16"


def _type(value: onnx_ir.Value) -> str:
    return str(value.dtype.name) if value.dtype else "unknown"


def _shape(node: onnx_ir.Node, i: int) -> tuple[int | onnx_ir.SymbolicDim, ...]:
    """Of an input; empty if it is not known."""
    value = node.inputs[i]
    return tuple(value.shape or ()) if value is not None else ()


def _is_known(node: onnx_ir.Node, i: int) -> bool:
    value = node.inputs[i]
    maker = value.producer() if value is not None else None
    if node.op_type == "Conv" and maker is not None and maker.op_type == "DequantizeLinear":
        return _constant(maker, 0) is not None
    return _constant(node, i) is not None


def _follows_from_shapes(value: onnx_ir.Value) -> bool:
    maker = value.producer()
    if maker is None:
        return not value.is_graph_input()
    return maker.op_type == "Shape" or all(_follows_from_shapes(each) for each in maker.inputs if each is not None)


def _constant(node: onnx_ir.Node, i: int) -> np.ndarray | None:
    """The value of an input that is an initializer or comes from a Constant node."""
    value = node.inputs[i] if i < len(node.inputs) else None
    if value is None:
        return None
    tensor = onnx_ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()
