"""An int8 bundle: its integers run in integer kernels, and it says what it was made by."""

import shutil

import onnx
import pytest

from sam3i_edge import Segmenter
from sam3i_edge.bundle import open_bundle
from sam3i_edge.golden import checked_outputs, read_golden
from sam3i_edge.manifest import read_manifest
from sam3i_edge.provenance import Provenance
from sam3i_edge.quantize.recipe import read_recipe
from sam3i_edge.runtimes.processor import int8_saturates
from sam3i_edge.tolerance_rules import resolve
from sam3i_edge.verification import verify
from tests.conftest import rewrite
from tests.quantize.kernels import INTEGER_PRODUCTS, onnxruntime_kernels, openvino_kernels
from tests.runtimes.processor import needs_bf16

pytestmark = pytest.mark.slow  # two exports with calibration

GRAPHS = ("vision", "text", "grounding")


def quantized_layers(file):
    """How many linear layers and convolutions of a graph read an int8 weight."""
    graph = onnx.load(file).graph
    int8 = {w.name for w in graph.initializer if w.data_type == onnx.TensorProto.INT8}
    dequantized = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in int8}
    layers = [n for n in graph.node if n.op_type in ("MatMul", "Gemm", "Conv", "ConvTranspose")]
    return sum(n.input[1] in dequantized for n in layers)


@pytest.mark.parametrize("graph", GRAPHS)
def test_openvino_runs_every_quantized_layer_in_an_integer_kernel(int8_bundles, graph):
    file = int8_bundles / "intel-cpu/graphs" / f"{graph}.onnx"
    layers = [one for one in openvino_kernels(file) if one[0] in ("FullyConnected", "MatMul", "Convolution")]
    assert sum(kind in ("i8", "u8") for _, kind in layers) >= quantized_layers(file) > 0, layers


@pytest.mark.parametrize("graph", GRAPHS)
def test_onnx_runtime_runs_every_quantized_layer_in_an_integer_kernel(int8_bundles, graph, tmp_path):
    file = int8_bundles / "x86-cpu/graphs" / f"{graph}.onnx"
    kernels = onnxruntime_kernels(file, tmp_path)
    assert sum(kernel in INTEGER_PRODUCTS for kernel in kernels) >= quantized_layers(file) > 0, sorted(set(kernels))


@pytest.mark.parametrize("graph", GRAPHS)
def test_what_stays_in_floating_point_takes_half_the_place(int8_bundles, graph):
    """Scales must be float constants; a mask of minus infinity has no smaller form."""
    model = onnx.load(int8_bundles / "intel-cpu/graphs" / f"{graph}.onnx").graph
    scales = {name for node in model.node if node.op_type.endswith("quantizeLinear") for name in node.input[1:2]}
    scales |= {name for node in model.node if node.op_type == "DequantizeLinear" for name in node.input[1:2]}
    large = [w for w in model.initializer if w.data_type == onnx.TensorProto.FLOAT and len(w.raw_data) >= 16384]
    assert {w.name for w in large} <= scales
    assert any(w.data_type == onnx.TensorProto.FLOAT16 for w in model.initializer) or graph == "text"


@pytest.mark.parametrize("target", ["intel-cpu", "x86-cpu"])
def test_it_answers_within_its_tolerance_and_says_what_it_was_made_by(int8_bundles, target):
    manifest = open_bundle(int8_bundles / target).manifest
    assert manifest.runtime.precision == "int8"
    made_by = Provenance.of(manifest.provenance).quantization
    assert made_by.calibration_images == 6
    assert min(made_by.calibration_prompts.values()) >= 6
    assert made_by.recipe == read_recipe(int8_bundles / target / "recipe.toml")
    assert made_by.recipe.vision["trunk.blocks.0.attn"] == "int8"
    assert made_by.recipe.vision["trunk.patch_embed"] == "fp32"
    with Segmenter.load(int8_bundles / target) as segmenter:
        verdict = verify(segmenter.engine, read_golden(int8_bundles / target))
    assert verdict.passed, verdict.problem
    assert verdict.precision == "int8"


@needs_bf16
def test_what_is_not_integer_may_compute_in_bf16(int8_bundles, tmp_path):
    path = shutil.copytree(int8_bundles / "intel-cpu", tmp_path / "bundle")
    own = read_manifest(path)
    accuracy = Provenance.of(own.provenance).accuracy
    tolerances = resolve("int8-bf16", checked_outputs(own.runtime.limits), accuracy)
    rewrite(path, precision="int8-bf16", tolerances=tolerances)
    with Segmenter.load(path) as segmenter:
        hint = segmenter.engine.sessions["vision"].compiled_model.get_property("INFERENCE_PRECISION_HINT")
        verdict = verify(segmenter.engine, read_golden(path))
    assert hint.to_string() == "bf16"
    assert verdict.passed, verdict.problem


def test_integers_of_another_runtimes_bundle_are_computed_as_the_graph_has_them(int8_bundles):
    """ONNX Runtime's own integer kernels would be judged in their place, which saturate on some processors."""

    def as_written(target):
        with Segmenter.load(int8_bundles / target, runtime="onnxruntime") as segmenter:
            options = segmenter.engine.sessions["vision"]._session.get_session_options()
        try:
            return options.get_session_config_entry("session.disable_quant_qdq") == "1"
        except RuntimeError:  # it was not set
            return False

    assert as_written("intel-cpu")
    assert as_written("x86-cpu") == int8_saturates()


@pytest.mark.parametrize(
    ("flags", "saturates"), [("fpu avx2 fma", True), ("fpu avx2 avx_vnni", False), ("avx512f avx512_vnni", False)]
)
def test_processors_whose_integers_overflow(tmp_path, monkeypatch, flags, saturates):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert int8_saturates(tmp_path / "cpuinfo") == saturates
