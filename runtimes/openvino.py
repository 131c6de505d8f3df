"""OpenVINO, on Intel's processors, graphics and NPUs, and on other x86-64 and Arm processors.

It reads the bundle's ONNX files itself: in its own format they were no smaller, and compiled no faster.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
import weakref
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.cache import drop_damaged, locked, vouch_for
from sam3i_edge.calls import keep_in_children, opening, watch_idle_threads
from sam3i_edge.errors import BundleError, RuntimeUnavailableError, unknown_name
from sam3i_edge.precision import float_type, is_int8
from sam3i_edge.runtimes import Port, SessionOptions, Tensor, absent_devices, check_inputs, missing
from sam3i_edge.runtimes.memory import Memory

try:
    import openvino
except ImportError as error:
    raise missing("openvino", error) from error

logger = logging.getLogger("sam3i_edge")

TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Its names of the types that it may choose by itself; integers it takes from the graph."""


class _Executors:
    """OpenVINO's threads for one model: it keeps those of a model that is freed, and gives them to the next such."""

    def __init__(self) -> None:
        self._users: weakref.WeakSet[_Compiled] = weakref.WeakSet()
        self._all = 0

    def take(self, user: _Compiled) -> None:
        self._users.add(user)
        self._all = max(self._all, len(self._users))

    @property
    def has_idle(self) -> bool:
        return len(self._users) < self._all


_executors: defaultdict[str, _Executors] = defaultdict(_Executors)
watch_idle_threads("openvino", lambda: any(one.has_idle for one in list(_executors.values())))


class _Compiled:
    """A model, compiled when it is first needed, with as many infer requests as there are calls at the same time."""

    def __init__(self, model: Any, graph: Path, options: SessionOptions) -> None:
        self.inputs, self.outputs = _ports(model.inputs), _ports(model.outputs)
        self._graph, self._options = graph, options
        self._source, self._compiled = model, None
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[_Request] = queue.SimpleQueue()

    @property
    def model(self) -> Any:
        with self._lock:
            if self._compiled is None:
                with opening("openvino"):
                    self._compiled = _compile(self._source, self._graph, self._options)
                _executors[f"{self._graph} {self.inputs} {self._options}"].take(self)
                self._source = None
            return self._compiled

    def infer(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = _Request(self.model.create_infer_request())
        request.infer({**inputs, **outputs})
        self._idle.put(request)  # one that failed is dropped


class _Request:
    """An infer request, and where in memory its ports are: to tell OpenVINO anew costs as much as a small operator."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}

    def infer(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Read inputs and write outputs in place."""
        for name, values in arrays.items():
            place = (values.__array_interface__["data"][0], values.shape)
            if self._places.get(name) != place:
                self._request.set_tensor(name, openvino.Tensor(values, shared_memory=True))
                self._places[name] = place
        self._request.infer(share_outputs=True)  # or it returns copies that nobody reads


class OpenVinoSession:
    """A graph, compiled with fixed shapes for single rows, and with free ones once several are asked for.

    With free shapes every operator works its own out anew in each call: a quarter of a small grounding graph's time. To
    have both from the start would take twice as long, and the memory of both.
    """

    def __init__(self, single: _Compiled, several: _Compiled, graph: Path) -> None:
        self._single, self._several = single, several
        self._graph = graph
        self._memory = Memory()
        self.device = f"OpenVINO {version()} on {', '.join(single.model.get_property('EXECUTION_DEVICES'))}"

    @property
    def compiled_model(self) -> Any:
        """OpenVINO's own, of one row: for its properties and its profile."""
        return self._single.model

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As ``Session.run``. Inputs are read and outputs written in place, in memory of NumPy's."""
        rows = check_inputs(self._several.inputs, inputs, self._graph)
        arrays = {name: _in_place(value) for name, value in inputs.items()}
        ports = self._several.outputs
        outputs = {name: self._memory.empty(name, port.sized(rows), port.dtype) for name, port in ports.items()}
        try:
            (self._single if rows == 1 else self._several).infer(arrays, outputs)
        except RuntimeError as error:
            raise BundleError(f"OpenVINO {version()} failed in {self._graph}: {error}") from error
        return dict(outputs)


def _in_place(value: Tensor) -> np.ndarray:
    """An array that OpenVINO takes as it lies in memory: a copy of one that has gaps, or that nobody may write."""
    array = np.asarray(value)
    return array if array.flags.carray else np.array(array, order="C")


def open_session(graph: Path, options: SessionOptions, content: bytes | None = None) -> OpenVinoSession:
    """Compile an ONNX file, or its ``content``, for one of ``devices()``, or for ``AUTO``, which chooses among them."""
    _check_device(options.device)
    _warn_of_emulation(options)
    try:
        free = _core().read_model(graph if content is None else content)
        takes_several = free.is_dynamic() and options.max_prompts > 1  # an NPU takes nothing but fixed shapes
        fixed = free.clone() if takes_several else free
        fixed.reshape({name: port.sized(1) for name, port in _ports(free.inputs).items()})
    except RuntimeError as error:
        raise BundleError(f"OpenVINO {version()} cannot read {graph}: {error}") from error
    single = _Compiled(fixed, graph, options)
    return OpenVinoSession(single, _Compiled(free, graph, options) if takes_several else single, graph)


def devices() -> dict[str, str]:
    """The devices that OpenVINO finds, by its names, with theirs."""
    return {name: str(_core().get_property(name, "FULL_DEVICE_NAME")) for name in _core().available_devices}


def version() -> str:
    """OpenVINO's version."""
    return str(openvino.__version__.split("-")[0])


@cache
def _core() -> Any:
    core = openvino.Core()
    keep_in_children(core)
    return core


def _check_device(device: str) -> None:
    """Raises RuntimeUnavailableError if ``device``, or one of those it may choose, is not here."""
    found = devices()
    for name in absent_devices("openvino", device, found):
        if name.partition(".")[0] in ("GPU", "NPU"):
            raise RuntimeUnavailableError(
                f"OpenVINO finds no {name} here, only {', '.join(found)}. If there is one, install its driver (apt "
                f"install intel-opencl-icd for graphics, Intel's NPU driver for an NPU); sam3i-edge doctor says "
                f"what is there."
            )
        raise RuntimeUnavailableError(unknown_name("device of OpenVINO here", name, ("AUTO", *found)))


def _compile(model: Any, graph: Path, options: SessionOptions) -> Any:
    compiled = _compile_or_load(model, graph, options)
    if "INFERENCE_PRECISION_HINT" in compiled.get_property("SUPPORTED_PROPERTIES"):  # AUTO passes it on, but cannot say
        got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if got != TYPES[float_type(options.precision)]:
            raise RuntimeUnavailableError(
                f"OpenVINO's device {options.device} computes in {got} where the bundle says {options.precision}. "
                f"Export for this device with another --precision."
            )
    return compiled


def _compile_or_load(model: Any, graph: Path, options: SessionOptions) -> Any:
    """With the cache, if it is of use."""
    settings = {**options.settings, "INFERENCE_PRECISION_HINT": TYPES[float_type(options.precision)]}
    if options.as_written and options.device == "CPU":
        settings["LP_TRANSFORMS_MODE"] = "NO"  # leaves the integers to floating-point kernels
    if is_int8(options.precision) and options.device == "CPU":
        settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"  # or it rounds the inputs of 4-bit layers, too
    if options.threads:
        settings["INFERENCE_NUM_THREADS"] = str(options.threads)
    try:
        if options.cache is not None:
            try:
                return _compile_and_keep(model, options.device, settings, options.cache / _key(settings))
            except RuntimeError as error:
                logger.warning("OpenVINO's model cache %s is of no use: %s", options.cache, _last_line(error))
        return _core().compile_model(model, options.device, settings)
    except RuntimeError as error:
        raise RuntimeUnavailableError(
            f"OpenVINO {version()} cannot compile {graph} for {options.device}: {_last_line(error)}"
        ) from error


def _key(settings: Mapping[str, str]) -> str:
    """A folder for each set of settings: OpenVINO's own key leaves the precision out, and gives fp32's blob to bf16."""
    text = "".join(f"{name}={settings[name]}\n" for name in sorted(settings))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _compile_and_keep(model: Any, device: str, settings: Mapping[str, str], folder: Path) -> Any:
    with locked(folder):  # what another one has just compiled, and not vouched for yet, would be dropped
        drop_damaged(folder, "*.blob")
        before = _blobs(folder)
        compiled = _core().compile_model(model, device, {**settings, "CACHE_DIR": str(folder)})
        if compiled.get_property("LOADED_FROM_CACHE"):
            return compiled
        # On a full disk OpenVINO goes on without a word, and leaves nothing behind.
        if not _blobs(folder) - before:
            logger.warning(
                "OpenVINO could not keep what it compiled in %s; the disk may be full. The next load compiles it "
                "again.",
                folder,
            )
        vouch_for(folder, "*.blob")
        return compiled


def _blobs(folder: Path) -> set[tuple[str, int]]:
    """What OpenVINO keeps in a folder, and when it was written."""
    found = set()
    for path in folder.glob("*.blob"):
        with contextlib.suppress(FileNotFoundError):  # another process replaces it just now
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def _warn_of_emulation(options: SessionOptions) -> None:
    if float_type(options.precision) != "bf16" or options.device != "CPU":
        return
    if "BF16" not in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        logger.warning("This processor has no bfloat16 instructions: OpenVINO emulates them, slower than fp32.")


def _ports(ports: list[Any]) -> dict[str, Port]:
    return {
        port.any_name: Port(
            np.dtype(port.element_type.to_dtype()),
            tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape),
        )
        for port in ports
    }


def _last_line(error: Exception) -> str:
    """Its messages begin with source lines of its own; what is the matter comes last."""
    return str(error).strip().splitlines()[-1]
