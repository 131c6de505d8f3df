"""OpenVINO behind the session interface."""

import logging
import shutil
import subprocess
import sys

import pytest

from sam3i_edge import Segmenter
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.golden import read_golden
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.verify import verify
from tests.conftest import CASES
from tests.runtimes.conformance import Conformance


class TestOpenVino(Conformance):
    runtime = "openvino"
    missing_device = "GPU.1"

    def test_automatic_device(self, bundle, segmenter):
        with Segmenter.load(bundle, runtime="openvino", device="AUTO", threshold=0.0) as chosen:
            assert chosen.device.endswith("CPU")
            assert (
                chosen.segment(CASES[0].image, "mug").scores == segmenter.segment(CASES[0].image, "mug").scores
            ).all()
        with pytest.raises(RuntimeUnavailableError, match="Unknown device of OpenVINO here 'NPU'"):
            Segmenter.load(bundle, runtime="openvino", device="AUTO:NPU,CPU")


def test_not_installed(bundle):
    code = "import sys; sys.modules['openvino'] = None; from sam3i_edge.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "verify", str(bundle), "--runtime", "openvino"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'sam3i-edge[openvino]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_precision_is_pinned_or_refused(bundle, caplog):
    graph = bundle / "graphs/text.onnx"
    bf16 = open_session("openvino", graph, SessionOptions("CPU", precision="bf16"))
    assert bf16._model.get_property("INFERENCE_PRECISION_HINT").to_string() == "bf16"
    with pytest.raises(RuntimeUnavailableError, match="computes in f32 where the bundle says fp16"):
        open_session("openvino", graph, SessionOptions("CPU", precision="fp16"))


def test_bf16_stays_within_its_tolerance(bundle):
    with Segmenter.load(bundle, runtime="openvino") as segmenter:
        options = SessionOptions("CPU", precision="bf16")
        graphs = segmenter.manifest.graphs
        segmenter._sessions = {name: open_session("openvino", bundle / graphs[name].file, options) for name in graphs}
        segmenter.precision = "bf16"
        verdict = verify(segmenter, read_golden(bundle))
        assert verdict.passed, verdict.problem
        segmenter.precision = "fp32"
        assert not verify(segmenter, read_golden(bundle)).passed


def test_one_prompt_per_call_is_compiled_with_fixed_shapes(bundle):
    session = open_session("openvino", bundle / "graphs/grounding.onnx", SessionOptions("CPU", max_prompts=1))
    assert not any(port.partial_shape.is_dynamic for port in session._model.inputs)


def test_model_cache(bundle, tmp_path, caplog):
    graph, options = bundle / "graphs/text.onnx", SessionOptions("CPU", cache=tmp_path / "cache")
    assert not open_session("openvino", graph, options)._model.get_property("LOADED_FROM_CACHE")
    assert open_session("openvino", graph, options)._model.get_property("LOADED_FROM_CACHE")
    assert not caplog.text
    for blob in (tmp_path / "cache").rglob("*.blob"):
        blob.write_bytes(blob.read_bytes()[:1000])
    assert not open_session("openvino", graph, options)._model.get_property("LOADED_FROM_CACHE")


@pytest.mark.parametrize("device", ["CPU", "AUTO"])
def test_a_full_cache_disk_is_a_warning_and_leaves_nothing(bundle, tmp_path, caplog, full_disk, device):
    graph, options = bundle / "graphs/text.onnx", SessionOptions(device, cache=tmp_path)
    with caplog.at_level(logging.WARNING):
        open_session("openvino", graph, options)
    assert f"OpenVINO could not keep what it compiled in {tmp_path}" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_a_warning(bundle, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        open_session("openvino", bundle / "graphs/text.onnx", SessionOptions("CPU", cache=tmp_path / "file/cache"))
    assert "model cache" in caplog.text


def test_device_without_its_driver(bundle):
    if shutil.which("clinfo"):
        pytest.skip("an OpenCL driver may be installed here")
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown device of OpenVINO here 'GPU'. Known: AUTO, CPU"):
        Segmenter.load(bundle, runtime="openvino", device="GPU")
