"""What a TensorRT target adds to an export: the graphs are linted, and the commands that build them are written."""

import dataclasses

import pytest

from sam3i_edge import Segmenter
from sam3i_edge.config import default_limits
from sam3i_edge.errors import ExportError
from sam3i_edge.exporter import export, pipeline
from sam3i_edge.exporter.convert import convert
from sam3i_edge.exporter.tensorrt_lint import lint
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import Limits, graph_specs
from sam3i_edge.manifest import read_manifest
from sam3i_edge.model import Sam3i
from sam3i_edge.model.lite import SUGGESTED
from sam3i_edge.quantize.fp16 import to_half
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.targets import get_target
from tests.conftest import CASES, PARITY
from tests.train.conftest import TINY, with_backbone


@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_our_graphs_are_clean(bundle, name):
    assert lint(bundle / f"graphs/{name}.onnx") == []


@pytest.mark.parametrize("backbone", SUGGESTED)
def test_backbones_of_timm_are_taken(backbone, tmp_path):
    """In half precision, too; activations and poolings of theirs are in no other graph of ours."""
    config = with_backbone(TINY, backbone)
    limits = default_limits(config)
    spec = graph_specs(config.sizes, limits)["vision"]
    single = graph_modules(Sam3i(config).eval(), limits)["vision"]
    for module in (single, to_half(trace(single, spec), {})):
        convert(module, dataclasses.replace(spec, file="vision.onnx"), get_target("jetson"), tmp_path)
        assert lint(tmp_path / "vision.onnx") == []


def test_export_for_a_jetson(tmp_path):
    """Checked in ONNX Runtime here, and says so; the device builds the engines."""
    lines = []
    config = PARITY / "config.json"
    options = {"target": "jetson", "precision": "fp32", "progress": lines.append}
    manifest = export(PARITY / "checkpoint.pt", config, tmp_path / "bundle", **options)
    (told,) = (line for line in lines if "tensorrt for jetson is not on this machine, which need not have it" in line)
    assert "On the device, sam3i-edge doctor" in told
    assert not any("install" in line for line in lines)  # which is for the device to say
    assert manifest.provenance["checked_on"].startswith("ONNX Runtime")
    assert manifest.runtime.limits.max_prompts == 4
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
        pipeline._lint(tmp_path, graph_specs(model.config.sizes, limits))
