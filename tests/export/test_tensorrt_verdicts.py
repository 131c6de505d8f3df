"""Our lint against NVIDIA's own parser and builder, on hand-made graphs: never laxer, and stricter on purpose only."""

import json

import pytest

from tests.export.tensorrt_graphs import GRAPHS
from tests.export.tensorrt_verdicts import OK, RECORD, lint_verdict, nvidia_verdicts

VERDICTS = json.loads(RECORD.read_text(encoding="utf-8"))["graphs"]

STRICTER = {
    "not among the types of TensorRT 10.1's list of operators": ["Equal BOOL", "Pad BOOL", "Pow INT32", "Pow INT64"],
    "Relu of INT32 is refused, so that no integers are let through": ["Relu INT64"],
    "ONNX does not allow it, and other parsers and ONNX Runtime hold on to that": [
        "GlobalAveragePool INT32",
        "GlobalAveragePool INT64",
        "GlobalMaxPool INT32",
        "GlobalMaxPool INT64",
        "Sum INT32",
        "Sum INT64",
        "GatherND by INT32",
        "mixed Clip",
        "mixed Expand by INT32",
        "mixed Pad",
        "mixed QuantizeLinear",
        "mixed Reshape by INT32",
        "mixed Resize by FLOAT16",
        "mixed TopK by INT32",
    ],
    "ONNX allows it, but TensorRT 10.1's parser hands both types to a layer that wants one": [
        "mixed BatchNormalization",
        "mixed Pow of FLOAT and INT64",
        "mixed Pow of FLOAT16 and FLOAT",
    ],
    "TensorRT 10 documents UINT8 for inputs and outputs of a network only": [
        "UINT8 compared",
        "UINT8 constant",
        "UINT8 flattened",
        "UINT8 passed on",
        "UINT8, its shape",
    ],
    "TensorRT 10 documents INT8 for quantized values only": [
        "INT8 added",
        "INT8 cast",
        "INT8 cast to",
        "INT8 transposed",
    ],
    "our runtimes have no such tensors": [
        "BFLOAT16 input",
        "BFLOAT16 inside",
        "DOUBLE Constant node",
        "DOUBLE constant",
        "DOUBLE input",
        "DOUBLE inside",
    ],
    "TensorRT 10.1 reads it in another way than ONNX: as INT8, and as axis 0": [
        "dequantized channels of no axis",
        "quantized and back without a zero point",
    ],
    "older parsers want a constant": [
        "Conv of a computed bias",
        "Conv of computed weights",
        "Conv of weights that are cast",
        "ConvTranspose of computed weights",
        "ConvTranspose of dequantized weights",
        "InstanceNormalization of computed scales",
        "quantized by a computed scale",
    ],
    "TensorRT 10.1 documents sorted results only": ["TopK unsorted"],
    "only the number of prompts may be free": ["another free side"],
    "some operators take sizes that depend on data, others refuse or fail": [
        "Expand by data",
        "Slice to data",
        "Tile by data",
    ],
    "it is built, and computes infinities": ["a constant too large for FLOAT16", "infinity in FLOAT16"],
    "TensorRT 10.0 reads opset 20": ["RMSNormalization", "opset 21"],
    "our exporter makes none": ["CumSum", "Einsum", "IsNaN", "ScatterND", "Trilu"],
}


def test_the_lint_says_what_is_recorded(tmp_path):
    assert {name: lint_verdict(graph, tmp_path) for name, graph in GRAPHS.items()} == {
        name: verdict["lint"] for name, verdict in VERDICTS.items()
    }


def test_the_lint_is_never_laxer_than_parser_and_builder():
    assert [name for name, verdict in VERDICTS.items() if verdict["lint"] == OK != verdict["nvidia"]] == []
    assert any("crashed" in verdict["nvidia"] for verdict in VERDICTS.values())


def test_where_the_lint_is_stricter_there_is_a_reason():
    stricter = [name for name, verdict in VERDICTS.items() if verdict["lint"] != OK == verdict["nvidia"]]
    assert sorted(stricter) == sorted(name for names in STRICTER.values() for name in names)


def test_nvidia_says_what_is_recorded():
    pytest.importorskip(
        "tensorrt_rtx_bindings", reason="NVIDIA's parser and builder: tensorrt-rtx-cu12-bindings and -libs"
    )
    assert nvidia_verdicts(list(GRAPHS)) == {name: verdict["nvidia"] for name, verdict in VERDICTS.items()}
