"""What this machine has for running bundles, what each target needs, and what is missing."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass

from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.runtimes import RUNTIMES, find_runtime
from sam3i_edge.targets import TARGETS, Target, get_target

DRIVERS = {
    "onnxruntime": "other devices come with other builds, such as onnxruntime-gpu",
    "openvino": "graphics need intel-opencl-icd (apt), an NPU Intel's linux-npu-driver",
    "tensorrt": "it needs NVIDIA's driver; nvidia-smi shows whether it works",
}
"""What a runtime's device may lack beside the runtime."""


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
class Report:
    """All that ``doctor`` finds."""

    machine: dict[str, str]
    runtimes: tuple[RuntimeReport, ...]
    targets: tuple[TargetReport, ...]


def examine() -> Report:
    """Look at this machine. Nothing is installed or changed."""
    machine = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
    runtimes = {name: _runtime(name) for name in RUNTIMES}
    targets = tuple(_target(get_target(name), runtimes) for name in TARGETS)
    return Report(machine, tuple(runtimes.values()), targets)


def _runtime(name: str) -> RuntimeReport:
    try:
        module = find_runtime(name)
    except RuntimeUnavailableError as error:
        return RuntimeReport(name, "", {}, str(error))
    try:
        return RuntimeReport(name, module.version(), module.devices(), "")
    except RuntimeUnavailableError as error:  # installed, but for example without a driver
        return RuntimeReport(name, module.version(), {}, str(error))


def _target(target: Target, runtimes: dict[str, RuntimeReport]) -> TargetReport:
    runtime = runtimes[target.runtime]
    problem = runtime.problem or next(_mismatches(target, runtime), "")
    return TargetReport(target.name, target.hardware, problem)


def _mismatches(target: Target, runtime: RuntimeReport) -> Iterator[str]:
    if not any(target.device in (known, known.partition(".")[0]) for known in runtime.devices):
        found = ", ".join(runtime.devices) or "none"
        yield f"{target.runtime} finds no device {target.device!r} here (it finds: {found}): {DRIVERS[target.runtime]}"
    if target.machine and platform.machine() not in target.machine:
        yield f"it is for {' or '.join(target.machine)}; this processor is {platform.machine()}"
