"""A runtime's package that is there but does not work: half of it, a file of its name, missing libraries."""

import json
import os
import subprocess
import sys

import pytest

BROKEN = {
    "onnxruntime": "print('my experiment')",  # a user's file of that name
    "openvino": "raise RuntimeError('Could not determine home directory.')",
    "tensorrt": "import ctypes; ctypes.CDLL('libnvinfer.so.99')",
    "tensorrt_rtx_bindings": "",  # what is left where two wheels lay in one folder
}


@pytest.fixture
def broken(tmp_path):
    """Runs a command where all of these packages are broken."""
    for name, code in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")

    def run(*arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "sam3i_edge", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_doctor_reports_them_and_the_rest(broken, tmp_path):
    done = broken("doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.removeprefix("my experiment\n"))
    problems = {runtime["name"]: runtime["problem"] for runtime in report["runtimes"]}
    for name, why in {
        "onnxruntime": "AttributeError: ",
        "openvino": "RuntimeError: Could not determine home directory.",
        "tensorrt": "libnvinfer.so.99",
        "tensorrt-rtx": "AttributeError: ",
    }.items():
        assert f"The runtime {name} cannot be used" in problems[name] and why in problems[name], problems[name]
        assert f"though there is {tmp_path}" in problems[name] and "install it again: pip install" in problems[name]
    assert report["targets"]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"])
def test_loading_says_what_is_wrong(broken, bundle, runtime):
    done = broken("verify", bundle, "--runtime", runtime)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"sam3i-edge: The runtime {runtime} cannot be used" in done.stderr
