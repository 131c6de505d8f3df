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

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    BuilderFlag = SimpleNamespace(TF32=7)
    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

    def __init__(self, cuda):
        self.cuda = cuda
        self.builds = []
        self.nptype = lambda dtype: dtype
        self.OnnxParser = _Parser
        self.Builder = lambda logger: _Builder(self)
        self.Runtime = lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda content: self.deserialize(content, logger)
        )

    def deserialize(self, content, logger):
        head, _, graph = content.partition(b"\n")
        about = json.loads(head)
        if about["version"] != self.__version__:
            logger.log(logger.ERROR, f"the engine is of version {about['version']}")
            return None
        return _Engine(self, graph, about["most"])


class _Network:
    def __init__(self, flags):
        self.flags = flags
        self.inputs = []
        self.get_input = lambda i: self.inputs[i]

    @property
    def num_inputs(self):
        return len(self.inputs)


class _Parser:
    def __init__(self, network, logger):
        self._network = network
        self.num_errors = 0

    def parse_from_file(self, path):
        try:
            session = onnxruntime.InferenceSession(path)
        except Exception as error:
            self.num_errors, self._problem = 1, str(error)
            return False
        self._network.file = path
        self._network.inputs = [SimpleNamespace(name=x.name, shape=_shape(x)) for x in session.get_inputs()]
        return True

    def get_error(self, _):
        return SimpleNamespace(desc=lambda: self._problem, node_name=lambda: "", node_operator=lambda: "")


class _Builder:
    def __init__(self, tensorrt):
        self._tensorrt = tensorrt

    def create_network(self, flags):
        return _Network(flags)

    def create_builder_config(self):
        config = SimpleNamespace(profiles=[], cleared=[], timing=None)
        config.set_memory_pool_limit = lambda pool, size: None
        config.clear_flag = config.cleared.append
        config.add_optimization_profile = config.profiles.append
        config.create_timing_cache = lambda content: SimpleNamespace(serialize=lambda: content + b"t")
        config.set_timing_cache = lambda timing, _: setattr(config, "timing", timing)
        config.get_timing_cache = lambda: config.timing
        return config

    def create_optimization_profile(self):
        profile = SimpleNamespace(most={})
        profile.set_shape = lambda name, least, best, most: profile.most.update({name: most})
        return profile

    def build_serialized_network(self, network, config):
        free = [port for port in network.inputs if -1 in port.shape]
        assert bool(free) == bool(config.profiles), "free shapes need a profile, fixed ones none"
        self._tensorrt.builds.append(SimpleNamespace(flags=network.flags, cleared=config.cleared))
        most = config.profiles[0].most if config.profiles else {}
        with open(network.file, "rb") as graph:  # noqa: PTH123
            about = {"version": self._tensorrt.__version__, "most": most}
            return json.dumps(about).encode() + b"\n" + graph.read()


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
