"""Runtimes: whatever can open a graph file and run it on named tensors.

A runtime knows nothing of images or masks. It is a module, imported only when used, with

- ``open_session(graph, options, content) -> Session``,
- ``devices() -> dict[str, str]``: the devices that it finds here, and what they are,
- ``version() -> str``.

``docs/runtimes.md`` says how to add one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from sam3i_edge.calls import keep_in_children, opening
from sam3i_edge.errors import BundleError, RuntimeUnavailableError, Sam3iEdgeError, install, unknown_name
from sam3i_edge.graphs import PrebuiltEngine
from sam3i_edge.precision import float_type


@dataclass(frozen=True)
class Runtime:
    """Where a runtime's module is, and what it takes to have it."""

    module: str
    package: str
    """That others make, which it stands on."""
    default_device: str
    """Of a bundle that was made for another runtime."""
    install: str
    """The command that installs it."""
    is_nvidia: bool = False
    """NVIDIA's builder makes engines of its graphs. Half precision stands in their types; other runtimes are told."""


RUNTIMES = {
    "onnxruntime": Runtime("sam3i_edge.runtimes.onnxruntime", "onnxruntime", "cpu", install("onnxruntime")),
    "openvino": Runtime("sam3i_edge.runtimes.openvino", "openvino", "CPU", install("openvino")),
    "tensorrt": Runtime(
        "sam3i_edge.runtimes.tensorrt",
        "tensorrt",
        "cuda:0",
        f"{install('tensorrt')}, and pip install tensorrt --extra-index-url https://pypi.nvidia.com; on a Jetson the "
        "latter is apt install tensorrt",
        is_nvidia=True,
    ),
    "tensorrt-rtx": Runtime(
        "sam3i_edge.runtimes.tensorrt_rtx", "tensorrt_rtx_bindings", "cuda:0", install("rtx"), is_nvidia=True
    ),
}


class DeviceTensor(Protocol):
    """A tensor that stays where its runtime computed it; only that runtime's sessions, and NumPy, can read it."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray: ...


Tensor = np.ndarray | DeviceTensor


@dataclass(frozen=True)
class SessionOptions:
    """How a graph is to be run."""

    device: str
    """A name of the runtime's, such as ``cpu``, ``GPU`` or ``cuda:0``."""
    precision: str = "fp32"
    """Of the bundle. A runtime that chooses a precision by itself must choose this one."""
    threads: int = 0
    """Processor threads; 0: the runtime's own choice."""
    max_prompts: int = 16
    """Most rows of the free dimension."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The target's, under the runtime's own names."""
    resident: frozenset[str] = frozenset()
    """Outputs that may stay on the device, because they only go into another graph."""
    cache: Path | None = None
    """A folder to keep what was compiled for this device; None: nothing is kept."""
    as_written: bool = False
    """Compute what a graph with integers says, in floating point, because the runtime's integer kernels would not: the
    bundle was made for another runtime's, or they overflow on this processor."""
    engine: PrebuiltEngine | None = None
    """The bundle's own, of this graph. A runtime that cannot use it says so and opens the graph."""
    engine_sha256: str = ""
    """What that engine's file must have; empty: it is not checked."""


class Session(Protocol):
    """An open graph. Threads may share it."""

    device: str
    """What really runs it, in the runtime's own words."""

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph on named inputs and return its named outputs, which nothing else writes to.

        Raises:
            BundleError: the graph does not take these inputs, or fails on them.
        """
        ...


def find_runtime(name: str) -> ModuleType:
    """The module of the named runtime. Raises RuntimeUnavailableError if it is unknown, not installed, or broken."""
    known = _known(name)
    with whole(name):
        module = importlib.import_module(known.module)
        module.version()  # half of a package, or a file of its name, has none
        return module


def is_nvidia(name: str) -> bool:
    """Whether the named runtime is TensorRT or TensorRT-RTX. Raises RuntimeUnavailableError if it is unknown."""
    return _known(name).is_nvidia


def is_typed_half(runtime: str, precision: str) -> bool:
    """Whether half precision stands in the graphs' own types. Other runtimes are told to compute in it."""
    return float_type(precision) == "fp16" and is_nvidia(runtime)


def default_device(name: str) -> str:
    """The device of the named runtime that a bundle for another runtime gets. Raises RuntimeUnavailableError."""
    return _known(name).default_device


def device_name(runtime: str, device: str) -> str:
    """``device`` as the named runtime writes it, whatever its case: ``CPU`` and ``AUTO:GPU,CPU``, or ``cpu``."""
    return device.upper() if runtime == "openvino" else device.lower()


def absent_devices(runtime: str, device: str, found: Iterable[str]) -> list[str]:
    """What ``device`` asks of ``runtime`` and is not among the devices ``found``.

    OpenVINO's ``AUTO:GPU,CPU`` asks for both, its ``GPU`` is the first of ``GPU.0`` and ``GPU.1``; ONNX Runtime's
    ``cuda:1`` asks for ``cuda``.
    """
    kind, _, listed = device.partition(":")
    if runtime == "openvino" and kind == "AUTO":
        wanted = [name for name in listed.split(",") if name]
    else:
        wanted = [kind if runtime == "onnxruntime" else device]
    known = {name for one in found for name in (one, one.partition(".")[0])}
    return [name for name in wanted if name not in known]


def _known(name: str) -> Runtime:
    if name not in RUNTIMES:
        raise RuntimeUnavailableError(unknown_name("runtime", name, RUNTIMES))
    return RUNTIMES[name]


def open_session(runtime: str, graph: Path, options: SessionOptions, content: bytes | None = None) -> Session:
    """Open ``graph`` with the named runtime.

    Args:
        runtime: one of ``RUNTIMES``.
        graph: an ONNX file.
        options: how it is to be run.
        content: what is opened in place of the file's bytes; None: the file, with the weights beside it.

    Raises:
        RuntimeUnavailableError: the runtime is unknown or not installed, or has no such device or precision.
        BundleError: the runtime cannot read the graph.
    """
    module = find_runtime(runtime)
    with whole(runtime):
        session: Session = module.open_session(graph, options, content)
    keep_in_children(session)
    return session


@dataclass(frozen=True)
class Port:
    """An input or output of an open graph; a side of None is free."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def sized(self, rows: int) -> tuple[int, ...]:
        """The shape when the free side is ``rows`` long."""
        return tuple(rows if side is None else side for side in self.shape)


def check_inputs(ports: Mapping[str, Port], inputs: Mapping[str, Tensor], graph: Path) -> int:
    """Refuse what a graph does not take, in the same words for every runtime: some would run on stale or cast values.

    Returns:
        The length of the free side; 1 if there is none.

    Raises:
        BundleError: an input is missing, unknown, of another type or another shape.
    """
    for name in inputs:
        if name not in ports:
            raise BundleError(f"{graph}: {unknown_name('input', name, ports)}")
    rows = None
    for name, port in ports.items():
        if name not in inputs:
            raise BundleError(f"{graph}: the input {name!r} is missing.")
        value = inputs[name]
        if value.dtype != port.dtype:
            raise BundleError(f"{graph}: the input {name!r} is {value.dtype}; it must be {port.dtype}.")
        if rows is None and None in port.shape and len(value.shape) == len(port.shape):
            rows = value.shape[port.shape.index(None)]
        if tuple(value.shape) != port.sized(rows or 1):
            wanted = " x ".join("N" if side is None else str(side) for side in port.shape)
            given = " x ".join(map(str, value.shape)) or "a single value"
            raise BundleError(f"{graph}: the input {name!r} is {given}; it must be {wanted}, N alike for all inputs.")
    return rows or 1


@contextmanager
def whole(name: str) -> Iterator[None]:
    """What is done within needs the package of a runtime; if that is broken, the error says so.

    Raises:
        RuntimeUnavailableError: it cannot be imported, or lacks what it should have; or as ``opening``.
    """
    try:
        with opening(name):
            yield
    except (Sam3iEdgeError, MemoryError):
        raise
    except Exception as error:  # what a broken package raises may be anything
        raise missing(name, error) from error


def missing(name: str, error: Exception) -> RuntimeUnavailableError:
    """The error of a runtime whose package cannot be imported, or is not what it should be."""
    known = _known(name)
    others = [f"--runtime {other}" for other in RUNTIMES if other != name and _is_found(other)]
    instead = f" Or choose one that is here: {' or '.join(others)}." if others else ""
    if isinstance(error, ModuleNotFoundError):
        return RuntimeUnavailableError(
            f"The runtime {name} cannot be imported ({error}). Install it: {known.install}.{instead}"
        )
    return RuntimeUnavailableError(
        f"The runtime {name} cannot be used ({type(error).__name__}: {error}), though there is {_place(known)}. "
        f"Remove that, and install it again: {known.install}.{instead}"
    )


def _is_found(name: str) -> bool:
    """Whether a runtime is installed that needs no particular hardware."""
    return not is_nvidia(name) and bool(find_spec(RUNTIMES[name].package))


def _place(known: Runtime) -> str:
    spec = find_spec(known.package)
    return str(spec.origin) if spec and spec.origin else f"a package {known.package}"
