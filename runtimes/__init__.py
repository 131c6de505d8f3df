"""Runtimes: whatever can open a graph file and run it on named tensors.

A runtime knows nothing of images or masks. It is a module with one function ``open_session(graph, device)`` that
returns a ``Session``, found by name and imported only when used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from sam3i_edge.errors import RuntimeUnavailableError, unknown_name

RUNTIMES = {"onnxruntime": "sam3i_edge.runtimes.onnxruntime:open_session"}


class Session(Protocol):
    """An open graph."""

    device: str
    """What really runs it, in the runtime's own words."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph on named inputs and return its named outputs."""
        ...


def open_session(runtime: str, graph: Path, device: str = "auto") -> Session:
    """Open ``graph`` with the named runtime.

    Raises:
        RuntimeUnavailableError: the runtime is unknown or not installed, or has no such device.
        BundleError: the runtime cannot read the graph.
    """
    if runtime not in RUNTIMES:
        raise RuntimeUnavailableError(unknown_name("runtime", runtime, RUNTIMES))
    module, attribute = RUNTIMES[runtime].split(":")
    session: Session = getattr(importlib.import_module(module), attribute)(graph, device)
    return session
