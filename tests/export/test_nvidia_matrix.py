"""Every target of NVIDIA's, in every precision, for models of every kind: what its parser and builder make of them."""

import dataclasses
import json

import onnx
import pytest

from sam3i_edge import shipped
from sam3i_edge.benchmarks.full_width import write_checkpoint
from sam3i_edge.bundle import read_manifest
from sam3i_edge.export import Int8Options, export
from sam3i_edge.runtimes import RUNTIMES
from sam3i_edge.runtimes.engine_layers import layers_in
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart
from sam3i_edge.targets import TARGETS, float_type, get_target, is_int8
from tests.conftest import PARITY
from tests.export.calibration import one_picture
from tests.train.conftest import TINY, with_backbone

pytest.importorskip("tensorrt_rtx_bindings", reason="needs NVIDIA's parser and builder: pip install '.[rtx]' (x86-64)")

NVIDIA_TARGETS = [name for name in TARGETS if RUNTIMES[get_target(name).runtime].is_nvidia]
PRECISIONS = get_target("nvidia").precisions
GRAPH_FIELDS = ("opset", "ir_version", "int8", "attention", "precisions")
"""All of a target that a graph depends on."""
SUBJECTS = {
    "small": lambda folder: (PARITY / "checkpoint.pt", PARITY / "config.json"),
    "demo": lambda folder: (None, None),
    "student": lambda folder: (shipped.STUDENT, None),
    "timm": lambda folder: (write_checkpoint(with_backbone(TINY, "repvit_m0_9"), folder / "timm"), None),
}


def test_the_targets_share_their_graphs():
    """So that the graphs of one need to be made only once here."""
    assert set(NVIDIA_TARGETS) == {"jetson", "jetson-thor", "nvidia", "rtx"}
    for name in NVIDIA_TARGETS:
        for field in GRAPH_FIELDS:
            assert getattr(get_target(name), field) == getattr(get_target("nvidia"), field), (name, field)


def builds(manifest):
    """What the targets ask of the builder; those that ask the same only once."""
    found = {}
    for target in map(get_target, NVIDIA_TARGETS):
        limit = min(target.max_prompts, manifest.limits.max_prompts)
        options = BuildOptions(limit, target.settings, target.compute_capabilities or ("8.6",))
        found[json.dumps(dataclasses.asdict(options))] = options
    return list(found.values())


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
def test_every_target_takes_it(subject, precision, tmp_path):
    checkpoint, config = SUBJECTS[subject](tmp_path)
    bundle, log = tmp_path / "bundle", tmp_path / "log"
    calibration = one_picture(tmp_path / "calibration") if precision != "fp32" else None
    int8 = Int8Options(calibration, scored_images=0 if is_int8(precision) else Int8Options().scored_images)
    export(checkpoint, config, bundle, target="nvidia", precision=precision, int8=int8, check=False)
    manifest = read_manifest(bundle)
    assert manifest.tensorrt.checked_by == str(TENSORRT_RTX)  # it has been built for nvidia and jetson-thor
    own = BuildOptions(manifest.limits.max_prompts, manifest.target.settings, ("8.6",))
    others = [options for options in builds(manifest) if options != own]
    assert len(others) == 2
    for name, graph in manifest.graphs.items():
        for options in others:
            build_apart(TENSORRT_RTX, bundle / graph.file, options, tmp_path / "engine", log)
        layers = layers_in(log.read_text(encoding="utf-8"))
        if is_int8(precision):
            wanted = quantized_nodes(bundle / graph.file)
            found = {node for layer in layers if "Int8" in layer.inputs for node in layer.nodes}
            assert wanted, f"nothing of {name} is quantized"
            assert wanted <= found, f"in {name} these are no int8 layers: {sorted(wanted - found)}"
        if float_type(precision) == "fp16":
            assert not any(layer.is_fused_attention for layer in layers)
