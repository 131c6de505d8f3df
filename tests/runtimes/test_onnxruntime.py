"""ONNX Runtime behind the session interface."""

import subprocess
import sys

import numpy as np
import pytest

from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.runtimes import open_session


def test_not_installed(bundle):
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from sam3i_edge.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "verify", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'sam3i-edge[onnxruntime]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_runtime_and_device(bundle):
    graph = bundle / "graphs/text.onnx"
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown runtime 'onnx'.*Did you mean 'onnxruntime'\?"):
        open_session("onnx", graph)
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown device 'CPUU'.*Did you mean 'cpu'\?"):
        open_session("onnxruntime", graph, "CPUU")


def test_a_file_that_is_no_graph(tmp_path):
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"cannot open .*graph\.onnx"):
        open_session("onnxruntime", tmp_path / "graph.onnx")


def test_inputs_that_do_not_fit(bundle):
    session = open_session("onnxruntime", bundle / "graphs/text.onnx")
    with pytest.raises(BundleError, match=r"failed in .*text\.onnx"):
        session.run({"tokens": np.zeros((1, 5), np.int32), "gates": np.zeros((1, 3), np.float32)})
