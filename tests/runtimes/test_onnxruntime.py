"""ONNX Runtime behind the session interface."""

import subprocess
import sys

import numpy as np
import pytest

from sam3i_edge import Segmenter
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.runtimes.onnxruntime import OrtTensor
from tests.conftest import CASES
from tests.runtimes.conformance import Conformance


class TestOnnxRuntime(Conformance):
    runtime = "onnxruntime"
    missing_device = "cuda:1"

    def test_features_stay_with_the_runtime(self, segmenter):
        features = segmenter.encode(CASES[0].image).features
        assert all(isinstance(value, OrtTensor) for value in features.values())
        assert np.asarray(features["coarse"]).shape == features["coarse"].shape


def test_not_installed(bundle):
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from sam3i_edge.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "verify", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'sam3i-edge[onnxruntime]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_runtime(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown runtime 'onnx'.*Did you mean 'onnxruntime'\?"):
        open_session("onnx", bundle / "graphs/text.onnx", SessionOptions("cpu"))
    with pytest.raises(RuntimeUnavailableError, match="Unknown runtime 'openvin'"):
        Segmenter.load(bundle, runtime="openvin")


def test_a_provider_that_this_build_lacks(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"has no CUDAExecutionProvider.*Devices here: cpu"):
        Segmenter.load(bundle, device="cuda")
