"""From a quantized torch graph to what a runtime turns into integer kernels: one small function for all, and why.

All of them take QuantizeLinear / DequantizeLinear pairs. What they differ in is the target's scheme of activations
(``targets.Target.int8``): OpenVINO, TensorRT and Arm want symmetric int8, ONNX Runtime's x86 kernels uint8 with a zero
point, for which its session must also leave MatMul and Add apart (``runtimes/onnxruntime.py``).
"""

from __future__ import annotations

import numpy as np
import onnx_ir
from onnx_ir.passes import common as passes


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
            values = onnx_ir.tensor(np.ascontiguousarray(weight.const_value.numpy().T), name=name)
            transposed = onnx_ir.Value(
                name=name, const_value=values, shape=onnx_ir.Shape(values.shape), type=weight.type
            )
            model.graph.initializers[name] = transposed
            replacement = onnx_ir.node("DequantizeLinear", [transposed, *dequantize.inputs[1:]], attributes={"axis": 1})
            done[name] = replacement.outputs[0]
            done[name].name = f"{name}_dequantized"
            model.graph.insert_before(node, replacement)
        onnx_ir.convenience.replace_all_uses_with(node.outputs[0], done[name])
    passes.RemoveUnusedNodesPass()(model)
