"""Our side of TensorRT, held to what every runtime must do, on a stand-in. (TensorRT itself has not run yet.)"""

import gc
import importlib
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, call

import numpy as np
import pytest

from sam3i_edge import Prompt, runtimes
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.graphs import PrebuiltEngine
from sam3i_edge.runtimes import SessionOptions, cuda, open_session
from sam3i_edge.runtimes.nvidia_build import TENSORRT, BuildOptions, Built, build
from tests.conftest import CASES
from tests.runtimes.conformance import Conformance
from tests.runtimes.standin import Cuda, TensorRt

NAME = "sam3i_edge.runtimes.tensorrt"


def install(patch: pytest.MonkeyPatch) -> TensorRt:
    """Put the stand-in where TensorRT would be."""
    gpu = Cuda()
    stand_in = TensorRt(gpu)
    patch.setattr(cuda, "cudart", gpu)
    patch.setitem(sys.modules, "tensorrt", stand_in)
    patch.setattr("sam3i_edge.runtimes.nvidia.build", stand_in.build)
    patch.delitem(sys.modules, NAME, raising=False)
    importlib.import_module(NAME)
    return stand_in


@pytest.fixture(scope="module", autouse=True)
def standin():
    with pytest.MonkeyPatch.context() as patch:
        yield install(patch)
    sys.modules.pop(NAME, None)
    vars(runtimes).pop("tensorrt", None)


@pytest.fixture
def version(standin):
    yield lambda value: setattr(standin, "__version__", value)
    vars(standin).pop("__version__", None)


def open_text(bundle, cache=None, **options):
    return open_session("tensorrt", bundle / "graphs/text.onnx", SessionOptions("cuda:0", cache=cache, **options))


class TestTensorRt(Conformance):
    runtime = "tensorrt"
    missing_device = "cuda:1"
    prepare = "import pytest, tests.runtimes.test_tensorrt as test; test.install(pytest.MonkeyPatch())"

    def test_features_stay_on_the_gpu(self, segmenter, standin):
        before = dict(standin.cuda.copied)
        frame = segmenter.encode(CASES[0].image)
        assert all(isinstance(value, cuda.GpuArray) for value in frame.features.values())
        assert standin.cuda.copied["down"] == before["down"]
        frame.segment(Prompt("mug", "concept"))
        assert standin.cuda.copied["up"] - before["up"] < 2 * segmenter.manifest.runtime.model.image_size**2 * 3

    def test_gpu_memory_is_given_back(self, segmenter, standin):
        gc.collect()  # what earlier tests left in cycles would be given back in the middle of this one
        segmenter.segment(CASES[0].image, "mug")
        before = len(standin.cuda.memory)
        for _ in range(3):
            segmenter.segment(CASES[0].image, "mug")
        assert len(standin.cuda.memory) == before


@pytest.mark.parametrize("flags", [{"STRONGLY_TYPED": 1}, {}])
def test_networks_are_strongly_typed_and_without_tf32(monkeypatch, flags):
    """A version without the flag has no other networks."""
    api = MagicMock(NetworkDefinitionCreationFlag=SimpleNamespace(**flags))
    del api.ComputeCapability
    builder = api.Builder.return_value
    builder.create_network.return_value.num_inputs = 0
    builder.build_serialized_network.return_value = b"engine"
    config = builder.create_builder_config.return_value
    config.get_timing_cache.return_value.serialize.return_value = b"times"
    monkeypatch.setitem(sys.modules, "tensorrt", api)
    assert build(TENSORRT, Path("graph.onnx"), BuildOptions(4, {}), None) == Built(b"engine", b"times")
    builder.create_network.assert_called_once_with(2 if flags else 0)
    config.clear_flag.assert_called_once_with(api.BuilderFlag.TF32)


def test_an_engine_that_tensorrt_refuses_is_built_again(bundle, standin, tmp_path, caplog, monkeypatch):
    open_text(bundle, tmp_path)
    refused = iter([None])
    real = standin.deserialize
    monkeypatch.setattr(standin, "deserialize", lambda *arguments: next(refused, real(*arguments)))
    before = len(standin.builds)
    with caplog.at_level(logging.WARNING):
        open_text(bundle, tmp_path)
    assert "TensorRT refuses the kept engine" in caplog.text
    assert len(standin.builds) == before + 1


def test_an_engine_that_is_always_refused(bundle, standin, monkeypatch):
    monkeypatch.setattr(standin, "deserialize", lambda *_: None)
    with pytest.raises(BundleError, match="cannot load its own engine"):
        open_text(bundle)


def test_too_old(bundle, version):
    version("8.6.1")
    with pytest.raises(
        RuntimeUnavailableError, match=r"TensorRT 8\.6\.1 is too old: bundles need TensorRT 10 or newer"
    ):
        open_text(bundle)


def test_a_full_gpu(bundle, standin, monkeypatch):
    session = open_text(bundle)
    monkeypatch.setattr(standin.cuda, "free_bytes", 0)
    with pytest.raises(RuntimeUnavailableError, match=r"CUDA: out of memory \(cudaErrorMemoryAllocation\)"):
        session.run({"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)})


def test_times_on_the_gpu(bundle):
    session = open_text(bundle)
    times = session.gpu_times({"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)}, count=3)
    assert len(times) == 3
    assert all(ms > 0 for ms in times)


def engine_for(bundle, standin, **changes):
    """As a bundle would bring it: of the stand-in's version, for its GPU."""
    file = bundle.parent / "text.engine"
    built = standin.build(TENSORRT, bundle / "graphs/text.onnx", BuildOptions(16, {}), None)
    file.write_bytes(built.engine)
    return PrebuiltEngine(**{
        "graph": "text", "file": str(file), "built_by": "TensorRT 10.3.0", "compute_capabilities": ("8.7",)
    } | changes)  # fmt: skip


def test_an_engine_of_the_bundle_is_used(bundle, standin, tmp_path, caplog):
    engine = engine_for(bundle, standin)
    before = len(standin.builds)
    with caplog.at_level(logging.WARNING):
        open_text(bundle, tmp_path, engine=engine)
    assert len(standin.builds) == before
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"built_by": "TensorRT 10.2.0"}, "it was built by TensorRT 10.2.0, this is TensorRT 10.3.0"),
        ({"compute_capabilities": ("8.6", "12.0")}, "it is for compute capability 8.6, 12.0, this GPU has 8.7"),
    ],
)
def test_an_engine_of_the_bundle_that_does_not_fit(bundle, standin, tmp_path, caplog, change, why):
    engine = engine_for(bundle, standin, **change)
    before = len(standin.builds)
    with caplog.at_level(logging.WARNING):
        open_text(bundle, tmp_path, engine=engine)
    assert why in caplog.text
    assert len(standin.builds) == before + 1


def test_kernels_that_were_compiled_on_the_device_are_kept(bundle, standin, tmp_path, monkeypatch):
    """As TensorRT-RTX does: the stand-in gives it a runtime cache."""
    cache, real = MagicMock(), standin.deserialize
    cache.serialize.return_value = b"compiled"

    def deserialize(*arguments):
        engine = real(*arguments)
        plain = engine.create_execution_context
        engine.create_runtime_config = MagicMock()
        engine.create_runtime_config.return_value.create_runtime_cache.return_value = cache
        engine.create_execution_context = lambda config: plain()
        return engine

    monkeypatch.setattr(standin, "IRuntimeCache", object, raising=False)
    monkeypatch.setattr(standin, "deserialize", deserialize)
    for known in ([], [call(b"compiled")]):
        session = open_text(bundle, tmp_path)
        assert cache.deserialize.mock_calls == known
        session.run({"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)})
    assert len(list(tmp_path.glob("*.kernels"))) == 1


def test_more_prompts_than_the_engine_takes(bundle):
    session = open_text(bundle, max_prompts=2)
    with pytest.raises(BundleError, match="3 prompts in one call; the engine takes 2"):
        session.run({"tokens": np.zeros((3, 32), np.int32), "gates": np.zeros((3, 3), np.float32)})
