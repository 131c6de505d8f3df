"""Nothing leaves the device: other packages' telemetry is switched off before any of them is imported."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import cast

VARIABLES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
"""Read by ONNX Runtime when it is loaded, by huggingface_hub (which timm and open_clip load), and by many others. A
value that the user has set, such as ``ORT_DISABLE_TELEMETRY=0``, stays."""

SENDER = "openvino_telemetry"
"""OpenVINO has no such variable; where this package cannot be imported, it uses a stand-in that sends nothing."""


def switch_off() -> None:
    """Switch it off in this process and those that it starts. What was imported before has begun already."""
    for name in VARIABLES:
        if not os.environ.get(name):  # an empty one counts as not set: a container may pass it on so
            os.environ[name] = "1"
    if SENDER not in sys.modules:
        sys.modules[SENDER] = cast(ModuleType, None)  # Python's own way to say that it cannot be imported
