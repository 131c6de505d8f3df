"""What a robot installs: no torch, no onnx, Python 3.10."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from sam3i_edge import Segmenter
from tests.conftest import CASES

ROOT = Path(__file__).parent.parent


def find_python() -> str | None:
    """A working Python 3.10, on the PATH or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for python in ("python3.10", *map(str, pyenv.glob("versions/3.10.*/bin/python"))):
        found = shutil.which(python)
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return None


BLOCKED = ("torch", "onnx", "onnxscript", "onnx_ir", "open_clip", "safetensors")


def test_verify_and_segment_with_the_workstation_packages_out_of_reach(bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), CASES[0].image[..., ::-1])
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); from sam3i_edge.cli import main;"
        "sys.exit(main(sys.argv[1:]))"
    )
    for command in (["verify", bundle], ["segment", bundle, "photo.png", "mug"]):
        subprocess.run([sys.executable, "-c", code, *command], check=True, cwd=tmp_path)
    exporting = subprocess.run(
        [sys.executable, "-c", code, "export", "-o", "x"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert exporting.returncode == 1
    assert "pip install 'sam3i-edge[export]'" in exporting.stderr


@pytest.mark.slow
def test_clean_python_310_segments_without_torch_and_onnx(bundle, tmp_path):
    python = find_python()
    if python is None:
        pytest.skip("no Python 3.10 on this machine; the device side supports it because JetPack 6 ships it")
    environment = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", environment], check=True)
    device = environment / "bin" / "python"
    subprocess.run(
        [device, "-m", "pip", "install", "--quiet", f"{ROOT}[onnxruntime,openvino]"], check=True, cwd=tmp_path
    )

    check = (
        "import importlib.util as u, sys; print(sys.version_info[:2], [m for m in ('torch', 'onnx') if u.find_spec(m)])"
    )
    listed = subprocess.run([device, "-c", check], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert listed.stdout.strip() == "(3, 10) []"

    case = CASES[1]
    cv2.imwrite(str(tmp_path / "photo.png"), case.image[..., ::-1])
    command = [environment / "bin" / "sam3i-edge", "segment", bundle, "photo.png", case.prompt.text, "--json"]
    done = subprocess.run([*command, "--threshold", "0.3"], capture_output=True, text=True, check=True, cwd=tmp_path)
    here = Segmenter.load(bundle, threshold=0.3).segment(case.image, case.prompt.text)
    scores = [instance["score"] for instance in json.loads(done.stdout)["instances"]]
    assert scores == pytest.approx(here.scores, abs=1e-4)

    for runtime in ("onnxruntime", "openvino"):
        verify = [environment / "bin" / "sam3i-edge", "verify", bundle, "--runtime", runtime]
        subprocess.run(verify, check=True, cwd=tmp_path)
    exporting = subprocess.run(
        [environment / "bin" / "sam3i-edge", "export", "-o", "x"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert exporting.returncode == 1
    assert "pip install 'sam3i-edge[export]'" in exporting.stderr
