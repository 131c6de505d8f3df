"""Runtimes: whatever can open a graph file and run it on named tensors.

A runtime knows nothing of images or masks. It is a module, imported only when used, with

- ``open_session(graph, options) -> Session``,
- ``devices() -> dict[str, str]``: the devices that it finds here, and what they are,
- ``version() -> str``.

``docs/runtimes.md`` says how to add one.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from sam3i_edge.errors import BundleError, ConfigError, RuntimeUnavailableError, unknown_name


@dataclass(frozen=True)
class Runtime:
    """Where a runtime's module is, and what it takes to have it."""

    module: str
    default_device: str
    """Of a bundle that was made for another runtime."""
    install: str
    """The command that installs it."""
    is_nvidia: bool = False
    """NVIDIA's builder makes engines of its graphs. Half precision stands in their types; other runtimes are told."""


RUNTIMES = {
    "onnxruntime": Runtime("sam3i_edge.runtimes.onnxruntime", "cpu", "pip install 'sam3i-edge[onnxruntime]'"),
    "openvino": Runtime("sam3i_edge.runtimes.openvino", "CPU", "pip install 'sam3i-edge[openvino]'"),
    "tensorrt": Runtime(
        "sam3i_edge.runtimes.tensorrt",
        "cuda:0",
        "pip install 'sam3i-edge[tensorrt]' tensorrt --extra-index-url https://pypi.nvidia.com; "
        "on a Jetson: apt install tensorrt, then pip install 'sam3i-edge[tensorrt]'",
        is_nvidia=True,
    ),
    "tensorrt-rtx": Runtime(
        "sam3i_edge.runtimes.tensorrt_rtx", "cuda:0", "pip install 'sam3i-edge[rtx]'", is_nvidia=True
    ),
}

NATIVE = "native"
"""The C++ library. It takes a whole bundle and has runtimes of its own: for ``Segmenter.load``, not for a session."""


class DeviceTensor(Protocol):
    """A tensor that stays where its runtime computed it; only that runtime's sessions, and NumPy, can read it."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray: ...


Tensor = np.ndarray | DeviceTensor


GRAPHS = ("vision", "text", "grounding")


@dataclass(frozen=True)
class PrebuiltEngine:
    """An engine of a graph that was built ahead of time, without the GPU that it is for."""

    graph: str
    """``vision``, ``text`` or ``grounding``."""
    file: str
    """In the bundle's folder; with that folder's path when a session gets it."""
    compute_capabilities: tuple[str, ...]
    """Of the GPUs that it is for, such as ``8.6``."""
    built_by: str
    """Product and version, such as ``TensorRT-RTX 1.7.1.116``; no other version takes it."""

    def __post_init__(self) -> None:
        if self.graph not in GRAPHS:
            raise ConfigError(unknown_name("graph", self.graph, GRAPHS))
        if not self.compute_capabilities:
            raise ConfigError("compute_capabilities is empty; give some, such as 8.9.")
        for capability in self.compute_capabilities:
            check_capability(capability)


def check_capability(capability: str) -> None:
    """Raises ConfigError unless it has the form of a compute capability, such as ``8.9``."""
    if not re.fullmatch(r"[0-9]{1,2}\.[0-9]", capability):
        raise ConfigError(f"The compute capability {capability!r} is not of the form 8.9.")


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
    """The module of the named runtime. Raises RuntimeUnavailableError if it is unknown or not installed."""
    return importlib.import_module(_known(name).module)


def is_nvidia(name: str) -> bool:
    """Whether the named runtime is TensorRT or TensorRT-RTX. Raises RuntimeUnavailableError if it is unknown."""
    return _known(name).is_nvidia


def default_device(name: str) -> str:
    """The device of the named runtime that a bundle for another runtime gets. Raises RuntimeUnavailableError."""
    return _known(name).default_device


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


def open_session(runtime: str, graph: Path, options: SessionOptions) -> Session:
    """Open ``graph`` with the named runtime.

    Raises:
        RuntimeUnavailableError: the runtime is unknown or not installed, or has no such device or precision.
        BundleError: the runtime cannot read the graph.
    """
    session: Session = find_runtime(runtime).open_session(graph, options)
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


def missing(name: str, error: ImportError | OSError) -> RuntimeUnavailableError:
    """The error of a runtime whose package cannot be imported."""
    return RuntimeUnavailableError(
        f"The runtime {name} cannot be imported ({error}). Install it: {_known(name).install}"
    )
