"""TensorRT-RTX itself: as far as it goes without a GPU, and all of it where there is one."""

import logging
import re

import pytest

from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.runtimes import SessionOptions, find_runtime, open_session
from sam3i_edge.runtimes.engine_cache import EngineCache, EngineKey
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, GraphRefusedError, build, logger_for
from tests.runtimes.conformance import Conformance

pytest.importorskip("tensorrt_rtx_bindings", reason="needs NVIDIA's TensorRT-RTX: pip install '.[rtx]' (x86-64)")

OPTIONS = BuildOptions(4, {"workspace_mb": "512", "builder_optimization_level": "2"}, ("8.6",))


def gpu_is_missing():
    try:
        return not find_runtime("tensorrt-rtx").devices()
    except RuntimeUnavailableError as error:
        return str(error)


needs_gpu = pytest.mark.skipif(bool(gpu_is_missing()), reason=f"needs an NVIDIA GPU: {gpu_is_missing()}")
without_gpu = pytest.mark.skipif(not gpu_is_missing(), reason="is about a machine without an NVIDIA GPU")


@needs_gpu
class TestTensorRtRtx(Conformance):
    runtime = "tensorrt-rtx"
    missing_device = "cuda:99"


def test_build(bundle, recwarn):
    built = build(TENSORRT_RTX, bundle / "graphs/text.onnx", OPTIONS, logger_for(TENSORRT_RTX))
    assert len(built.engine) > 10_000
    assert built.timing == b""
    assert not recwarn.list  # its timing cache is deprecated


@without_gpu
def test_the_gpu_of_this_machine_is_built_for_unless_others_are_named(bundle):
    with pytest.raises(GraphRefusedError, match="driver"):
        build(TENSORRT_RTX, bundle / "graphs/text.onnx", BuildOptions(1, {}), logger_for(TENSORRT_RTX))


@without_gpu
def test_without_a_gpu_the_driver_is_named(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"CUDA: .*driver.*nvidia-smi shows both"):
        open_session("tensorrt-rtx", bundle / "graphs/text.onnx", SessionOptions("cuda:0"))


@without_gpu
def test_an_engine_that_the_runtime_refuses_is_built_again_and_then_an_error(bundle, tmp_path, caplog):
    """Without a driver TensorRT-RTX takes no engine; its own words are in the error."""
    from sam3i_edge.runtimes.nvidia import Nvidia

    runtime, graph, builds = Nvidia(TENSORRT_RTX), bundle / "graphs/text.onnx", []
    key = EngineKey("abc", runtime.version(), "RTX (compute capability 8.6)", 4, "")

    def make():
        builds.append(graph)
        return build(TENSORRT_RTX, graph, OPTIONS, logger_for(TENSORRT_RTX)).engine

    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(BundleError, match=r"TensorRT-RTX 1\.\d+\.\S+ cannot load its own engine of .*: .*driver"),
    ):
        runtime._kept(graph, key, EngineCache(tmp_path), make)
    assert len(builds) == 2
    assert re.search(r"TensorRT-RTX refuses the kept engine of .*driver", caplog.text)
