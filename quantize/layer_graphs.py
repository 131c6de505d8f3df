"""A layer as a graph of its own, in floating point or with the quantizers that the lowered graphs have around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.quantizer import Scheme
from sam3i_edge.targets import Target

RANGE = 3.0
"""Of the activations, which are of no consequence for the time."""


def layer_graph(call: LayerCall, target: Target, scheme: Scheme | None = None, floating: str = "fp32") -> ModelProto:
    """A graph with the inputs of ``LayerCall.inputs`` and the output ``y``, all in ``floating``, or in int8 between.

    Args:
        call: the layer's sizes.
        target: whose operator set it is for.
        scheme: of the integers; None: there are none.
        floating: ``fp16`` where the graphs' own types say so, or ``fp32``.
    """
    element, kind = (TensorProto.FLOAT16, np.float16) if floating == "fp16" else (TensorProto.FLOAT, np.float32)
    builder = _Builder(scheme, np.dtype(kind))
    if call.is_attention:
        builder.attention(call)
    elif call.convolution:
        builder.convolution(call)
    else:
        builder.linear(call)
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, shape in call.inputs.items()]
    outputs = [helper.make_tensor_value_info("y", element, call.output)]
    graph = helper.make_graph(builder.nodes, "layer", inputs, outputs, builder.constants)
    opsets = [helper.make_opsetid("", target.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=target.ir_version)


class _Builder:
    def __init__(self, scheme: Scheme | None, kind: np.dtype[Any]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._scheme, self._kind = scheme, kind
        self._random = np.random.default_rng(0)

    def linear(self, call: LayerCall) -> None:
        outputs, inputs = call.weight
        product = self._node("MatMul", self._rounded("x"), self._weight((inputs, outputs), axis=1))
        self._node("Add", product, self._constant(self._values(outputs)), output="y")

    def convolution(self, call: LayerCall) -> None:
        stride, padding, dilation, groups = call.convolution
        given = self._rounded("x"), self._weight(call.weight, axis=0), self._constant(self._values(call.weight[0]))
        rounds = bool(self._scheme and self._scheme.conv_outputs)
        moves = {"strides": stride, "pads": padding * 2, "dilations": dilation, "group": groups}
        y = self._node("Conv", *given, output="" if rounds else "y", **moves)
        if rounds:
            self._rounded(y, output="y")

    def attention(self, call: LayerCall) -> None:
        queries = self._node("Mul", "q", self._constant(self._float(call.input[-1] ** -0.5)))
        keys = self._node("Transpose", "k", perm=[0, 1, 3, 2])
        scores = self._node("MatMul", self._rounded(queries), self._rounded(keys))
        self._node("MatMul", self._rounded(self._node("Softmax", scores)), self._rounded("v"), output="y")

    def _rounded(self, value: str, output: str = "") -> str:
        if self._scheme is None:
            return value
        integer = np.dtype(str(self._scheme.activation).removeprefix("torch."))
        scale = self._constant(self._float(2 * RANGE / (self._scheme.highest - self._scheme.lowest)))
        zero = self._constant(np.array((self._scheme.lowest + self._scheme.highest + 1) // 2, integer))
        integers = self._node("QuantizeLinear", value, scale, zero)
        return self._node("DequantizeLinear", integers, scale, zero, output=output)

    def _weight(self, shape: tuple[int, ...], axis: int) -> str:
        values = self._values(*shape)
        if self._scheme is None:
            return self._constant(values)
        integers = self._constant(np.clip(values * 40, -127, 127).astype(np.int8))
        scales = self._constant(np.full(shape[axis], 0.025, self._kind))
        zeros = self._constant(np.zeros(shape[axis], np.int8))
        return self._node("DequantizeLinear", integers, scales, zeros, axis=axis)

    def _values(self, *shape: int) -> np.ndarray:
        return self._random.standard_normal(shape, np.float32).astype(self._kind)

    def _float(self, value: float) -> np.ndarray:
        return np.array(value, self._kind)

    def _constant(self, values: np.ndarray | np.generic) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output
