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


BLOCKED = ("torch", "onnx", "onnxscript", "onnx_ir", "open_clip")


def refuses_to_export(command, folder):
    done = subprocess.run([*command, "export", "-o", "x"], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 1
    assert "pip install '.[export]'" in done.stderr


def test_verify_and_segment_with_the_workstation_packages_out_of_reach(bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), CASES[0].image[..., ::-1])
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); from sam3i_edge.cli import main;"
        "sys.exit(main(sys.argv[1:]))"
    )
    for arguments in (["verify", bundle], ["segment", bundle, "photo.png", "mug"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=tmp_path)
    refuses_to_export([sys.executable, "-c", code], tmp_path)


@pytest.mark.slow
def test_clean_python_310_segments_without_torch_and_onnx(bundle, tmp_path):
    python = find_python()
    if python is None:
        pytest.skip("no Python 3.10 on this machine; the device side supports it because JetPack 6 ships it")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    here = tmp_path / "venv" / "bin"

    def run(*command):
        return subprocess.run([*command], capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    run(here / "python", "-m", "pip", "install", "--quiet", f"{ROOT}[onnxruntime,openvino]")
    check = (
        "import importlib.util as u, sys; print(sys.version_info[:2], [m for m in ('torch', 'onnx') if u.find_spec(m)])"
    )
    assert run(here / "python", "-c", check).strip() == "(3, 10) []"
    case = CASES[1]
    cv2.imwrite(str(tmp_path / "photo.png"), case.image[..., ::-1])
    told = run(here / "sam3i-edge", "segment", bundle, "photo.png", case.prompt.text, "--json", "--threshold", "0.3")
    expected = Segmenter.load(bundle, threshold=0.3).segment(case.image, case.prompt.text)
    scores = [instance["score"] for instance in json.loads(told)["annotations"]]
    assert scores == pytest.approx(expected.scores, abs=1e-4)
    for runtime in ("onnxruntime", "openvino"):
        run(here / "sam3i-edge", "verify", bundle, "--runtime", runtime)
    refuses_to_export([here / "sam3i-edge"], tmp_path)


RUNTIMES = ("onnxruntime", "openvino")
ODD_NAMES = ("日本語 ä [x]*? a#b%20c&d q'\"uo\\te\nline ~", os.fsdecode(b"-latin\xe4"))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ODD_NAMES)
def test_bundles_and_images_under_odd_names(bundle, tmp_path, monkeypatch, name, runtime):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, tmp_path / name)
    Path(name + ".png").write_bytes(cv2.imencode(".png", CASES[0].image[..., ::-1])[1].tobytes())
    found = Segmenter.load(name, runtime=runtime).segment(name + ".png", CASES[0].prompt, threshold=CASES[0].threshold)
    assert len(found) == len(CASES[0].final)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a core")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_pinned_to_one_core_as_in_a_container(bundle, tmp_path, runtime):
    """It runs, and the runtime does not complain that it cannot pin its own threads."""
    cv2.imwrite(str(tmp_path / "photo.png"), CASES[0].image[..., ::-1])
    command = [sys.executable, "-m", "sam3i_edge", "segment", bundle, "photo.png", "mug", "--runtime", runtime]
    core = {max(os.sched_getaffinity(0))}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
