"""From a quantized torch graph to what a runtime turns into integer kernels: one small function for all, and why.

All of them take QuantizeLinear / DequantizeLinear pairs. What they differ in is the target's scheme of activations
(``targets.Target.int8``): OpenVINO, TensorRT and Arm want symmetric int8, ONNX Runtime's x86 kernels uint8 with a zero
point, for which its session must also leave MatMul and Add apart (``runtimes/onnxruntime.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx_ir
from onnx_ir.passes import common as passes

from sam3i_edge.quantize.int4 import GROUP, packed
from sam3i_edge.runtimes import is_nvidia

LEAST_STORED_BYTES = 16384
BLOCKS_SINCE = 21
"""The operator set in which DequantizeLinear learned of groups and 4 bits; it changes nothing else that we use."""
SCALED_BY = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""They want their scales as constants."""


def lowering(runtime: str) -> Callable[[onnx_ir.Model], None]:
    """All that is done to a quantized graph for a runtime. TensorRT wants its convolutions' weights as constants."""

    def lower(model: onnx_ir.Model) -> None:
        scale_in_half(model)
        fold_weight_transposes(model)
        if not is_nvidia(runtime):
            store_in_int4(model)
            store_in_half(model)

    return lower


def scale_in_half(model: onnx_ir.Model) -> None:
    """Between FP16 and integers without FP32: a typed graph's casts around QuantizeLinear and DequantizeLinear go.

    The type of the scale is that of the floating-point side.
    """
    for node in list(model.graph):
        if node.op_type == "DequantizeLinear":
            casts = [use.node for use in node.outputs[0].uses()]
            if casts and all(_casts_to(cast, onnx_ir.DataType.FLOAT16) for cast in casts):
                node.replace_input_with(1, _half_scale(model, node))
                node.outputs[0].dtype = onnx_ir.DataType.FLOAT16
                for cast in casts:
                    onnx_ir.convenience.replace_all_uses_with(cast.outputs[0], node.outputs[0])
        elif node.op_type == "QuantizeLinear":
            cast = node.inputs[0].producer() if node.inputs[0] is not None else None
            source = cast.inputs[0] if cast is not None and _casts_to(cast, onnx_ir.DataType.FLOAT) else None
            if source is not None and source.dtype == onnx_ir.DataType.FLOAT16:
                node.replace_input_with(0, source)
                node.replace_input_with(1, _half_scale(model, node))
    passes.RemoveUnusedNodesPass()(model)


def _casts_to(node: onnx_ir.Node, wanted: onnx_ir.DataType) -> bool:
    return node.op_type == "Cast" and node.attributes["to"].as_int() == wanted


def _half_scale(model: onnx_ir.Model, node: onnx_ir.Node) -> onnx_ir.Value:
    scale = node.inputs[1]
    assert scale is not None and scale.const_value is not None
    name = f"{scale.name}_half"
    if name not in model.graph.initializers:
        _stored(model, name, scale.const_value.numpy().astype(np.float16))
    return model.graph.initializers[name]


def fold_weight_transposes(model: onnx_ir.Model) -> None:
    """Store each int8 weight as its MatMul reads it: W, dequantize, transpose becomes Wᵀ, dequantize.

    The exporter leaves the transpose of a linear layer's weight behind the dequantization, where no runtime looks for
    an integer kernel's weight.
    """
    done: dict[str, onnx_ir.Value] = {}  # a module that is called several times has several transposes of one weight
    for node in list(model.graph):
        dequantize = node.inputs[0].producer() if node.op_type == "Transpose" and node.inputs[0] is not None else None
        if dequantize is None or dequantize.op_type != "DequantizeLinear":
            continue
        weight = dequantize.inputs[0]
        if weight is None or weight.const_value is None or weight.const_value.numpy().ndim != 2:
            continue
        name = f"{weight.name}_transposed"
        if name not in done:
            transposed = _stored(model, name, np.ascontiguousarray(weight.const_value.numpy().T))
            replacement = onnx_ir.node("DequantizeLinear", [transposed, *dequantize.inputs[1:]], attributes={"axis": 1})
            done[name] = replacement.outputs[0]
            done[name].name = f"{name}_dequantized"
            model.graph.insert_before(node, replacement)
        onnx_ir.convenience.replace_all_uses_with(node.outputs[0], done[name])
    passes.RemoveUnusedNodesPass()(model)


def store_in_int4(model: onnx_ir.Model) -> None:
    """Keep the weights that were rounded for it (``int4.round_weights``) in 4 bits, dequantized where they are read."""
    done: dict[tuple[tuple[int, ...], bytes, bytes], onnx_ir.Value] = {}  # a module called twice has two equal weights
    for name, value in list(model.graph.initializers.items()):
        users = [use.node for use in value.uses()]
        if value.const_value is None or not users or any(node.op_type != "MatMul" for node in users):
            continue
        weight = packed(value.const_value.numpy())
        if weight is None:
            continue
        key = (weight.integers.shape, weight.integers.tobytes(), weight.scales.tobytes())
        if key in done:
            onnx_ir.convenience.replace_all_uses_with(value, done[key])
            del model.graph.initializers[name]
            continue
        parts = [
            _stored(model, f"{name}_int4", weight.integers.astype(ml_dtypes.int4)),
            _stored(model, f"{name}_scales", weight.scales),
        ]
        read = onnx_ir.node("DequantizeLinear", parts, attributes={"axis": 0, "block_size": GROUP})
        done[key] = _read_instead(model, value, read)
        model.graph.opset_imports[""] = max(BLOCKS_SINCE, model.graph.opset_imports[""])


def store_in_half(model: onnx_ir.Model) -> None:
    """Keep large float constants in FP16 in the file, cast to FP32 where they are read.

    Runtimes fold the cast when they load the graph, so that it computes as before, with weights rounded to eleven bits:
    beside int8 that is nothing, and without it what is left in floating point takes half of a bundle.
    """
    for name, value in list(model.graph.initializers.items()):
        constant = value.const_value
        if constant is None or constant.dtype != onnx_ir.DataType.FLOAT or constant.nbytes < LEAST_STORED_BYTES:
            continue
        users = {use.node.op_type for use in value.uses()}
        rounded = constant.numpy().astype(np.float16)
        if users & SCALED_BY or value.is_graph_output() or not np.isfinite(rounded).all():
            continue
        half = _stored(model, f"{name}_half", rounded)
        _read_instead(model, value, onnx_ir.node("Cast", [half], attributes={"to": onnx_ir.DataType.FLOAT}))


def _stored(model: onnx_ir.Model, name: str, values: np.ndarray) -> onnx_ir.Value:
    """A new constant of the graph."""
    tensor = onnx_ir.tensor(values, name=name)
    value = onnx_ir.Value(
        name=name, const_value=tensor, shape=onnx_ir.Shape(tensor.shape), type=onnx_ir.TensorType(tensor.dtype)
    )
    model.graph.initializers.add(value)
    return value


def _read_instead(model: onnx_ir.Model, constant: onnx_ir.Value, read: onnx_ir.Node) -> onnx_ir.Value:
    """Put what ``read`` makes of smaller constants in the place of a large one. Returns it."""
    made = read.outputs[0]
    made.name, made.shape, made.type = f"{constant.name}_read", constant.shape, constant.type
    model.graph.insert_before(model.graph[0], read)
    onnx_ir.convenience.replace_all_uses_with(constant, made)
    del model.graph.initializers[str(constant.name)]
    return made
