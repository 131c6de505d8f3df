"""What the processor that runs the tests can compute in."""

import openvino
import pytest

HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16, and OpenVINO does not emulate it")
