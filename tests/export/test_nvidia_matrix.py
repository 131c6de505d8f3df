"""Every target of NVIDIA's, in every precision, for models of every kind: what its parser and builder make of them."""

import onnx
import pytest

from sam3i_edge import demo_model
from sam3i_edge.exporter import Int8Options, export
from sam3i_edge.manifest import read_manifest
from sam3i_edge.model.random_weights import write_checkpoint
from sam3i_edge.precision import float_type, is_int8
from sam3i_edge.runtimes import RUNTIMES
from sam3i_edge.runtimes.engine_layers import AMPERE, layers_in
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart
from sam3i_edge.targets import TARGETS, get_target
from tests.export.calibration import one_picture
from tests.train.conftest import TINY, with_backbone

pytest.importorskip("tensorrt_rtx_bindings", reason="needs NVIDIA's parser and builder: pip install '.[rtx]' (x86-64)")

NVIDIA_TARGETS = [name for name in TARGETS if RUNTIMES[get_target(name).runtime].is_nvidia]
PRECISIONS = get_target("rtx").precisions
GRAPH_FIELDS = ("opset", "ir_version", "int8", "attention", "precisions")
"""All of a target that a graph depends on."""
SUBJECTS = {
    "small": lambda folder: write_checkpoint(TINY, folder / "small"),
    "demo": lambda folder: None,
    "student": lambda folder: demo_model.STUDENT,
    "timm": lambda folder: write_checkpoint(with_backbone(TINY, "repvit_m0_9"), folder / "timm"),
}


def test_the_targets_share_their_graphs():
    """So that the graphs of one need to be made only once here."""
    assert set(NVIDIA_TARGETS) == {"jetson", "jetson-thor", "nvidia", "rtx"}
    for name in NVIDIA_TARGETS:
        for field in GRAPH_FIELDS:
            assert getattr(get_target(name), field) == getattr(get_target("rtx"), field), (name, field)


def test_what_is_built_for_rtx_and_jetson_includes_the_rest():
    """So that only those are built here: the compute capability of ``nvidia`` and ``jetson-thor`` is one of rtx's."""
    rtx = get_target("rtx")
    assert set(AMPERE) <= set(rtx.compute_capabilities)
    for name in ("nvidia", "jetson-thor"):
        assert (get_target(name).max_prompts, get_target(name).settings) == (rtx.max_prompts, rtx.settings), name


def quantized_nodes(graph):
    """The names of the products and convolutions whose both sides come out of integers."""
    nodes = onnx.load(graph).graph.node
    makers = {output: node.op_type for node in nodes for output in node.output}
    return {
        node.name
        for node in nodes
        if node.op_type in ("MatMul", "Gemm", "Conv")
        and all(makers.get(value) == "DequantizeLinear" for value in node.input[:2])
    }


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_target_takes_it(subject, precision, tmp_path, caplog):
    bundle, log = tmp_path / "bundle", tmp_path / "log"
    calibration = one_picture(tmp_path / "calibration") if precision != "fp32" else None
    int8 = Int8Options(calibration, scored_images=0 if is_int8(precision) else Int8Options().scored_images)
    export(SUBJECTS[subject](tmp_path), None, bundle, target="rtx", precision=precision, int8=int8, check=False)
    manifest = read_manifest(bundle)
    assert {engine.graph for engine in manifest.runtime.engines} == set(manifest.runtime.graphs)
    assert "fuses attention" not in caplog.text
    jetson = get_target("jetson")
    limit = min(jetson.max_prompts, manifest.runtime.limits.max_prompts)
    options = BuildOptions(limit, jetson.settings, AMPERE)
    for name, graph in manifest.runtime.graphs.items():
        build_apart(TENSORRT_RTX, bundle / graph.file, options, tmp_path / "engine", log)
        layers = layers_in(log.read_text(encoding="utf-8"))
        if is_int8(precision):
            wanted = quantized_nodes(bundle / graph.file)
            found = {node for layer in layers if "Int8" in layer.inputs for node in layer.nodes}
            assert wanted, f"nothing of {name} is quantized"
            assert wanted <= found, f"in {name} these are no int8 layers: {sorted(wanted - found)}"
        if float_type(precision) == "fp16":
            assert not any(layer.is_fused_attention for layer in layers)
