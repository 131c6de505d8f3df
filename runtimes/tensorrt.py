"""TensorRT 10 and 11, on NVIDIA GPUs. Not yet run on hardware.

Written against the documented API. Networks are strongly typed: a graph's types are the engine's, in 10 by a flag and
in 11 always. An engine is built on the first load, on the device, and kept.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.errors import BundleError, RuntimeUnavailableError, unknown_name
from sam3i_edge.runtimes import Port, SessionOptions, Tensor, check_inputs, cuda, missing
from sam3i_edge.runtimes.engines import EngineCache, EngineKey, graph_sha256

try:
    import tensorrt
except ImportError as error:
    raise missing("tensorrt", error) from error

logger = logging.getLogger("sam3i_edge")

OLDEST = 10


class _Logger(tensorrt.ILogger):  # type: ignore[misc]  # the package has no types
    """Keeps TensorRT's errors for our messages, which it otherwise only prints."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        if severity in (self.INTERNAL_ERROR, self.ERROR):
            self.errors.append(message)

    def take(self) -> str:
        """What went wrong since the last time."""
        text, self.errors = "; ".join(self.errors), []
        return text or "TensorRT gives no reason"


class _Context:
    """An execution context with its stream and its buffers; one call at a time."""

    def __init__(self, session: TensorRtSession) -> None:
        self._session = session
        self._buffers: dict[str, cuda.GpuArray] = {}
        self.stream = cuda.Stream()
        self.context = session.engine.create_execution_context()
        if self.context is None:
            raise RuntimeUnavailableError(
                f"TensorRT cannot run {session.graph}: {_log().take()}. Often the GPU's memory is full."
            )

    def buffer(self, name: str) -> cuda.GpuArray:
        """GPU memory for an input or output that goes through the host, enough for the fullest call."""
        if name not in self._buffers:
            port = (self._session.inputs | self._session.outputs)[name]
            shape = port.sized(self._session.max_prompts)
            self._buffers[name] = cuda.GpuArray(self._session.gpu, shape, port.dtype)
        return self._buffers[name]


class TensorRtSession:
    """An engine, with as many execution contexts as there are calls at the same time."""

    def __init__(self, engine: Any, graph: Path, gpu: int, options: SessionOptions) -> None:
        self.engine = engine
        self.graph = graph
        self.gpu = gpu
        self.max_prompts = options.max_prompts
        self.inputs, self.outputs = _ports(engine, is_input=True), _ports(engine, is_input=False)
        self.resident = options.resident
        self._idle: queue.SimpleQueue[_Context] = queue.SimpleQueue()
        self.device = f"TensorRT {version()} on {devices()[f'cuda:{gpu}']}"

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As ``Session.run``. Resident outputs come as ``GpuArray``, and go into another session without a copy."""
        rows = check_inputs(self.inputs, inputs, self.graph)
        if rows > self.max_prompts:
            raise BundleError(f"{self.graph}: {rows} prompts in one call; the engine takes {self.max_prompts}.")
        cuda.use(self.gpu)
        try:
            context = self._idle.get_nowait()
        except queue.Empty:
            context = _Context(self)
        arrays = self._give_inputs(context, inputs)
        resident = {
            name: cuda.GpuArray(self.gpu, port.sized(rows), port.dtype)
            for name, port in self.outputs.items()
            if name in self.resident
        }
        for name in self.outputs:
            context.context.set_tensor_address(name, (resident.get(name) or context.buffer(name)).address)
        if not context.context.execute_async_v3(context.stream.address):
            raise BundleError(f"TensorRT {version()} failed in {self.graph}: {_log().take()}")
        on_host = {
            name: np.empty(port.sized(rows), port.dtype) for name, port in self.outputs.items() if name not in resident
        }
        for name, values in on_host.items():
            context.stream.download(values, context.buffer(name))
        context.stream.wait()
        del arrays  # they had to live until here
        self._idle.put(context)  # one that failed is dropped
        return {name: resident.get(name, on_host.get(name)) for name in self.outputs}  # type: ignore[misc]

    def _give_inputs(self, context: _Context, inputs: Mapping[str, Tensor]) -> list[np.ndarray]:
        arrays = []
        for name, value in inputs.items():
            context.context.set_input_shape(name, tuple(value.shape))
            if isinstance(value, cuda.GpuArray):
                context.context.set_tensor_address(name, value.address)
                continue
            arrays.append(np.ascontiguousarray(value))
            context.stream.upload(arrays[-1], context.buffer(name))
            context.context.set_tensor_address(name, context.buffer(name).address)
        return arrays


def open_session(graph: Path, options: SessionOptions) -> TensorRtSession:
    """Open the kept engine of an ONNX file on ``cuda:N``; build it first if need be, which takes minutes."""
    found = devices()
    if options.device not in found:
        raise RuntimeUnavailableError(unknown_name("device of TensorRT here", options.device, found))
    if int(version().split(".")[0]) < OLDEST:
        raise RuntimeUnavailableError(f"TensorRT {version()} is too old: bundles need TensorRT {OLDEST} or newer.")
    gpu = int(options.device.partition(":")[2])
    cuda.use(gpu)
    settings = " ".join(f"{name}={value}" for name, value in sorted(options.settings.items()))
    key = EngineKey(graph_sha256(graph), version(), found[options.device], options.max_prompts, settings)
    kept = EngineCache(options.cache)
    engine = _runtime().deserialize_cuda_engine(kept.get(key, lambda: _build(graph, options, key, kept)))
    if engine is None:
        logger.warning("TensorRT refuses the kept engine of %s (%s); building it again.", graph, _log().take())
        kept.drop(key)
        engine = _runtime().deserialize_cuda_engine(kept.get(key, lambda: _build(graph, options, key, kept)))
    if engine is None:
        raise BundleError(f"TensorRT {version()} cannot load its own engine of {graph}: {_log().take()}")
    return TensorRtSession(engine, graph, gpu, options)


def devices() -> dict[str, str]:
    """The GPUs, ``cuda:0`` and so on."""
    return cuda.gpus()


def version() -> str:
    """TensorRT's version."""
    return str(tensorrt.__version__)


@cache
def _log() -> _Logger:
    return _Logger()


@cache
def _runtime() -> Any:
    return tensorrt.Runtime(_log())


def _build(graph: Path, options: SessionOptions, key: EngineKey, kept: EngineCache) -> bytes:
    logger.warning("Building the TensorRT engine of %s for %s; it is kept for the next time.", graph, key.gpu)
    builder = tensorrt.Builder(_log())
    network = builder.create_network(_strongly_typed())
    parser = tensorrt.OnnxParser(network, _log())
    if not parser.parse_from_file(str(graph)):
        problems = "; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors))
        raise BundleError(f"TensorRT {version()} cannot read {graph}: {problems}")
    config = builder.create_builder_config()
    workspace = int(options.settings.get("workspace_mb", 1024)) << 20
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace)
    config.builder_optimization_level = int(options.settings.get("builder_optimization_level", 3))
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # on by default: fp32 would keep 10 bits of its 23
    _add_profile(builder, config, network, options.max_prompts)
    timing = config.create_timing_cache(kept.read_timing(key))
    config.set_timing_cache(timing, False)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BundleError(f"TensorRT {version()} cannot build an engine of {graph}: {_log().take()}")
    kept.write_timing(key, bytes(config.get_timing_cache().serialize()))
    return bytes(engine)


def _strongly_typed() -> int:
    """The flag of 10, where networks may be weakly typed, too; a version that has no such flag has no such networks."""
    flag = getattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _add_profile(builder: Any, config: Any, network: Any, max_prompts: int) -> None:
    """One profile: from one prompt to the most, tuned for one, which is what a robot asks."""
    profile, has_free = builder.create_optimization_profile(), False
    for i in range(network.num_inputs):
        port = network.get_input(i)
        shape = tuple(port.shape)
        if -1 in shape:
            least, most = (tuple(rows if side == -1 else side for side in shape) for rows in (1, max_prompts))
            profile.set_shape(port.name, least, least, most)
            has_free = True
    if has_free:
        config.add_optimization_profile(profile)


def _ports(engine: Any, *, is_input: bool) -> dict[str, Port]:
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    return {
        name: Port(
            np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name))),
            tuple(None if side == -1 else side for side in engine.get_tensor_shape(name)),
        )
        for name in names
        if (engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT) == is_input
    }
