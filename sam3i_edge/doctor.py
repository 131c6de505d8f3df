"""What this machine has for running bundles, what each target needs, and what is missing."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sam3i_edge.cache import cache_root
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.runtimes import RUNTIMES, absent_devices, find_runtime, is_nvidia, whole
from sam3i_edge.targets import TARGETS, Target, get_target
from sam3i_edge.version import __version__

DEVICES = {
    ("openvino", "GPU"): "apt install intel-opencl-icd",
    ("openvino", "NPU"): "install the packages of github.com/intel/linux-npu-driver/releases: apt install ./*npu*.deb",
    ("onnxruntime", "cuda"): "pip install onnxruntime-gpu",
    ("onnxruntime", "openvino"): "pip install onnxruntime-openvino",
}
"""What brings a runtime's device, beside the hardware."""

NVIDIA_DRIVER = (
    "NVIDIA's driver is missing. Install it: ubuntu-drivers install, or your system's package of it; a Jetson's is "
    "part of JetPack"
)

DRIVERS = {
    "nvidia": ("/proc/driver/nvidia/version", "/etc/nv_tegra_release"),
    "opencl": ("/etc/OpenCL/vendors/*.icd",),
    "npu": ("/dev/accel/accel*",),
}
"""Files by which Linux shows that a driver is there."""


@dataclass(frozen=True)
class RuntimeReport:
    """A runtime as it is found here."""

    name: str
    version: str
    """Empty where it is not installed."""
    devices: dict[str, str]
    problem: str
    """Why it cannot be used, and what to do; empty if it can."""


@dataclass(frozen=True)
class TargetReport:
    """Whether bundles for a target run here."""

    name: str
    hardware: str
    problem: str
    """What is missing, and what to do; empty if nothing is."""


@dataclass(frozen=True)
class Diagnosis:
    """All that ``doctor`` finds."""

    package: str
    """Its version."""
    cache: str
    """The folder in which it keeps what it made for this device; empty if there is none."""
    machine: dict[str, str]
    drivers: dict[str, str]
    """Those of ``DRIVERS``, and what tells of them: empty where one is missing. On Linux only."""
    runtimes: tuple[RuntimeReport, ...]
    targets: tuple[TargetReport, ...]


def examine() -> Diagnosis:
    """Look at this machine. Nothing is installed or changed."""
    machine = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "python": f"Python {platform.python_version()}",
    }
    runtimes = {name: _runtime(name) for name in RUNTIMES}
    drivers = _drivers()
    targets = tuple(_target(get_target(name), runtimes, drivers) for name in TARGETS)
    return Diagnosis(__version__, str(cache_root() or ""), machine, drivers, tuple(runtimes.values()), targets)


def check_ready(name_or_file: str) -> None:
    """Raises RuntimeUnavailableError, saying what is missing, if bundles for a target do not run here."""
    target = get_target(name_or_file)
    found = _target(target, {target.runtime: _runtime(target.runtime)}, _drivers())
    if found.problem:
        raise RuntimeUnavailableError(f"The target {target.name} is not ready here: {found.problem}")


def _drivers() -> dict[str, str]:
    return find_drivers(Path("/")) if platform.system() == "Linux" else {}


def find_drivers(root: Path) -> dict[str, str]:
    """Look for the files of ``DRIVERS`` in a file system. NVIDIA's give a line, others names."""
    found = {}
    for name, patterns in DRIVERS.items():
        paths = [path for pattern in patterns for path in sorted(root.glob(pattern.lstrip("/")))]
        about = (
            path.read_text(errors="replace").partition("\n")[0] if name == "nvidia" else path.name for path in paths
        )
        found[name] = ", ".join(about)
    return found


def _runtime(name: str) -> RuntimeReport:
    found = ""
    try:
        module = find_runtime(name)
        found = module.version()
        with whole(name):
            return RuntimeReport(name, found, module.devices(), "")
    except RuntimeUnavailableError as error:  # not installed, broken, or for example without a driver
        return RuntimeReport(name, found, {}, str(error))


def _target(target: Target, runtimes: dict[str, RuntimeReport], drivers: dict[str, str]) -> TargetReport:
    if not target.fits_processor:
        wanted = " or ".join(target.machine)
        return TargetReport(target.name, target.hardware, f"it is for {wanted}; this processor is {platform.machine()}")
    problems = _missing(target, runtimes[target.runtime], drivers)
    return TargetReport(target.name, target.hardware, "; ".join(problems))


def _missing(target: Target, runtime: RuntimeReport, drivers: dict[str, str]) -> Iterator[str]:
    """What the target lacks, each with the command that brings it, so that one look is enough."""
    if is_nvidia(target.runtime) and drivers.get("nvidia") == "":
        yield NVIDIA_DRIVER
    if runtime.problem:
        yield runtime.problem
        return
    for device in absent_devices(target.runtime, target.device, runtime.devices):
        found = ", ".join(runtime.devices) or "none"
        how = DEVICES.get((target.runtime, device), "see docs/runtimes.md")
        yield f"{target.runtime} finds no device {device!r} here (only: {found}). If there is one: {how}"
