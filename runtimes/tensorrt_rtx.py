"""TensorRT-RTX, on GeForce RTX and RTX PRO GPUs. Not yet run on hardware; its parser and builder run without one."""

from sam3i_edge.runtimes import missing

try:
    from sam3i_edge.runtimes.nvidia import Nvidia
    from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX

    _runtime = Nvidia(TENSORRT_RTX)
except Exception as error:  # what a broken package raises may be anything
    raise missing("tensorrt-rtx", error) from error

open_session, devices, version = _runtime.open_session, _runtime.devices, _runtime.version
