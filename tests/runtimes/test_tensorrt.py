"""Our side of TensorRT, held to what every runtime must do, on a stand-in. (TensorRT itself has not run yet.)"""

import gc
import importlib
import logging
import sys
from types import SimpleNamespace

import pytest

from sam3i_edge import Prompt, runtimes
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.runtimes import PrebuiltEngine, SessionOptions, cuda, open_session
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
        assert standin.cuda.copied["up"] - before["up"] < 2 * segmenter.manifest.model.image_size**2 * 3

    def test_gpu_memory_is_given_back(self, segmenter, standin):
        gc.collect()  # what earlier tests left in cycles would be given back in the middle of this one
        segmenter.segment(CASES[0].image, "mug")
        before = len(standin.cuda.memory)
        for _ in range(3):
            segmenter.segment(CASES[0].image, "mug")
        assert len(standin.cuda.memory) == before


def test_the_network_is_strongly_typed_and_without_tf32(bundle, standin):
    open_text(bundle)
    assert standin.builds[-1].flags == 1 << standin.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert standin.builds[-1].cleared == [standin.BuilderFlag.TF32]


def test_a_version_that_knows_only_strongly_typed_networks(bundle, standin, monkeypatch):
    monkeypatch.delattr(standin.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    open_text(bundle)
    assert standin.builds[-1].flags == 0


def test_the_engine_is_built_once_and_again_for_another_version(bundle, standin, tmp_path, caplog, version):
    before = len(standin.builds)
    for _ in range(2):
        open_text(bundle, tmp_path)
    assert len(standin.builds) == before + 1
    version("11.4.1")
    with caplog.at_level(logging.WARNING):
        open_text(bundle, tmp_path)
    assert len(standin.builds) == before + 2
    assert "TensorRT went from 10.3.0 to 11.4.1" in caplog.text


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


def test_a_graph_that_the_parser_refuses(tmp_path):
    (tmp_path / "text.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"TensorRT 10\.3\.0 cannot read .*text\.onnx"):
        open_session("tensorrt", tmp_path / "text.onnx", SessionOptions("cuda:0"))


def test_a_full_gpu(bundle, standin, monkeypatch):
    import numpy as np

    session = open_text(bundle)
    monkeypatch.setattr(standin.cuda, "free_bytes", 0)
    with pytest.raises(RuntimeUnavailableError, match=r"CUDA: out of memory \(cudaErrorMemoryAllocation\)"):
        session.run({"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)})


def test_times_on_the_gpu(bundle):
    import numpy as np

    session = open_text(bundle)
    times = session.gpu_times({"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)}, count=3)
    assert len(times) == 3
    assert all(ms > 0 for ms in times)


def engine_for(bundle, standin, **changes):
    """As a bundle would bring it: of the stand-in's version, for its GPU."""
    from sam3i_edge.runtimes.nvidia_build import TENSORRT, BuildOptions, build, logger_for

    file = bundle.parent / "text.engine"
    built = build(TENSORRT, bundle / "graphs/text.onnx", BuildOptions(16, {}), logger_for(TENSORRT))
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
    import numpy as np

    monkeypatch.setattr(standin, "IRuntimeCache", object, raising=False)
    caches = []
    inputs = {"tokens": np.zeros((1, 32), np.int32), "gates": np.zeros((1, 3), np.float32)}
    monkeypatch.setattr(standin, "deserialize", with_runtime_caches(standin.deserialize, caches))
    for known in (b"", b"compiled"):
        session = open_text(bundle, tmp_path)
        assert caches[-1].content == known
        session.run(inputs)
    assert len(list(tmp_path.glob("*.kernels"))) == 1


class RuntimeCache:
    content = b""

    def deserialize(self, content):
        self.content = content

    def serialize(self):
        return b"compiled"


def with_runtime_caches(deserialize, caches):
    def make(*arguments):
        engine = deserialize(*arguments)
        config = SimpleNamespace(set_runtime_cache=lambda cache: None)
        config.create_runtime_cache = lambda: caches.append(RuntimeCache()) or caches[-1]
        engine.create_runtime_config = lambda: config
        plain = engine.create_execution_context
        engine.create_execution_context = lambda config: plain()
        return engine

    return make


def test_more_prompts_than_the_engine_takes(bundle):
    import numpy as np

    session = open_text(bundle, max_prompts=2)
    with pytest.raises(BundleError, match="3 prompts in one call; the engine takes 2"):
        session.run({"tokens": np.zeros((3, 32), np.int32), "gates": np.zeros((3, 3), np.float32)})
