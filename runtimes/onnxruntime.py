"""ONNX Runtime, on the processor or through another execution provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.errors import BundleError, RuntimeUnavailableError, unknown_name
from sam3i_edge.precision import is_int8
from sam3i_edge.runtimes import Port, SessionOptions, Tensor, check_inputs, missing

try:
    import onnxruntime
except ImportError as error:
    raise missing("onnxruntime", error) from error

if os.environ.get("ORT_DISABLE_TELEMETRY") != "0":
    onnxruntime.disable_telemetry_events()  # of use where it was imported before this package set the variable

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
"""Devices by our names; a number may follow, as in ``cuda:1``. Which there are depends on the package installed:
``onnxruntime`` has the processor's, ``onnxruntime-gpu`` CUDA and TensorRT, ``onnxruntime-openvino`` OpenVINO."""

GPU_MEMORY = {"cuda": "cuda", "tensorrt": "cuda", "migraphx": "hip"}
"""Providers with a memory of their own, and its name; the others compute in the processor's."""

INTEGER_HINDRANCES = ["MatMulAddFusion"]
"""Its own optimizations that keep it from finding integer kernels: a Gemm that was a MatMul and an Add is none of the
patterns that become MatMulIntegerToFloat, and the layer would run slower than in fp32."""

NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class OrtTensor:
    """An ``OrtValue`` where the session left it: on the GPU, or in the processor's memory without a copy."""

    def __init__(self, value: Any, port: Port) -> None:
        self.value = value
        self.dtype = port.dtype
        self.shape = tuple(value.shape())
        self.is_on_host = value.device_name() == "cpu"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value.numpy(), dtype)


class OnnxRuntimeSession:
    """A graph in an ``onnxruntime.InferenceSession``."""

    def __init__(self, session: Any, graph: Path, memory: tuple[str, int], resident: frozenset[str]) -> None:
        self._session = session
        self._graph = graph
        self._memory = memory
        self._resident = resident
        self._inputs, self._outputs = _ports(session.get_inputs()), _ports(session.get_outputs())
        self.device = f"ONNX Runtime {version()} on {session.get_providers()[0]}"

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As ``Session.run``. Resident outputs come as ``OrtTensor``, and go into another session without a copy."""
        check_inputs(self._inputs, inputs, self._graph)
        binding = self._session.io_binding()
        try:
            for name, value in inputs.items():
                if isinstance(value, OrtTensor):
                    binding.bind_ortvalue_input(name, value.value)
                else:
                    binding.bind_cpu_input(name, np.ascontiguousarray(value))
            for name in self._outputs:
                binding.bind_output(name, *(self._memory if name in self._resident else ("cpu", 0)))
            self._session.run_with_iobinding(binding)
            values = dict(zip(self._outputs, binding.get_outputs(), strict=True))
        except Exception as error:  # its exceptions share no base below Exception
            raise BundleError(f"ONNX Runtime {version()} failed in {self._graph}: {error}") from error
        return {
            name: OrtTensor(value, self._outputs[name]) if name in self._resident else value.numpy()
            for name, value in values.items()
        }


def open_session(graph: Path, options: SessionOptions, content: bytes | None = None) -> OnnxRuntimeSession:
    """Open an ONNX file, or its ``content``, on one of ``PROVIDERS``."""
    name, _, number = options.device.partition(":")
    if name not in PROVIDERS or (number and not number.isdecimal()):
        raise RuntimeUnavailableError(unknown_name("device of ONNX Runtime", options.device, PROVIDERS))
    provider = PROVIDERS[name]
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeUnavailableError(
            f"This build of ONNX Runtime {version()} has no {provider}, which the device {options.device!r} needs. "
            f"Devices here: {', '.join(devices())}. Other builds: onnxruntime-gpu, onnxruntime-openvino, …"
        )
    session = inference_session(graph, options, content=content)
    if session.get_providers()[0] != provider:
        raise RuntimeUnavailableError(
            f"ONNX Runtime {version()} has {provider}, but it does not start here, and {session.get_providers()[0]} "
            f"would run instead. Its libraries or the driver are missing: sam3i-edge doctor"
        )
    memory = (GPU_MEMORY.get(name, "cpu"), int(number or 0) if name in GPU_MEMORY else 0)
    return OnnxRuntimeSession(session, graph, memory, options.resident)


def devices() -> dict[str, str]:
    """The devices of this build; whether their drivers are there shows only when one is opened."""
    here = onnxruntime.get_available_providers()
    return {device: provider for device, provider in PROVIDERS.items() if provider in here}


def version() -> str:
    """ONNX Runtime's version."""
    return str(onnxruntime.__version__)


def inference_session(graph: Path, options: SessionOptions, profile: str = "", content: bytes | None = None) -> Any:
    """ONNX Runtime's own session of an ONNX file, on one of ``PROVIDERS``.

    Args:
        graph: the file.
        options: as for ``open_session``.
        profile: how the name of the file begins into which it writes how long each operator takes; "": it does not.
        content: as of ``open_session``.
    """
    name, _, number = options.device.partition(":")
    settings = dict(options.settings) | ({"device_id": number} if number else {})
    own = onnxruntime.SessionOptions()
    own.log_severity_level = 4  # errors come as exceptions; on stderr a name in a graph would act on a terminal
    own.intra_op_num_threads = options.threads
    own.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn their cores
    own.add_session_config_entry(
        "session.qdq_matmulnbits_accuracy_level", "1"
    )  # or it rounds 4-bit layers' inputs, too
    if options.as_written:
        own.add_session_config_entry("session.disable_quant_qdq", "1")
    if profile:
        own.enable_profiling, own.profile_file_prefix = True, profile
    disabled = INTEGER_HINDRANCES if is_int8(options.precision) else []
    try:
        session = onnxruntime.InferenceSession(
            str(graph) if content is None else content,
            own,
            providers=[(PROVIDERS[name], settings)],
            disabled_optimizers=disabled,
        )
        session._model_bytes = None  # or it keeps the whole file as long as it lives
        return session
    except Exception as error:  # as above
        raise BundleError(f"ONNX Runtime {version()} cannot open {graph}: {error}") from error


def _ports(arguments: list[Any]) -> dict[str, Port]:
    return {
        argument.name: Port(
            np.dtype(NUMPY_TYPES[argument.type]),
            tuple(side if isinstance(side, int) else None for side in argument.shape),
        )
        for argument in arguments
    }
