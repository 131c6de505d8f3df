"""Sessions of TensorRT and TensorRT-RTX: engines on NVIDIA GPUs. Not yet run on hardware.

Written against the documented API. Networks are strongly typed: a graph's types are the engine's. An engine comes out
of the bundle, if one was built ahead of time for this GPU, or is built on the first load, on the device, and kept.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.errors import BundleError, RuntimeUnavailableError, unknown_name
from sam3i_edge.runtimes import Port, SessionOptions, Tensor, check_inputs, cuda
from sam3i_edge.runtimes.engine_cache import EngineCache, EngineKey, graph_sha256
from sam3i_edge.runtimes.nvidia_build import BuildOptions, Product, build, logger_for

logger = logging.getLogger("sam3i_edge")


class _Context:
    """An execution context with its stream and its buffers; one call at a time."""

    def __init__(self, session: NvidiaSession) -> None:
        self._session = session
        self._buffers: dict[str, cuda.GpuArray] = {}
        self.stream = cuda.Stream()
        self.context = session.kernels.create_context()
        if self.context is None:
            raise RuntimeUnavailableError(
                f"{session.product} cannot run {session.graph}: {session.log.take()}. Often the GPU's memory is full."
            )

    def buffer(self, name: str) -> cuda.GpuArray:
        """GPU memory for an input or output that goes through the host, enough for the fullest call."""
        if name not in self._buffers:
            port = (self._session.inputs | self._session.outputs)[name]
            shape = port.sized(self._session.max_prompts)
            self._buffers[name] = cuda.GpuArray(self._session.gpu, shape, port.dtype)
        return self._buffers[name]


class _Kernels:
    """What TensorRT-RTX compiles on the device for an engine, kept for the next load. TensorRT's engines need none."""

    def __init__(self, product: Product, engine: Any, kept: EngineCache, key: EngineKey) -> None:
        self._engine, self._kept, self._key = engine, kept, key
        self._config = self._cache = None
        self._lock = threading.Lock()
        if hasattr(product.api, "IRuntimeCache"):
            self._config = engine.create_runtime_config()
            self._cache = self._config.create_runtime_cache()
            self._saved = kept.read_extra(key.kernels_file)
            if self._saved:
                self._cache.deserialize(self._saved)  # one that it refuses is compiled again
            self._config.set_runtime_cache(self._cache)

    def create_context(self) -> Any:
        """An execution context of the engine, or None."""
        if self._config is None:
            return self._engine.create_execution_context()
        return self._engine.create_execution_context(self._config)

    def save(self) -> None:
        """Keep what was compiled since the last time."""
        if self._cache is None:
            return
        with self._lock:
            found = bytes(self._cache.serialize())
            if found != self._saved:
                self._kept.write_extra(self._key.kernels_file, found)
                self._saved = found


class NvidiaSession:
    """An engine, with as many execution contexts as there are calls at the same time."""

    def __init__(
        self, product: Product, log: Any, engine: Any, kernels: _Kernels, graph: Path, gpu: int, options: SessionOptions
    ) -> None:
        self.product = product
        self.log = log
        self.engine = engine
        self.kernels = kernels
        self.graph = graph
        self.gpu = gpu
        self.max_prompts = options.max_prompts
        self.inputs, self.outputs = (_ports(product.api, engine, is_input=is_input) for is_input in (True, False))
        self.resident = options.resident
        self._idle: queue.SimpleQueue[_Context] = queue.SimpleQueue()
        self._seen: set[int] = set()
        self.device = f"{product} on {cuda.gpus()[f'cuda:{gpu}']}"

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As ``Session.run``. Resident outputs come as ``GpuArray``, and go into another session without a copy."""
        rows, context = self._take_context(inputs)
        arrays = self._give_inputs(context, inputs)
        resident = {
            name: cuda.GpuArray(self.gpu, port.sized(rows), port.dtype)
            for name, port in self.outputs.items()
            if name in self.resident
        }
        for name in self.outputs:
            context.context.set_tensor_address(name, (resident.get(name) or context.buffer(name)).address)
        self._execute(context)
        on_host = {
            name: np.empty(port.sized(rows), port.dtype) for name, port in self.outputs.items() if name not in resident
        }
        for name, values in on_host.items():
            context.stream.download(values, context.buffer(name))
        context.stream.wait()
        del arrays  # they had to live until here
        if rows not in self._seen:  # another number of rows may want other kernels
            self._seen.add(rows)
            self.kernels.save()
        self._idle.put(context)  # one that failed is dropped
        return {name: resident.get(name, on_host.get(name)) for name in self.outputs}  # type: ignore[misc]

    def gpu_times(self, inputs: Mapping[str, Tensor], count: int) -> list[float]:
        """Milliseconds of ``count`` executions by the GPU's clock, without copies; one before them does not count."""
        _, context = self._take_context(inputs)
        arrays = self._give_inputs(context, inputs)
        for name in self.outputs:
            context.context.set_tensor_address(name, context.buffer(name).address)
        self._execute(context)
        marks = [context.stream.mark()]
        for _ in range(count):
            self._execute(context)
            marks.append(context.stream.mark())
        context.stream.wait()
        del arrays  # they had to live until here
        self._idle.put(context)
        return [after.ms_since(before) for before, after in pairwise(marks)]

    def _take_context(self, inputs: Mapping[str, Tensor]) -> tuple[int, _Context]:
        """The rows of a call, and a context that nobody else uses. Raises BundleError if the inputs do not fit."""
        rows = check_inputs(self.inputs, inputs, self.graph)
        if rows > self.max_prompts:
            raise BundleError(f"{self.graph}: {rows} prompts in one call; the engine takes {self.max_prompts}.")
        cuda.use(self.gpu)
        try:
            return rows, self._idle.get_nowait()
        except queue.Empty:
            return rows, _Context(self)

    def _execute(self, context: _Context) -> None:
        if not context.context.execute_async_v3(context.stream.address):
            raise BundleError(f"{self.product} failed in {self.graph}: {self.log.take()}")

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


class Nvidia:
    """A runtime: what the modules ``tensorrt`` and ``tensorrt_rtx`` give. Raises ImportError if there is no package."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._log = logger_for(product)
        self._runtime: Any = None

    def version(self) -> str:
        """The package's version."""
        return self._product.version

    def devices(self) -> dict[str, str]:
        """The GPUs, ``cuda:0`` and so on. Raises RuntimeUnavailableError if CUDA does not answer."""
        return cuda.gpus()

    def open_session(self, graph: Path, options: SessionOptions, content: bytes | None = None) -> NvidiaSession:
        """Open the engine of an ONNX file, or its ``content``, on ``cuda:N``: the bundle's, the kept one, or a new one.

        To build one takes minutes.
        """
        product, found = self._product, self.devices()
        if options.device not in found:
            raise RuntimeUnavailableError(unknown_name(f"device of {product.name} here", options.device, found))
        if int(product.version.split(".")[0]) < product.oldest:
            raise RuntimeUnavailableError(
                f"{product} is too old: bundles need {product.name} {product.oldest} or newer."
            )
        gpu = int(options.device.partition(":")[2])
        cuda.use(gpu)
        settings = " ".join(f"{name}={value}" for name, value in sorted(options.settings.items()))
        gpu_name = found[options.device]
        key = EngineKey(graph_sha256(graph, content), product.version, gpu_name, options.max_prompts, settings)
        kept = EngineCache(options.cache)
        engine = self._prebuilt(graph, gpu, options)
        if engine is None:
            engine = self._kept(graph, key, kept, lambda: self._build(graph, options, key, kept, content))
        kernels = _Kernels(product, engine, kept, key)
        return NvidiaSession(product, self._log, engine, kernels, graph, gpu, options)

    def _prebuilt(self, graph: Path, gpu: int, options: SessionOptions) -> Any:
        """The engine that the bundle brings, if it is for this GPU and version; None otherwise, with a warning."""
        found = options.engine
        if found is None:
            return None
        capability, engine = cuda.compute_capability(gpu), None
        if found.built_by != str(self._product):
            why = f"it was built by {found.built_by}, this is {self._product}"
        elif capability not in found.compute_capabilities:
            why = f"it is for compute capability {', '.join(found.compute_capabilities)}, this GPU has {capability}"
        else:
            content = Path(found.file).read_bytes()
            if options.engine_sha256 and hashlib.sha256(content).hexdigest() != options.engine_sha256:
                raise BundleError(f"{found.file} was changed while it was loaded. Load the bundle again.")
            engine = self._deserialize(content)
            why = "" if engine is not None else f"{self._product.name} refuses it: {self._log.take()}"
        if engine is None:
            logger.warning("The bundle's engine of %s is not used: %s. An engine is built here.", graph, why)
        return engine

    def _kept(self, graph: Path, key: EngineKey, kept: EngineCache, make: Callable[[], bytes]) -> Any:
        for is_last in (False, True):
            engine = self._deserialize(kept.get(key, make))
            if engine is not None:
                return engine
            if not is_last:
                name = self._product.name
                logger.warning(
                    "%s refuses the kept engine of %s (%s); building it again.", name, graph, self._log.take()
                )
                kept.drop(key)
        raise BundleError(f"{self._product} cannot load its own engine of {graph}: {self._log.take()}")

    def _deserialize(self, engine: bytes) -> Any:
        if self._runtime is None:
            self._runtime = self._product.api.Runtime(self._log)
        return self._runtime.deserialize_cuda_engine(engine)

    def _build(
        self, graph: Path, options: SessionOptions, key: EngineKey, kept: EngineCache, content: bytes | None
    ) -> bytes:
        logger.warning(
            "Building the %s engine of %s for %s; it is kept for the next time.", self._product.name, graph, key.gpu
        )
        wanted = BuildOptions(options.max_prompts, options.settings)
        built = build(self._product, graph, wanted, self._log, kept.read_extra(key.timing_file), content=content)
        if built.timing:
            kept.write_extra(key.timing_file, built.timing)
        return built.engine


def _ports(api: Any, engine: Any, *, is_input: bool) -> dict[str, Port]:
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    return {
        name: Port(
            np.dtype(api.nptype(engine.get_tensor_dtype(name))),
            tuple(None if side == -1 else side for side in engine.get_tensor_shape(name)),
        )
        for name in names
        if (engine.get_tensor_mode(name) == api.TensorIOMode.INPUT) == is_input
    }
