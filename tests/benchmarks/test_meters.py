"""Memory and energy, read from files like the system's."""

import dataclasses
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from sam3i_edge.benchmarks import machine
from sam3i_edge.benchmarks.power import Rapl, find_meter, tegra_watts


def zone(folder, name, energy, span=1000, of="package-0"):
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "name").write_text(f"{of}\n", encoding="ascii")
    (path / "energy_uj").write_text(f"{energy}\n", encoding="ascii")
    (path / "max_energy_range_uj").write_text(f"{span}\n", encoding="ascii")


def test_rapl_counts_packages_and_their_wrapping_around(tmp_path):
    zone(tmp_path, "intel-rapl:0", 900)
    zone(tmp_path, "intel-rapl:0:0", 5, of="core")  # the cores are part of the package
    zone(tmp_path, "intel-rapl:1", 7, of="psys")
    meter = Rapl(tmp_path)
    assert meter.name == "RAPL, package-0", "psys counts the package once more"
    zone(tmp_path, "intel-rapl:0", 950)
    assert meter.joules() == pytest.approx(50e-6)
    zone(tmp_path, "intel-rapl:0", 49)
    assert meter.joules() == pytest.approx(150e-6)


def test_tegrastats_input_power():
    line = "RAM 2448/7620MB CPU [5%@729] VDD_IN 4567mW/4500mW VDD_CPU_GPU_CV 702mW/702mW"
    assert tegra_watts(line) == 4.567
    assert tegra_watts("RAM 2448/7620MB") is None


def test_a_jetsons_energy_is_summed_from_what_tegrastats_prints(tmp_path, monkeypatch):
    """A script in the tool's place: two watts, ten times a second."""
    tool = tmp_path / "tegrastats"
    tool.write_text("#!/bin/sh\nwhile echo 'RAM 1/2MB VDD_IN 2000mW/2000mW'; do sleep 0.1; done\n", encoding="ascii")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    meter = find_meter("TensorRT on cuda:0")
    try:
        started = time.monotonic()
        while not meter.joules():
            time.sleep(0.01)
        time.sleep(0.5)
        least = 0.2  # watt seconds, of at least 0.4 s at 2 W on a machine that has other things to do
        assert least < meter.joules() <= 2.0 * (time.monotonic() - started + 0.2)
    finally:
        meter.close()


def test_without_a_meter_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("sam3i_edge.benchmarks.power.RAPL", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_meter("ONNX Runtime on CPUExecutionProvider") is None
    assert find_meter("ONNX Runtime on CUDAExecutionProvider") is None


def test_peak_memory_grows_with_what_is_held():
    code = (
        "from sam3i_edge.benchmarks.memory import peak_rss_mb; before = peak_rss_mb();"
        "held = b'x' * (64 << 20); print(peak_rss_mb() - before)"
    )  # in a process of its own: here, an earlier peak may hide it
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 60 < float(ran.stdout) < 100


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
def test_the_machine_is_described():
    """As others describe it; of its cores, those count that this process may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        here = machine.examine("bench")
    finally:
        os.sched_setaffinity(0, allowed)
    assert (here.name, here.cores) == ("bench", 1)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert here.memory_mb == pytest.approx(total, rel=0.01)
    assert here.versions["python"] == sys.version.split()[0]
    assert here.versions["numpy"] == np.__version__


@pytest.mark.parametrize(("busy", "note"), [(0.1, ""), (1.5, "busy with something else: 1.5 of 2 cores"), (None, "")])
def test_a_busy_machine_is_noted(busy, note):
    here = dataclasses.replace(machine.examine(), busy_cores_before=busy, cores=2)
    assert note in machine.busy_note(here)
    assert bool(machine.busy_note(here)) == bool(note)


def test_busy_cores_are_counted_between_two_looks(tmp_path, monkeypatch):
    looks = iter(["cpu 100 0 0 100 0 0 0 0 0 0", "cpu 150 0 0 250 0 0 0 0 0 0"])
    monkeypatch.setattr(machine, "_text", lambda path: next(looks))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    assert machine.busy_cores(0) == 1.0
