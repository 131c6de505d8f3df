"""The whole of it, on the recorded model: as a library, and as a user types it."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sam3i_edge.benchmarks.candidates import find_candidates
from sam3i_edge.benchmarks.html import render_html
from sam3i_edge.benchmarks.measurement import BenchmarkPlan
from sam3i_edge.benchmarks.process import Process
from sam3i_edge.benchmarks.report import read_report
from sam3i_edge.benchmarks.runner import benchmark
from sam3i_edge.benchmarks.scenarios import SCENARIOS
from sam3i_edge.benchmarks.workload import Data
from sam3i_edge.commands.benchmark import _command, add, seconds
from sam3i_edge.engine import STAGES
from sam3i_edge.errors import BenchmarkError, DataError
from tests.benchmarks.test_html import unexplained
from tests.conftest import PARITY
from tests.datasets.photo import write_photo

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_photo(tmp_path_factory.mktemp("data"), "val")


@pytest.fixture(scope="module")
def report(bundle, data):
    """Two runtimes, everything on."""
    asked = find_candidates([str(bundle)], ["openvino-fp32"])
    return benchmark(
        asked, BenchmarkPlan(rounds=4, scenario_rounds=2, cold_starts=1, data=Data(str(data)), duration_s=0.5)
    )


def test_every_run_has_everything(report):
    assert [run.bundle for run in report.runs] == ["bundle", "openvino-fp32"]
    for run in report.runs:
        assert run.frame_ms.count == len(run.frame_ms.samples) == 4
        assert set(run.stages_ms) == set(STAGES)
        assert set(run.scenarios_ms) == set(SCENARIOS)
        assert run.cold_start.whole_ms.p50 > run.cold_start.parts_ms["load"].p50 > 0
        assert run.peak_rss_mb > 50
        assert run.accuracy.images == 1
        assert len(run.pictures) == 3
        assert run.sustained.windows
    assert not report.partial


def test_ratios_are_to_the_first_baseline(report):
    frames = [(ratio.of, ratio.to) for ratio in report.ratios if ratio.what == "frame"]
    assert frames == [("bundle", "openvino-fp32")]


def test_the_runtimes_own_profiles_and_peaks(report):
    by_name = {run.bundle: run for run in report.runs}
    for name in ("bundle", "openvino-fp32"):
        run = by_name[name]
        assert 0 < len(run.layers) <= 15
        assert {layer.graph for layer in run.layers} <= {"vision", "text", "grounding"}
        assert [layer.ms for layer in run.layers] == sorted((layer.ms for layer in run.layers), reverse=True)
        assert set(run.roofline.graphs) == {"vision", "text", "grounding"}
        assert run.roofline.peak_gmacs_per_s > 1
    assert by_name["bundle"].roofline.graphs["vision"].gmacs == by_name["openvino-fp32"].roofline.graphs["vision"].gmacs


def test_accuracy_is_the_same_through_every_float_runtime(report):
    ours, reference = (run.accuracy for run in report.runs)
    assert ours.giou == pytest.approx(reference.giou, abs=0.5)
    assert (ours.reference, reference.reference) == ("openvino-fp32", "openvino-fp32")


@pytest.mark.slow
def test_pytorch_as_the_baseline(bundle, data):
    asked = find_candidates([str(bundle)], ["torch"], str(PARITY / "checkpoint.pt"))
    report = benchmark(asked, BenchmarkPlan(rounds=2, scenario_rounds=0, cold_starts=0, data=Data(str(data))))
    ours, torch = report.runs
    assert (torch.runtime, torch.baseline, torch.roofline, torch.layers) == ("torch", True, None, ())
    assert ours.accuracy.giou == pytest.approx(torch.accuracy.giou, abs=0.5)
    assert report.ratios[0].to == "torch"


@pytest.mark.slow
def test_compiled_pytorch_as_the_baseline(bundle):
    """Without data: each new kind of prompt is compiled anew, which takes long."""
    asked = find_candidates([str(bundle)], ["torch-compile"], str(PARITY / "checkpoint.pt"))
    report = benchmark(asked, BenchmarkPlan(rounds=2, scenario_rounds=0, cold_starts=0, details=False))
    compiled = report.runs[1]
    assert compiled.device.endswith(", compiled")
    assert compiled.frame_ms.count == 2


def test_a_real_page_shows_only_what_was_measured(report):
    assert unexplained(render_html(report), report) == set()


@pytest.mark.parametrize("step", ["known_text", "warming up"])
def test_what_was_measured_before_an_interruption_is_kept(bundle, step):
    def interrupt(message):
        if message.startswith(step):
            raise KeyboardInterrupt

    plan = BenchmarkPlan(rounds=2, cold_starts=0)
    if step == "warming up":  # nothing is known yet
        with pytest.raises(KeyboardInterrupt):
            benchmark(find_candidates([str(bundle)] * 2), plan, interrupt)
        return
    report = benchmark(find_candidates([str(bundle)] * 2), plan, interrupt)
    assert report.partial
    assert [run.frame_ms.count for run in report.runs] == [2, 2]
    assert report.runs[0].scenarios_ms == {}


def start(*arguments, **variables):
    command = [sys.executable, "-m", "sam3i_edge", "benchmark", *map(str, arguments)]
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_ctrl_c(bundle, tmp_path):
    running = start(bundle, "--rounds", 100_000, "-o", tmp_path / "out")
    for line in running.stderr:
        if "frames, by turns" in line:
            break
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted: the report holds what was measured until then" in out
    report = read_report(tmp_path / "out")
    assert report.partial
    assert report.runs[0].frame_ms.count > 1
    assert "Partial" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_robot_without_the_workstation_packages(bundle, tmp_path):
    """No torch, no onnx, no scipy: times all the same, and what is missing is named."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "onnx", "scipy"):
        (blocked / f"{name}.py").write_text(f"raise ModuleNotFoundError('none', name={name!r})", encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(blocked), str(ROOT), os.environ.get("PYTHONPATH"))))
    done = start(bundle, "--rounds", 2, "--cold-starts", 0, "-o", tmp_path / "out", PYTHONPATH=path)
    out, problems = done.communicate(timeout=300)
    assert done.returncode == 0, problems
    assert "bundle: no counts: Counting a graph's work needs onnx" in out
    report = read_report(tmp_path / "out")
    assert report.runs[0].frame_ms.count == 2
    assert report.runs[0].layers
    assert report.runs[0].accuracy is None


def test_a_file_in_the_current_folder_is_no_module(bundle, tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with Process(find_candidates([str(bundle)])[0], []):
        pass


def test_the_call_can_be_repeated():
    words = ["a b", "--data", "d", "--images", "i", "--scenario-rounds", "0", "--name", "me", "--skip-unavailable"]
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    assert _command(parser.parse_args(["benchmark", *words, "-o", "out"])) == shlex.join(
        ["sam3i-edge", "benchmark", *words]
    )


def test_durations():
    assert [seconds(text) for text in ("90s", "10m", "1.5h")] == [90, 600, 5400]
    for text in ("10", "m", "-5m", "10 minutes"):
        with pytest.raises(BenchmarkError, match=r"Cannot read the duration .* Write a number with s, m or h"):
            seconds(text)


def test_data_that_is_not_there(bundle, tmp_path):
    with pytest.raises(DataError):
        benchmark(find_candidates([str(bundle)]), BenchmarkPlan(data=Data(str(tmp_path / "none"))))


def test_a_plan_that_makes_no_sense():
    with pytest.raises(BenchmarkError, match="rounds is 0; it must be at least 1"):
        BenchmarkPlan(rounds=0)
