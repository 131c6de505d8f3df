"""What a bundle may set of its runtime: an allow-list for each, so that none can name a folder or a library."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sam3i_edge.errors import ConfigError, unknown_name

Words = tuple[str, ...]
Range = tuple[int, int]

NVIDIA: dict[str, Words | Range] = {"builder_optimization_level": (0, 5), "workspace_mb": (1, 1 << 20)}
YES_NO = ("YES", "NO")

SETTINGS: dict[str, dict[str, Words | Range]] = {
    "onnxruntime": {
        "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
        "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
        "cudnn_conv_use_max_workspace": (0, 1),
        "gpu_mem_limit": (1, 1 << 48),
        "use_tf32": (0, 1),
    },
    "openvino": {
        "ENABLE_CPU_PINNING": YES_NO,
        "ENABLE_HYPER_THREADING": YES_NO,
        "MODEL_PRIORITY": ("LOW", "MEDIUM", "HIGH"),
        "NPU_TURBO": YES_NO,
        "NUM_STREAMS": (1, 1024),
        "PERFORMANCE_HINT": ("LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT"),
        "PERFORMANCE_HINT_NUM_REQUESTS": (1, 1024),
        "SCHEDULING_CORE_TYPE": ("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
    },
    "tensorrt": NVIDIA,
    "tensorrt-rtx": NVIDIA,
}
"""By runtime and name: the words that are allowed, or the least and the greatest whole number."""

MOST_THREADS = 1024
"""Of a runtime: thousands of them take all of a device's memory, or for ever to start."""


def check_settings(runtime: str, settings: Mapping[str, str]) -> None:
    """Refuse what is not in ``SETTINGS``; an unknown runtime's are nobody's, and left alone. Raises ConfigError."""
    if runtime not in SETTINGS:
        return
    known = SETTINGS[runtime]
    for name, value in settings.items():
        if name not in known:
            raise ConfigError(unknown_name(f"setting of {runtime}", name, known))
        _check(f"settings.{name}", value, known[name])


def _check(name: str, value: str, allowed: Words | Range) -> None:
    if isinstance(allowed[0], str):
        if value not in allowed:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}.")
        return
    least, greatest = allowed
    if not re.fullmatch(r"[0-9]{1,15}", value) or not int(least) <= int(value) <= int(greatest):
        raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least} to {greatest}.")
