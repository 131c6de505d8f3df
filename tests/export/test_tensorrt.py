"""What a TensorRT target adds to an export: the graphs are linted, and the commands that build them are written."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sam3i_edge import Segmenter
from sam3i_edge.bundle import read_manifest
from sam3i_edge.errors import ExportError
from sam3i_edge.export import export, pipeline
from sam3i_edge.export.convert import convert
from sam3i_edge.export.modules import graph_modules
from sam3i_edge.export.tensorrt_lint import lint
from sam3i_edge.graphs import Limits, default_limits, graph_specs
from sam3i_edge.model import Sam3i
from sam3i_edge.model.lite import SUGGESTED
from sam3i_edge.quantize.half import to_half
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.targets import get_target
from tests.conftest import CASES, PARITY
from tests.train.conftest import TINY, with_backbone


def graph(tmp_path, nodes, constants=None, *, inputs=None, outputs=None, opset=20):
    """The findings of a small graph from x (prompts, 4) float to y."""
    made = helper.make_graph(
        nodes,
        "test",
        inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["prompts", 4])],
        outputs or [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), tmp_path / "g.onnx"
    )
    return lint(tmp_path / "g.onnx")


@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_our_graphs_are_clean(bundle, name):
    assert lint(bundle / f"graphs/{name}.onnx") == []


@pytest.mark.parametrize("backbone", SUGGESTED)
def test_backbones_of_timm_are_taken(backbone, tmp_path):
    """In half precision, too; activations and poolings of theirs are in no other graph of ours."""
    config = with_backbone(TINY, backbone)
    limits = default_limits(config)
    spec = graph_specs(config, limits)["vision"]
    single = graph_modules(Sam3i(config).eval(), limits)["vision"]
    for module in (single, to_half(trace(single, spec), {})):
        convert(module, dataclasses.replace(spec, file="vision.onnx"), get_target("jetson"), tmp_path)
        assert lint(tmp_path / "vision.onnx") == []


def test_a_clean_graph(tmp_path):
    assert graph(tmp_path, [helper.make_node("Relu", ["x"], ["y"])]) == []


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([helper.make_node("NonZero", ["x"], ["y"])], {}, "NonZero y: the operator is not taken"),
        ([helper.make_node("Einsum", ["x"], ["y"], equation="ij->i")], {}, "Einsum y: the operator is not taken"),
        ([helper.make_node("ReduceMean", ["x", "x"], ["y"])], {}, "ReduceMean y: its input 1 must be a constant"),
        ([helper.make_node("Slice", ["x", "s", "s", "x"], ["y"])], {"s": np.array([1])}, "its input 3 must be a const"),
        (
            [helper.make_node("TopK", ["x", "k"], ["y", "i"])],
            {"k": np.array([4000])},
            "TopK y: K is 4000; at most 3840",
        ),
        (
            [helper.make_node("Add", ["x", "c"], ["y"])],
            {"c": np.array([1.0])},
            "c: constants of type DOUBLE are not taken",
        ),
        (
            [helper.make_node("Gather", ["c", "i"], ["g"]), helper.make_node("Cast", ["g"], ["y"], to=1)],
            {"c": np.ones((3, 4), np.int8), "i": np.array([1])},
            r"Gather g: the int8 tensor c may only go into a DequantizeLinear \(embedding = \"fp32\"\?\)",
        ),
        (
            [helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT16)],
            {"c": np.array([1e6], np.float32)},
            "Cast y: a constant of 1e.06 does not fit FP16",
        ),
        (
            [helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT)],
            {"c": np.array([np.inf], np.float16)},
            "c: an FP16 constant is not finite",
        ),
        (
            [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
            {"s": np.float32(0.1), "z": np.uint8(128)},
            "int8 must be symmetric",
        ),
        (
            [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
            {"s": np.float32(0.1), "z": np.int8(3)},
            "int8 must be symmetric",
        ),
    ],
)
def test_what_tensorrt_would_refuse(tmp_path, nodes, constants, message):
    findings = graph(tmp_path, nodes, constants)
    assert findings
    with pytest.raises(AssertionError, match=message):
        raise AssertionError("; ".join(findings))


def test_a_convolution_may_dequantize_its_weight_but_not_compute_it(tmp_path):
    image = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])]
    constants = {"w": np.ones((4, 2, 3, 3), np.int8), "s": np.ones(4, np.float32), "z": np.zeros(4, np.int8)}
    dequantize = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0)
    conv = helper.make_node("Conv", ["x", "d"], ["y"])
    assert graph(tmp_path, [dequantize, conv], constants, inputs=image) == []
    computed = [dequantize, helper.make_node("Neg", ["d"], ["n"]), helper.make_node("Conv", ["x", "n"], ["y"])]
    assert graph(tmp_path, computed, constants, inputs=image) == ["Conv y: its input 1 must be a constant"]


def test_opset_and_free_sides(tmp_path):
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    assert "opset 21 is beyond 20" in graph(tmp_path, relu, opset=21)[0]
    free = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["prompts", "width"])]
    assert graph(tmp_path, relu, inputs=free) == ["x: its side 1 is free; only the number of prompts may be"]


def test_a_byte_image_may_only_be_cast(tmp_path):
    image = [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4])]
    assert graph(tmp_path, [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], inputs=image) == []
    findings = graph(tmp_path, [helper.make_node("Add", ["x", "x"], ["y"])], inputs=image)
    assert findings[0] == "Add y: the uint8 tensor x may only go into a Cast"


def test_export_for_a_jetson(tmp_path):
    """Checked in ONNX Runtime here, and says so; the device builds the engines."""
    lines = []
    config = PARITY / "config.json"
    manifest = export(PARITY / "checkpoint.pt", config, tmp_path / "bundle", target="jetson", progress=lines.append)
    assert any("tensorrt is not available here" in line for line in lines)
    assert manifest.checked_on.startswith("ONNX Runtime")
    assert manifest.limits.max_prompts == 4
    commands = (tmp_path / "bundle/trtexec.txt").read_text()
    assert commands.count("trtexec --onnx=graphs/") == 3
    assert "--maxShapes=tokens:4x32,gates:4x3" in commands
    assert "trtexec.txt" in read_manifest(tmp_path / "bundle").files
    with Segmenter.load(tmp_path / "bundle", runtime="onnxruntime") as segmenter:
        assert segmenter.segment(CASES[0].image, "mug").route == "concept"


def test_a_finding_stops_the_export(tmp_path, monkeypatch, model):
    limits = Limits(4, 16, 20)
    monkeypatch.setattr(pipeline, "lint", lambda path: ["Einsum y: the operator is not taken"])
    with pytest.raises(ExportError, match=r"would refuse the graphs, in 3 places: graphs/vision\.onnx: Einsum y"):
        pipeline._lint(tmp_path, graph_specs(model.config, limits))
