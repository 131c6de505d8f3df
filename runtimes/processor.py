"""What this machine's processor does to integers."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""Linux's names of the instructions that add products of int8 in 32 bits."""


@cache
def int8_saturates(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether integer kernels add products of int8 in 16 bits, which overflow: on x86 without VNNI.

    Where only Linux could tell, the answer is no.
    """
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.is_file():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    return bool(flags) and VNNI.isdisjoint(flags.split())
