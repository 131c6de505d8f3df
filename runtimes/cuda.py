"""Memory and streams of an NVIDIA GPU, through NVIDIA's own bindings. Not yet run on hardware."""

from __future__ import annotations

from typing import Any

import numpy as np
from cuda.bindings import runtime as cudart

from sam3i_edge.errors import RuntimeUnavailableError


def call(result: tuple[Any, ...]) -> Any:
    """What a function of ``cudart`` returned beside its status. Raises RuntimeUnavailableError if it failed."""
    status, *values = result
    if status != cudart.cudaError_t.cudaSuccess:
        _, name = cudart.cudaGetErrorName(status)
        _, text = cudart.cudaGetErrorString(status)
        raise RuntimeUnavailableError(
            f"CUDA: {text.decode()} ({name.decode()}). Is there an NVIDIA GPU, and its driver? nvidia-smi shows both."
        )
    return values[0] if len(values) == 1 else tuple(values)


class GpuArray:
    """An array in the memory of a GPU; it is freed with the object."""

    def __init__(self, gpu: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.nbytes = int(np.prod(shape)) * dtype.itemsize
        self._gpu = gpu
        self.address = 0
        self.address = int(call(cudart.cudaMalloc(max(self.nbytes, 1))))

    def __del__(self) -> None:
        if self.address:
            cudart.cudaFree(self.address)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        call(cudart.cudaSetDevice(self._gpu))
        values = np.empty(self.shape, self.dtype)
        to_host = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpy(values.ctypes.data, self.address, self.nbytes, to_host))
        return values if dtype is None else values.astype(dtype)


class Stream:
    """A queue of work on a GPU."""

    def __init__(self) -> None:
        self._handle = call(cudart.cudaStreamCreate())
        self.address = int(self._handle)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            cudart.cudaStreamDestroy(self._handle)

    def upload(self, values: np.ndarray, to: GpuArray) -> None:
        """Begin to copy a contiguous array to the GPU; it must live until ``wait``."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cudart.cudaMemcpyAsync(to.address, values.ctypes.data, values.nbytes, kind, self._handle))

    def download(self, values: np.ndarray, source: GpuArray) -> None:
        """Begin to fill a contiguous array, which may be smaller than its source, from the GPU."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpyAsync(values.ctypes.data, source.address, values.nbytes, kind, self._handle))

    def wait(self) -> None:
        """Until everything in the queue is done."""
        call(cudart.cudaStreamSynchronize(self._handle))

    def mark(self) -> Event:
        """A mark in the queue, which knows when the GPU came by."""
        event = Event()
        call(cudart.cudaEventRecord(event.handle, self._handle))
        return event


class Event:
    """A mark of ``Stream.mark``."""

    def __init__(self) -> None:
        self.handle = call(cudart.cudaEventCreate())

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            cudart.cudaEventDestroy(self.handle)

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds on the GPU between two marks of one stream that it has passed."""
        return float(call(cudart.cudaEventElapsedTime(earlier.handle, self.handle)))


def use(gpu: int) -> None:
    """Make a GPU the one that this thread talks to; CUDA keeps that per thread."""
    call(cudart.cudaSetDevice(gpu))


def gpus() -> dict[str, str]:
    """The GPUs by our names, ``cuda:0``, with their own names and compute capability. Raises as ``call``."""
    found = {}
    for i in range(int(call(cudart.cudaGetDeviceCount()))):
        name = call(cudart.cudaGetDeviceProperties(i)).name.decode()
        found[f"cuda:{i}"] = f"{name} (compute capability {compute_capability(i)})"
    return found


def compute_capability(gpu: int) -> str:
    """Of a GPU, such as ``8.6``. Raises as ``call``."""
    names = cudart.cudaDeviceAttr
    asked = (names.cudaDevAttrComputeCapabilityMajor, names.cudaDevAttrComputeCapabilityMinor)
    return ".".join(str(call(cudart.cudaDeviceGetAttribute(attribute, gpu))) for attribute in asked)
