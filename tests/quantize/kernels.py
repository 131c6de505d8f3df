"""What a runtime makes of a graph: the kernels that it runs."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import openvino

INTEGER_PRODUCTS = ("MatMulIntegerToFloat", "QLinearMatMul", "QLinearConv", "QGemm")
"""Of ONNX Runtime."""


def onnxruntime_kernels(file: Path, folder: Path) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"])
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


def openvino_kernels(file: Path) -> list[tuple[str, str]]:
    """The type of each layer and its precision."""
    return kernels_of(openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}))


def kernels_of(compiled: openvino.CompiledModel) -> list[tuple[str, str]]:
    info = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    return [(i["layerType"].value, i["runtimePrecision"].value) for i in info]
