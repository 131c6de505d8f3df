"""What a measurement depends on beside the bundle: processor, governor, power mode, load, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

from sam3i_edge.benchmarks.report import Machine

CPU = Path("/sys/devices/system/cpu")
THERMAL = Path("/sys/class/thermal")
UNKNOWN = "not reported"
PACKAGES = (
    *("sam3i-edge", "numpy", "opencv-python-headless", "pillow"),
    *("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu12-libs", "torch"),
)
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "KMP_AFFINITY")
STAT = Path("/proc/stat")
BUSY = 0.1
"""A larger share of the cores than this at work beforehand: the machine was doing something else."""


def examine(name: str | None = None) -> Machine:
    """Look at this machine. ``name`` is what reports call it; None: its processor."""
    found = processor()
    return Machine(
        name=name or found,
        system=f"{platform.system()} {platform.release()}",
        processor=found,
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mb=_memory_mb(),
        governor=_text(CPU / "cpu0/cpufreq/scaling_governor") or UNKNOWN,
        power_mode=_power_mode(),
        clock_mhz=clock_mhz(),
        busy_cores_before=busy_cores(),
        load_before=load(),
        load_after=None,
        accelerators=_gpus(),
        versions={"python": platform.python_version()} | _versions(),
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def load() -> float | None:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def clock_mhz() -> float | None:
    """Mean clock of the cores now, as far as the system tells."""
    frequencies = [
        float(text) / 1e3 for path in CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq") if (text := _text(path))
    ]
    if not frequencies:
        frequencies = [float(value) for value in re.findall(r"cpu MHz\s*: ([\d.]+)", _text(Path("/proc/cpuinfo")))]
    return round(sum(frequencies) / len(frequencies), 1) if frequencies else None


def temperature_c() -> float | None:
    """The hottest thermal zone."""
    zones = [float(text) / 1e3 for path in THERMAL.glob("thermal_zone*/temp") if (text := _text(path))]
    return max(zones, default=None)


def throttle_count() -> int | None:
    """How often the cores have throttled since they started; None where they do not say."""
    counts = [int(text) for path in CPU.glob("cpu[0-9]*/thermal_throttle/core_throttle_count") if (text := _text(path))]
    return sum(counts) if counts else None


def busy_cores(seconds: float = 1.0) -> float | None:
    """How many cores are at work, watched for that long; None where the system does not count."""
    before = _jiffies()
    time.sleep(seconds)
    after = _jiffies()
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]) * (os.cpu_count() or 1), 2)


def _jiffies() -> tuple[int, int] | None:
    """Busy time and all time of all cores so far."""
    fields = _text(STAT).partition("\n")[0].split()[1:9]
    if len(fields) < 8:
        return None
    values = [int(field) for field in fields]
    idle = values[3] + values[4]  # idle, and waiting for a disk
    return sum(values) - idle, sum(values)


def busy_note(machine: Machine) -> str:
    """A warning if something else was running before; empty if not."""
    busy = machine.busy_cores_before
    if busy is None or busy <= BUSY * machine.cores:
        return ""
    return (
        f"{machine.name} was busy with something else: {busy} of {machine.cores} cores in the second before the "
        f"measurement. Times are too long, and runtimes suffer from company in different degrees: trust ratios between "
        f"bundles of one runtime only, and measure again when nothing else runs."
    )


def processor() -> str:
    """The board's or the processor's name."""
    info = _text(Path("/proc/cpuinfo"))
    found = re.search(r"model name\s*: (.+)", info) or re.search(r"Model\s*: (.+)", info)
    model = _text(Path("/proc/device-tree/model")).strip("\0")  # a board's name says more than its cores'
    return model or (found[1].strip() if found else platform.processor() or platform.machine())


def _memory_mb() -> float | None:
    found = re.search(r"MemTotal:\s*(\d+) kB", _text(Path("/proc/meminfo")))
    return round(int(found[1]) / 1024, 1) if found else None


def _power_mode() -> str:
    if shutil.which("nvpmodel"):
        lines = _output("nvpmodel", "-q").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if "Power Mode" in line), UNKNOWN)
    return _text(Path("/sys/firmware/acpi/platform_profile")) or UNKNOWN


def _gpus() -> tuple[str, ...]:
    if not shutil.which("nvidia-smi"):
        return ()
    query = _output("nvidia-smi", "--query-gpu=name,driver_version,power.limit,clocks.max.sm", "--format=csv,noheader")
    return tuple(line.strip() for line in query.splitlines() if line.strip())


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
