"""A stand-in for TensorRT and CUDA, so that the code around them runs where there is no GPU.

"GPU" memory is the processor's, filled with rubbish and fenced; an "engine" is the ONNX file, run by ONNX Runtime. It
takes the calls in the shapes and order that the documentation asks for. Of TensorRT itself it says nothing.
"""

from __future__ import annotations

import ctypes
import json
import time
from types import SimpleNamespace

import numpy as np
import onnxruntime

from sam3i_edge.runtimes.nvidia_build import Built, GraphRefusedError
from sam3i_edge.runtimes.onnxruntime import NUMPY_TYPES

SUCCESS, OUT_OF_MEMORY = 0, 2


class Cuda:
    """``cuda.bindings.runtime``: a function gives a tuple, whose first is the status."""

    cudaError_t = SimpleNamespace(cudaSuccess=SUCCESS)  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="up", cudaMemcpyDeviceToHost="down")  # noqa: N815
    cudaDeviceAttr = SimpleNamespace(  # noqa: N815
        cudaDevAttrComputeCapabilityMajor=8, cudaDevAttrComputeCapabilityMinor=7
    )

    def __init__(self):
        self.memory = {}
        self.free_bytes = 1 << 40
        self.copied = {"up": 0, "down": 0}
        self.cudaMemcpyAsync = lambda *arguments: self.cudaMemcpy(*arguments[:4])
        self.cudaGetErrorName = lambda status: (SUCCESS, b"cudaErrorMemoryAllocation")
        self.cudaGetErrorString = lambda status: (SUCCESS, b"out of memory")
        self.cudaGetDeviceCount = lambda: (SUCCESS, 1)
        self.cudaGetDeviceProperties = lambda gpu: (SUCCESS, SimpleNamespace(name=b"Stand-in"))
        self.cudaDeviceGetAttribute = lambda attribute, gpu: (SUCCESS, attribute)
        self.cudaStreamCreate = lambda: (SUCCESS, 1)
        self.cudaEventCreate = lambda: (SUCCESS, {})
        self.cudaEventRecord = lambda event, stream: (event.update(at=time.perf_counter()), (SUCCESS,))[1]
        self.cudaEventElapsedTime = lambda start, end: (SUCCESS, (end["at"] - start["at"]) * 1e3)
        self.cudaEventDestroy = lambda event: (SUCCESS,)
        self.cudaSetDevice = self.cudaStreamSynchronize = self.cudaStreamDestroy = lambda _: (SUCCESS,)

    def cudaMalloc(self, size):  # noqa: N802
        if size > self.free_bytes:
            return OUT_OF_MEMORY, None
        block = ctypes.create_string_buffer(b"\xab" * size, size)
        self.memory[ctypes.addressof(block)] = block
        return SUCCESS, ctypes.addressof(block)

    def cudaFree(self, address):  # noqa: N802
        del self.memory[address]
        return (SUCCESS,)

    def cudaMemcpy(self, to, source, size, kind):  # noqa: N802
        assert size <= len(self.memory[to if kind == "up" else source])
        ctypes.memmove(to, source, size)
        self.copied[kind] += size
        return (SUCCESS,)


class TensorRt:
    """The module ``tensorrt``."""

    __version__ = "10.3.0"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = range(3)

    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

    def __init__(self, cuda):
        self.cuda = cuda
        self.builds = []
        self.nptype = lambda dtype: dtype
        self.Runtime = lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda content: self.deserialize(content, logger)
        )

    def build(self, product, graph, options, log, timing=b"", content=None):
        """As ``nvidia_build.build``, which test_tensorrt_rtx and test_nvidia_builder test on NVIDIA's own library."""
        try:
            inputs = onnxruntime.InferenceSession(content or str(graph)).get_inputs()
        except Exception as error:
            raise GraphRefusedError(f"{product} cannot read {graph}: {error}") from error
        self.builds.append(graph)
        most = {x.name: [options.max_prompts if side == -1 else side for side in _shape(x)] for x in inputs}
        about = {"version": self.__version__, "most": most}
        return Built(json.dumps(about).encode() + b"\n" + graph.read_bytes(), timing + b"t")

    def deserialize(self, content, logger):
        head, _, graph = content.partition(b"\n")
        about = json.loads(head)
        if about["version"] != self.__version__:
            logger.log(logger.ERROR, f"the engine is of version {about['version']}")
            return None
        return _Engine(self, graph, about["most"])


class _Engine:
    def __init__(self, tensorrt, graph, most):
        self.cuda = tensorrt.cuda
        self.most = most
        self.session = onnxruntime.InferenceSession(graph)
        self.inputs = {x.name: x for x in self.session.get_inputs()}
        self.ports = {**self.inputs, **{x.name: x for x in self.session.get_outputs()}}
        self.num_io_tensors = len(self.ports)
        self.get_tensor_name = lambda i: list(self.ports)[i]
        self.get_tensor_dtype = lambda name: NUMPY_TYPES[self.ports[name].type]
        self.get_tensor_shape = lambda name: _shape(self.ports[name])
        self.get_tensor_mode = lambda name: "in" if name in self.inputs else "out"
        self.create_execution_context = lambda: _Context(self)


class _Context:
    def __init__(self, engine):
        self._engine = engine
        self._shapes = {}
        self._addresses = {}
        self.set_tensor_address = self._addresses.__setitem__

    def set_input_shape(self, name, shape):
        most = self._engine.most.get(name, shape)
        assert all(side <= limit for side, limit in zip(shape, most, strict=True)), "beyond the profile"
        self._shapes[name] = shape

    def execute_async_v3(self, stream):
        values = {
            name: self._at(name, self._shapes[name], self._engine.get_tensor_dtype(name))
            for name in self._engine.inputs
        }
        outputs = self._engine.session.run(None, values)
        for output, value in zip(self._engine.session.get_outputs(), outputs, strict=True):
            self._at(output.name, value.shape, value.dtype)[...] = value
        return True

    def _at(self, name, shape, dtype):
        address, size = self._addresses[name], int(np.prod(shape)) * np.dtype(dtype).itemsize
        block = self._engine.cuda.memory[address]
        assert size <= len(block), f"{name} is larger than its memory"
        return np.frombuffer(block, dtype, int(np.prod(shape))).reshape(shape)


def _shape(argument):
    return tuple(side if isinstance(side, int) else -1 for side in argument.shape)
