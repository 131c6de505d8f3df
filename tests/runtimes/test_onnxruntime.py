"""ONNX Runtime behind the session interface."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

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


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_not_installed(bundle, runtime):
    code = f"import sys; sys.modules['{runtime}'] = None; from sam3i_edge.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "verify", str(bundle), "--runtime", runtime]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install '.[{runtime}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_runtime(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown runtime 'onnx'.*Did you mean 'onnxruntime'\?"):
        open_session("onnx", bundle / "graphs/text.onnx", SessionOptions("cpu"))
    with pytest.raises(RuntimeUnavailableError, match="Unknown runtime 'openvin'"):
        Segmenter.load(bundle, runtime="openvin")


def test_a_provider_that_this_build_lacks(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"has no CUDAExecutionProvider.*Devices here: cpu"):
        Segmenter.load(bundle, device="cuda")


def test_a_graph_that_fails_prints_nothing_of_its_own(tmp_path):
    """ONNX Runtime would log names as they are in the graph, which could act on a terminal; the error has them."""
    reshape = helper.make_node("Reshape", ["x", "shape"], ["y"], name="red\x1b[2J")
    values = [("x", TensorProto.FLOAT, ["a"]), ("shape", TensorProto.INT64, [1]), ("y", TensorProto.FLOAT, ["b"])]
    x, shape, y = (helper.make_tensor_value_info(*value) for value in values)
    graph = helper.make_graph([reshape], "graph", [x, shape], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "graph.onnx")
    code = (
        "import sys; import numpy as np; from sam3i_edge.runtimes import SessionOptions, open_session\n"
        "session = open_session('onnxruntime', sys.argv[1], SessionOptions('cpu'))\n"
        "try: session.run({'x': np.zeros(3, np.float32), 'shape': np.array([2])})\n"
        "except Exception as error: print(ascii(str(error)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "graph.onnx"], capture_output=True, check=True)
    assert done.stderr == b"" and b"red\\x1b[2J" in done.stdout
