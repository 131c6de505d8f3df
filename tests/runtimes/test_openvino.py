"""OpenVINO behind the session interface."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from sam3i_edge import Segmenter
from sam3i_edge.cli import main
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.manifest import read_manifest
from sam3i_edge.provenance import Provenance
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.runtimes.openvino import _core, _warn_of_emulation
from tests.conftest import CASES, PARITY
from tests.runtimes.conformance import Conformance
from tests.runtimes.processor import HAS_BF16, needs_bf16


def models(session):
    """All that the session compiles, now or later."""
    return [compiled.model for compiled in dict.fromkeys([session._single, session._several])]


def precisions(session):
    return [model.get_property("INFERENCE_PRECISION_HINT").to_string() for model in models(session)]


def from_cache(session):
    return [model.get_property("LOADED_FROM_CACHE") for model in models(session)]


class TestOpenVino(Conformance):
    runtime = "openvino"
    missing_device = "GPU.1"

    def test_automatic_device(self, bundle, segmenter):
        with Segmenter.load(bundle, runtime="openvino", device="AUTO", threshold=0.0) as chosen:
            assert chosen.device.endswith("CPU")
            assert (
                chosen.segment(CASES[0].image, "mug").scores == segmenter.segment(CASES[0].image, "mug").scores
            ).all()
        with pytest.raises(RuntimeUnavailableError, match="OpenVINO finds no NPU here"):
            Segmenter.load(bundle, runtime="openvino", device="AUTO:NPU,CPU")


def test_precision_is_pinned_or_refused(bundle, caplog):
    graph = bundle / "graphs/text.onnx"
    if HAS_BF16:
        bf16 = open_session("openvino", graph, SessionOptions("CPU", precision="bf16"))
        assert precisions(bf16) == ["bf16", "bf16"]
    else:
        with pytest.raises(RuntimeUnavailableError, match="computes in f32 where the bundle says bf16"):
            open_session("openvino", graph, SessionOptions("CPU", precision="bf16"))
    if "FP16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        fp16 = open_session("openvino", graph, SessionOptions("CPU", precision="fp16"))
        assert precisions(fp16) == ["f16", "f16"]
        return
    with pytest.raises(RuntimeUnavailableError, match=r"computes in b?f(32|16) where the bundle says fp16"):
        open_session("openvino", graph, SessionOptions("CPU", precision="fp16"))


@needs_bf16
@pytest.mark.parametrize(("first", "second"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_precisions_do_not_share_what_was_compiled(bundle, tmp_path, first, second):
    """OpenVINO's own key of a blob leaves the precision out, and a processor with AMX then computed nonsense."""
    graph = bundle / "graphs/vision.onnx"
    image = {"image": np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)}
    open_session("openvino", graph, SessionOptions("CPU", precision=first, cache=tmp_path))
    for cached in (False, True):
        session = open_session("openvino", graph, SessionOptions("CPU", precision=second, cache=tmp_path))
        assert from_cache(session) == [cached]
        fresh = open_session("openvino", graph, SessionOptions("CPU", precision=second)).run(image)
        for name, values in session.run(image).items():
            np.testing.assert_array_equal(values, fresh[name])


@needs_bf16
def test_a_bundle_in_bf16(tmp_path):
    checkpoint = ["--checkpoint", PARITY / "checkpoint.pt", "--config", PARITY / "config.json"]
    output = tmp_path / "bundle"
    command = ["export", *checkpoint, "--target", "intel-cpu", "--precision", "bf16", "-o", output]
    assert main([str(part) for part in command]) == 0
    manifest = read_manifest(output)
    made = Provenance.of(manifest.provenance)
    assert manifest.runtime.precision == "bf16"
    assert made.checked_on.startswith("OpenVINO")
    found = {name: difference.sqnr_db for name, difference in made.accuracy.items() if difference.max_abs}
    boxes = {name for name in found if name.endswith("/boxes")}
    assert max(found[name] for name in found.keys() - boxes) < 60  # no fp32
    assert max(found[name] for name in boxes) < 80  # random weights move them little from the constants they begin as
    with Segmenter.load(output, verify=True) as segmenter:
        assert segmenter.precision == "bf16"
        assert {name for session in segmenter.engine.sessions.values() for name in precisions(session)} == {"bf16"}
        assert segmenter.segment(CASES[0].image, "mug").route == "concept"


@pytest.mark.parametrize(("precision", "warned"), [("bf16", True), ("fp32", False)])
def test_a_processor_without_bf16(monkeypatch, caplog, precision, warned):
    core = SimpleNamespace(get_property=lambda device, name: ["FP32", "INT8"])
    monkeypatch.setattr("sam3i_edge.runtimes.openvino._core", lambda: core)
    with caplog.at_level(logging.WARNING):
        _warn_of_emulation(SessionOptions("CPU", precision=precision))
    assert ("This processor has no bfloat16 instructions" in caplog.text) == warned


@pytest.mark.parametrize(("max_prompts", "compiled"), [(1, [True]), (4, [True, False])])
def test_one_prompt_is_computed_with_fixed_shapes(bundle, max_prompts, compiled):
    session = open_session("openvino", bundle / "graphs/text.onnx", SessionOptions("CPU", max_prompts=max_prompts))
    tokens = np.zeros((1, 32), np.int32)
    gates = np.zeros((1, 3), np.float32)
    alone = session.run({"tokens": tokens, "gates": gates})["text"]
    assert alone.shape[0] == 1
    assert session._several is session._single or session._several._compiled is None  # not before it is needed
    if max_prompts > 1:
        several = session.run({"tokens": tokens.repeat(3, 0), "gates": gates.repeat(3, 0)})["text"]
        np.testing.assert_allclose(several, alone.repeat(3, 0), atol=1e-5)
    fixed = [not any(port.partial_shape.is_dynamic for port in model.inputs) for model in models(session)]
    assert fixed == compiled


def test_model_cache(bundle, tmp_path, caplog):
    graph, options = bundle / "graphs/vision.onnx", SessionOptions("CPU", cache=tmp_path / "cache")
    assert not any(from_cache(open_session("openvino", graph, options)))
    assert all(from_cache(open_session("openvino", graph, options)))
    assert not caplog.text
    for damage in (lambda content: content[:1000], lambda content: content[:-5000] + bytes(5000), lambda content: b""):
        (blob,) = (tmp_path / "cache").rglob("*.blob")
        blob.write_bytes(damage(blob.read_bytes()))
        caplog.clear()
        assert not any(from_cache(open_session("openvino", graph, options)))
        assert f"The cached {blob} is damaged; it is made anew" in caplog.text
        assert all(from_cache(open_session("openvino", graph, options)))
    blob.with_name(f"{blob.name}.sha256").unlink()  # interrupted before it was written
    assert not any(from_cache(open_session("openvino", graph, options)))
    graph = bundle / "graphs/text.onnx"  # compiled twice
    assert from_cache(open_session("openvino", graph, options)) == [False, False]
    assert from_cache(open_session("openvino", graph, options)) == [True, True]


def test_those_who_load_at_once_keep_what_was_compiled(bundle, tmp_path, caplog):
    """None drops a blob that another one has not vouched for yet."""
    graphs = [bundle / f"graphs/{name}.onnx" for name in ("text", "vision", "grounding")]
    with ThreadPoolExecutor(3) as pool:
        for turn in range(2):
            options = SessionOptions("CPU", cache=tmp_path / str(turn))
            list(pool.map(lambda graph: from_cache(open_session("openvino", graph, options)), graphs))  # noqa: B023
            assert all(all(from_cache(open_session("openvino", graph, options))) for graph in graphs)
    assert not caplog.text


@pytest.mark.parametrize("device", ["CPU", "AUTO"])
def test_a_full_cache_disk_is_a_warning_and_leaves_nothing(bundle, tmp_path, caplog, full_disk, device):
    graph, options = bundle / "graphs/text.onnx", SessionOptions(device, cache=tmp_path)
    with caplog.at_level(logging.WARNING):
        open_session("openvino", graph, options)
    assert f"OpenVINO could not keep what it compiled in {tmp_path}" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_a_warning(bundle, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        open_session("openvino", bundle / "graphs/text.onnx", SessionOptions("CPU", cache=tmp_path / "file/cache"))
    assert "model cache" in caplog.text


def test_device_without_its_driver(bundle):
    if shutil.which("clinfo"):
        pytest.skip("an OpenCL driver may be installed here")
    with pytest.raises(RuntimeUnavailableError, match=r"finds no GPU here, only CPU.*intel-opencl-icd"):
        Segmenter.load(bundle, runtime="openvino", device="GPU")
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown device of OpenVINO here 'CPUU'. Known: AUTO, CPU"):
        Segmenter.load(bundle, runtime="openvino", device="CPUU")
