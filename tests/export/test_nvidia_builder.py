"""NVIDIA's own parser and builder, without a GPU: what they say of our graphs, and what export makes of it."""

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest

from sam3i_edge.bundle import open_bundle
from sam3i_edge.errors import BundleError, ExportError, RuntimeUnavailableError
from sam3i_edge.exporter import Int8Options, export, pipeline
from sam3i_edge.manifest import read_manifest
from sam3i_edge.model.random_weights import write_checkpoint
from sam3i_edge.prebuilt_engines import build_engines
from sam3i_edge.runtimes import nvidia_build
from sam3i_edge.runtimes.engine_layers import engine_layers
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, GraphRefusedError, build_apart
from sam3i_edge.targets import get_target
from tests.conftest import rewrite
from tests.export.calibration import one_picture
from tests.export.tensorrt_graphs import GRAPHS
from tests.train.conftest import TINY

pytest.importorskip("tensorrt_rtx_bindings", reason="needs NVIDIA's parser and builder: pip install '.[rtx]' (x86-64)")

CAPABILITY = ("8.6",)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A checkpoint of random weights that is exported in seconds."""
    return write_checkpoint(TINY, tmp_path_factory.mktemp("tiny"))


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "is_fused"), [("unfused", False), ("fused", True)])
def test_attention_is_as_it_was_asked_for(tiny, attention, is_fused, tmp_path, caplog):
    path = tmp_path / "bundle"
    int8 = Int8Options(one_picture(tmp_path / "calibration"))
    export(tiny, None, path, target="nvidia", precision="fp16", attention=attention, int8=int8, check=False)
    assert read_manifest(path).runtime.target.attention == attention
    assert any(layer.is_fused_attention for layer in engine_layers(path / "graphs/vision.onnx")) == is_fused
    assert "fuses attention" not in caplog.text


@pytest.mark.slow
def test_attention_that_is_fused_all_the_same_is_a_warning(tiny, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pipeline, "write_out_softmax", lambda model: None)
    int8 = Int8Options(one_picture(tmp_path / "calibration"))
    export(tiny, None, tmp_path / "bundle", target="nvidia", precision="fp16", int8=int8, check=False)
    assert "NVIDIA's builder fuses attention in the vision graph all the same" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("UINT8 transposed", r"cannot read .*: n0 \(Transpose\): "),
        ("a scale of 0.0 in quantizing", r"cannot read .*: n0 \(QuantizeLinear\): "),
        ("dequantized INT32", r"cannot read .*: n0 \(DequantizeLinear\): "),
        ("TopK of 3841", r"cannot build an engine of .*: .*K exceeds the maximum"),
        ("Attention", r"crashes \(signal 11.*last words: \S+"),  # in 1.7.1
    ],
)
def test_a_graph_that_is_refused_is_named_with_its_node(name, message, tmp_path):
    onnx.save(GRAPHS[name].model(), tmp_path / "g.onnx")
    with pytest.raises(GraphRefusedError, match=f"TensorRT-RTX {TENSORRT_RTX.version}.*{message}"):
        build_apart(TENSORRT_RTX, tmp_path / "g.onnx", BuildOptions(1, {}, CAPABILITY), tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


def test_a_refusal_stops_the_export(tiny, tmp_path, monkeypatch):
    """With the model's own vision graph, its image transposed before it is cast; our lint is kept from seeing it."""
    monkeypatch.setattr(
        "sam3i_edge.graph_modules.normalize", lambda image: image.permute(0, 3, 1, 2).float() / 127.5 - 1
    )
    monkeypatch.setattr(pipeline, "lint", lambda path: [])
    with pytest.raises(
        ExportError, match=r"refuses a graph: TensorRT-RTX .* cannot read graphs/vision\.onnx: \S+ \("
    ) as e:
        export(tiny, None, tmp_path / "bundle", target="nvidia", check=False)
    assert "No bundle was written" in str(e.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def rtx(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("rtx") / "bundle"
    export(tiny, None, path, target="rtx", check=False)
    return path


def test_a_bundle_for_rtx_brings_its_engines(rtx):
    manifest = open_bundle(rtx).manifest
    engines = manifest.runtime.engines
    assert manifest.provenance["tensorrt"] == {"checked_by": str(TENSORRT_RTX)}
    assert {engine.graph for engine in engines} == set(manifest.runtime.graphs)
    for engine in engines:
        assert engine.compute_capabilities == get_target("rtx").compute_capabilities
        assert engine.built_by == str(TENSORRT_RTX)
        assert manifest.files[engine.file].bytes == (rtx / engine.file).stat().st_size > 10_000
    assert open_bundle(rtx).engine("vision").file == str(rtx / engines[0].file)


def test_engines_are_replaced(rtx):
    before = {engine.file for engine in read_manifest(rtx).runtime.engines}
    (rtx / "engines/vision-01234567.engine").write_bytes(b"of a build that was killed")
    (rtx / next(iter(before))).unlink()  # an engine that is lost is no reason not to build it again
    build_engines(rtx, ["8.9"])
    engines = open_bundle(rtx).manifest.runtime.engines  # which refuses a file too many
    assert {engine.compute_capabilities for engine in engines} == {("8.9",)}
    assert before.isdisjoint(engine.file for engine in engines)


@pytest.mark.parametrize("error", [GraphRefusedError("refused"), KeyboardInterrupt()])
def test_a_build_that_fails_leaves_the_bundle_as_it_was(rtx, monkeypatch, error):
    before = read_manifest(rtx)
    real = nvidia_build.build_apart

    def fail_late(product, graph, options, output, log):
        assert open_bundle(rtx).manifest == before  # nobody sees a build that goes on
        if graph.name == "grounding.onnx":
            raise error
        real(product, graph, options, output, log)

    monkeypatch.setattr("sam3i_edge.prebuilt_engines.build_apart", fail_late)
    with pytest.raises(type(error)):
        build_engines(rtx, ["12.0"])
    assert open_bundle(rtx).manifest == before


def test_only_files_of_our_own_are_removed(rtx):
    other = rtx / "engines/README.txt"
    other.write_text("mine")
    try:
        build_engines(rtx, ["8.6"])
        assert other.read_text() == "mine"
        with pytest.raises(BundleError, match=r"does not list: engines/README\.txt"):
            open_bundle(rtx)
    finally:
        other.unlink()


def test_a_folder_of_engines_elsewhere_is_left_alone(rtx, tmp_path):
    copy, elsewhere = shutil.copytree(rtx, tmp_path / "copy"), tmp_path / "elsewhere"
    (copy / "engines").rename(elsewhere)
    (copy / "engines").symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    with pytest.raises(BundleError, match="is a link: copy the bundle first"):
        build_engines(copy, ["8.6"])
    assert sorted(elsewhere.iterdir()) == before


def test_two_builds_at_once(rtx):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda capability: build_engines(rtx, [capability]), ["8.6", "8.9"]))
    assert open_bundle(rtx).manifest.runtime.engines[0].compute_capabilities in (("8.6",), ("8.9",))


def test_modules_in_the_current_folder_are_not_run(rtx, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    build_engines(rtx, ["8.6"])


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for the children of a process")
def test_a_builder_ends_with_whoever_waits_for_it(rtx):
    command = [sys.executable, "-m", "sam3i_edge", "build", rtx, "--for", "sm86"]
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert "parses and builds the vision graph" in parent.stderr.readline()
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.01)
    time.sleep(1)  # it has begun
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Path(f"/proc/{found[0]}").exists():
        time.sleep(0.1)
    assert not Path(f"/proc/{found[0]}").exists()
    assert open_bundle(rtx)
    for left in rtx.parent.glob(".*.partial-*"):
        shutil.rmtree(left)


def test_a_builder_that_is_killed_is_no_refusal(tiny, rtx, tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia_build, "_CHILD", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(RuntimeUnavailableError, match=r"was killed \(signal 9\)\. Often the memory is full"):
        build_apart(TENSORRT_RTX, rtx / "graphs/vision.onnx", BuildOptions(1, {}, CAPABILITY), tmp_path / "engine")


def test_what_is_not_the_graphs_fault_is_said_in_its_own_words(rtx, tmp_path):
    options = BuildOptions(1, {"workspace_mb": "lots"}, CAPABILITY)
    with pytest.raises(RuntimeUnavailableError, match=r"ValueError: .*'lots'"):
        build_apart(TENSORRT_RTX, rtx / "graphs/vision.onnx", options, tmp_path / "engine")


def test_engines_for_gpus_that_nobody_knows(rtx):
    with pytest.raises(
        RuntimeUnavailableError, match=r"cannot build for compute capability 8\.7, only for 8\.0, 8\.6, "
    ):
        build_engines(rtx, ["8.6", "8.7"])


def test_engines_for_a_bundle_of_another_runtime(rtx, tmp_path):
    copy = shutil.copytree(rtx, tmp_path / "copy")
    rewrite(copy, target=get_target("jetson").on_device)
    with pytest.raises(BundleError, match="is for tensorrt, whose engines are built on the device"):
        build_engines(copy, ["8.6"])


def test_without_the_wheels_only_the_lint_looks(tiny, tmp_path, monkeypatch):
    """Nor is anything compared, of random weights."""
    monkeypatch.setitem(nvidia_build.sys.modules, "tensorrt_rtx_bindings", None)
    monkeypatch.setattr("sam3i_edge.exporter.pipeline.verify", lambda *_: pytest.fail("it was compared"))
    lines, path = [], tmp_path / "bundle"
    export(tiny, None, path, target="rtx", check=False, progress=lines.append)
    assert any("the graphs were checked by sam3i-edge only" in line for line in lines)
    made = read_manifest(path).provenance
    assert (made["tensorrt"], made["accuracy"], made["checked_on"]) == ({"checked_by": ""}, {}, "")
    assert read_manifest(path).runtime.engines == ()
    with pytest.raises(RuntimeUnavailableError, match=r"TensorRT-RTX cannot be imported .*: pip install '\.\[rtx\]'"):
        build_engines(path, ["8.6"])
