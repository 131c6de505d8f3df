"""The script for a machine with a GPU, as far as it goes without one."""

import json
import re
import subprocess
import sys
import time

import pytest

from sam3i_edge.benchmarks.studies import gpu_session
from sam3i_edge.benchmarks.studies.gpu_session import (
    DONE,
    FAILED,
    TIMED_OUT,
    GpuSession,
    Outcome,
    Step,
    all_steps,
    report,
    run_step,
)
from tests.runtimes.test_tensorrt_rtx import without_gpu

COMMAND = [sys.executable, "-m", "sam3i_edge.benchmarks.studies.gpu_session"]


def session(folder, *names):
    only = [word for name in names for word in ("--only", name)]
    done = subprocess.run([*COMMAND, folder, *only], capture_output=True, text=True, check=False)
    outcomes = {one["name"]: one["result"] for one in json.loads((folder / "outcomes.json").read_text())}
    return done.returncode, outcomes


@without_gpu
def test_steps_fail_alone(tmp_path):
    """Each fails here for its own reason, which its log tells, and the next one runs."""
    status, outcomes = session(tmp_path, "machine", "verify-fp32", "loads", "gpu-times-fp16", "benchmark-demo")
    assert status == 1
    assert outcomes == dict.fromkeys(["machine", "verify-fp32", "loads", "gpu-times-fp16", "benchmark-demo"], FAILED)
    assert "driver" in (tmp_path / "logs/machine.log").read_text()
    assert "fp32 does not exist" in (tmp_path / "logs/verify-fp32.log").read_text()
    assert "| machine | FAILED |" in (tmp_path / "report.md").read_text()


@without_gpu
def test_without_a_gpu_the_rest_is_left_out(tmp_path):
    done = subprocess.run([*COMMAND, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"machine: FAILED, .* s: CUDA: .*driver.*logs/machine\.log\)", done.stderr)
    assert "There is no GPU here that can be used" in done.stderr
    assert len(json.loads((tmp_path / "outcomes.json").read_text())) == 1


@pytest.mark.slow
@without_gpu
def test_what_is_prepared_is_not_made_again_and_needs_a_gpu_from_there(tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs NVIDIA's TensorRT-RTX: pip install '.[rtx]' (x86-64)")
    assert session(tmp_path, "export-fp32") == (0, {"export-fp32": DONE})
    assert any((tmp_path / "fp32/engines").iterdir())
    for step in ("verify-fp32", "gpu-times-fp32"):
        assert session(tmp_path, step)[1][step] == FAILED
        assert "driver" in (tmp_path / f"logs/{step}.log").read_text()  # a bundle that is right, and no GPU


def test_preparation_leaves_out_what_needs_a_gpu():
    prepared = [step.name for step in all_steps() if not step.needs_gpu]
    assert all(name.startswith("export-") for name in prepared)
    assert len(prepared) == len(gpu_session.bundle_names()) + len(gpu_session.PRECISIONS)


def test_an_unknown_step_is_named(tmp_path):
    done = subprocess.run([*COMMAND, tmp_path, "--only", "verfy"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no step 'verfy'; there are: machine, export-fp32, " in done.stderr


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    hang = f"import subprocess, sys; subprocess.run(['sleep', '60']); # {tmp_path}"
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", hang], **options))
    start = time.monotonic()
    assert run_step(Step("hangs", lambda session: None, limit_s=1), GpuSession(tmp_path, "rtx")).result == TIMED_OUT
    assert time.monotonic() - start < 20


def test_the_report_shows_verdicts_and_times(tmp_path):
    check = {"name": "vision/fine", "difference": {"max_abs": 0.5, "sqnr_db": 3.0}, "passed": False}
    verdict = {"device": "TensorRT-RTX on X", "passed": False, "problem": "first at vision/fine", "checks": [check]}
    (tmp_path / "verify-fp16-fused.json").write_text(json.dumps(verdict))
    (tmp_path / "gpu-times-fp16.json").write_text(json.dumps({"vision": {"median_ms": 1.5}}))
    text = report([Outcome("verify-fp16-fused", FAILED, 2.0, "logs/verify-fp16-fused.log")], tmp_path)
    assert "| fp16-fused | TensorRT-RTX on X | first at vision/fine | vision/fine | 3.0 dB |" in text
    assert "fp16 on the GPU, medians by CUDA events: vision 1.500 ms" in text
