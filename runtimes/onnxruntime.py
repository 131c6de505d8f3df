"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sam3i_edge.errors import BundleError, RuntimeUnavailableError, unknown_name

try:
    import onnxruntime
except ImportError as error:
    raise RuntimeUnavailableError(
        f"ONNX Runtime cannot be imported ({error}). Install it: pip install 'sam3i-edge[onnxruntime]'"
    ) from error

PROVIDERS = {"cpu": "CPUExecutionProvider"}


class OnnxRuntimeSession:
    """A graph in an ``onnxruntime.InferenceSession``."""

    def __init__(self, session: onnxruntime.InferenceSession, graph: Path) -> None:
        self._session = session
        self._graph = graph
        self._outputs = [output.name for output in session.get_outputs()]
        self.device = session.get_providers()[0]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph on named inputs. Raises BundleError if it does not take them."""
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            raise BundleError(f"ONNX Runtime {onnxruntime.__version__} failed in {self._graph}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))


def open_session(graph: Path, device: str = "auto") -> OnnxRuntimeSession:
    """Open an ONNX file. ``device`` is ``cpu``, or ``auto``, which is the same."""
    if device not in ("auto", *PROVIDERS):
        raise RuntimeUnavailableError(unknown_name("device", device, ("auto", *PROVIDERS)))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; what it warns about (unused initializers) is not the user's to act on
    provider = PROVIDERS["cpu" if device == "auto" else device]
    try:
        return OnnxRuntimeSession(onnxruntime.InferenceSession(str(graph), options, providers=[provider]), graph)
    except Exception as error:  # here and above: its exceptions share no base below Exception
        raise BundleError(f"ONNX Runtime {onnxruntime.__version__} cannot open {graph}: {error}") from error
