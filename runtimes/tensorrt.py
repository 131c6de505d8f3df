"""TensorRT 10 and 11, on NVIDIA GPUs. Not yet run on hardware."""

from sam3i_edge.runtimes import missing

try:
    from sam3i_edge.runtimes.nvidia import Nvidia
    from sam3i_edge.runtimes.nvidia_build import TENSORRT

    _runtime = Nvidia(TENSORRT)
except Exception as error:  # what a broken package raises may be anything
    raise missing("tensorrt", error) from error

open_session, devices, version = _runtime.open_session, _runtime.devices, _runtime.version
