"""Meters: energy of the whole device, where it has one. A frame's energy is the difference of two readings.

Intel's and AMD's RAPL counts for the processor package, NVML for a GPU, ``tegrastats`` samples a Jetson's input power.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

RAPL = Path("/sys/class/powercap")
TEGRA_MS = 100
NOT_MEASURED = "not measured"
TEGRA_INPUT = re.compile(r"(?:VDD_IN|POM_5V_IN|VIN_SYS_5V0|VIN) (\d+)(?:mW)?/")


class Rapl:
    """The processor packages' energy counters, which wrap around."""

    def __init__(self, folder: Path) -> None:
        zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if zone.name.count(":") == 1]
        names = {zone: (zone / "name").read_text(encoding="ascii").strip() for zone in zones}
        # Laptops have the platform beside them ("psys"), of which the package is part.
        self._zones = [zone for zone in zones if names[zone].startswith("package")]
        self.name = "RAPL, " + " and ".join(names[zone] for zone in self._zones)
        self._ranges = [int((zone / "max_energy_range_uj").read_text(encoding="ascii")) for zone in self._zones]
        self._last = self._read()
        self._total = 0

    def joules(self) -> float:
        """Since it was opened. It must be read more often than the counter wraps, which takes minutes."""
        now = self._read()
        for new, old, span in zip(now, self._last, self._ranges, strict=True):
            self._total += (new - old) % (span + 1)
        self._last = now
        return self._total / 1e6

    def close(self) -> None:
        """Nothing to stop."""

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text(encoding="ascii")) for zone in self._zones]


class Nvml:
    """The first NVIDIA GPU's energy counter, in NVIDIA's own library. Not yet run on hardware."""

    name = "NVML, GPU 0"

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = ctypes.c_void_p()
        self._check(self._library.nvmlInit_v2())
        self._check(self._library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._device)))

    def joules(self) -> float:
        """Since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        self._check(self._library.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(millijoules)))
        return millijoules.value / 1e3

    def used_mb(self) -> float:
        """Memory in use on the GPU, by all processes."""
        sizes = (ctypes.c_ulonglong * 3)()  # total, free, used
        self._check(self._library.nvmlDeviceGetMemoryInfo(self._device, ctypes.byref(sizes)))
        return sizes[2] / (1 << 20)

    def close(self) -> None:
        """Let go of the library."""
        self._library.nvmlShutdown()

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise OSError(status, "NVML does not answer")


class Tegra:
    """A Jetson's input power, sampled by ``tegrastats`` and summed up. Not yet run on hardware."""

    name = "tegrastats, input power"

    def __init__(self) -> None:
        command = ["tegrastats", "--interval", str(TEGRA_MS)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._joules = 0.0
        threading.Thread(target=self._follow, daemon=True).start()

    def joules(self) -> float:
        """Since it was opened, up to the last sample."""
        return self._joules

    def close(self) -> None:
        """End ``tegrastats``."""
        self._process.terminate()
        self._process.wait()

    def _follow(self) -> None:
        last = time.monotonic()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now = time.monotonic()
            self._joules += (tegra_watts(line) or 0.0) * (now - last)
            last = now


def tegra_watts(line: str) -> float | None:
    """The input power in a line of ``tegrastats``; None if it does not tell."""
    found = TEGRA_INPUT.search(line)
    return int(found[1]) / 1e3 if found else None


Meter = Rapl | Nvml | Tegra
"""Counts energy: of the ``joules`` since some moment in the past only differences mean something."""


def find_meter(device: str) -> Meter | None:
    """The meter that counts what ``device``, as a session names it, uses; None if there is none that can be read."""
    on_gpu = any(word in device.lower() for word in ("cuda", "tensorrt"))
    if shutil.which("tegrastats"):
        return Tegra()
    try:
        if on_gpu:
            return Nvml()
        meter = Rapl(RAPL)
        return meter if meter._zones else None
    except (OSError, ValueError, AttributeError):
        return None


def gpu_used_mb() -> float | None:
    """Memory in use on the first NVIDIA GPU; None where there is none."""
    try:
        nvml = Nvml()
    except (OSError, AttributeError):
        return None
    try:
        return nvml.used_mb()
    finally:
        nvml.close()
