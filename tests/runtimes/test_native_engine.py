"""``NativeEngine``: the C++ library computes what the Python side does, on memory that both share."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import re
import sys
import sysconfig
import threading
import weakref
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sam3i_edge import Box, Prompt, Segmenter
from sam3i_edge.errors import BundleError, ImageError, PromptError, RuntimeUnavailableError
from sam3i_edge.image import preprocess
from sam3i_edge.instances import resize_masks
from sam3i_edge.native import NativeEngine
from tests.conftest import CASES, iou
from tests.runtimes.conformance import EngineConformance
from tests.runtimes.conftest import ROOT, run
from tests.test_calls import check_end, check_forks, check_loads, host

IMAGE = CASES[0].image
HEIGHT, WIDTH = IMAGE.shape[:2]
BOX = Box(10, 20, WIDTH - 30, HEIGHT - 10)
PROMPTS = [
    Prompt("mug", "concept"),
    Prompt("the red mug left of the laptop"),
    Prompt("what you would drink from", "complex", boxes=[BOX]),
    Prompt("fiancÃ© &amp; cafÃ©", "simple", [BOX], [Box(0, 0, 9, 9)]),
]


@pytest.fixture(scope="module")
def extension(built, checkout):
    """``sam3i_edge._native``, built beside the library of the other tests."""
    if not importlib.util.find_spec("nanobind"):
        pytest.skip("nanobind is not here: pip install nanobind")
    options = ["-DSAM3I_EDGE_PYTHON=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    run(["cmake", "-S", checkout, "-B", built, *options], checkout)
    run(["cmake", "--build", built, "--target", "sam3i_edge_python"], checkout)
    return load(next((built / "runtimes/cpp/python").glob("_native.*")))


def load(path: Path):
    spec = importlib.util.spec_from_file_location("sam3i_edge._native", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def engine(extension, work):
    engine = NativeEngine(work / "small")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def graphs(work):
    with Segmenter.load(work / "small") as segmenter:
        yield segmenter.engine


@pytest.mark.slow
class TestNativeOpenVino(EngineConformance):
    """The library on OpenVINO, held to what every engine must do."""

    runtime = "openvino"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def installed(cls, extension):
        if cls.runtime not in extension.runtimes():
            pytest.skip(f"the C++ library was built without {cls.runtime}; docs/cpp.md says what that needs")

    def load(self, bundle, **options):
        return Segmenter.load(bundle, engine="native", runtime=self.runtime, threshold=0.0, **options)


@pytest.mark.slow
class TestNativeOnnxRuntime(TestNativeOpenVino):
    runtime = "onnxruntime"


def assert_near(found, expected) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_every_operation_computes_what_the_python_side_does(engine, graphs):
    assert (engine.device, engine.precision, engine.manifest) == (graphs.device, graphs.precision, graphs.manifest)
    assert (engine.preprocess(IMAGE) == preprocess(IMAGE, engine.manifest.runtime.model.image_size)).all()
    features, expected = engine.encode(IMAGE), graphs.encode(IMAGE)
    assert sorted(features) == sorted(expected)
    for name, value in expected.items():
        assert_near(features[name], np.asarray(value))
    routes = [engine.route_of(prompt) for prompt in PROMPTS]
    assert routes == [graphs.route_of(prompt) for prompt in PROMPTS]
    texts = [(prompt.text, route) for prompt, route in zip(PROMPTS, routes, strict=True)]
    for found, value in zip(engine.encode_texts(texts), graphs.encode_texts(texts), strict=True):
        assert_near(found.astype(np.float32), value.astype(np.float32))
        assert found.dtype == value.dtype
    for prompts in (PROMPTS[:1], PROMPTS, PROMPTS * 5):  # the last are more than one call takes
        ours = engine.ground(features, prompts, WIDTH, HEIGHT)
        theirs = graphs.ground(expected, prompts, WIDTH, HEIGHT)
        assert ours.keys() == theirs.keys()
        assert (ours["query_index"] == theirs["query_index"]).all()
        for name in theirs.keys() - {"query_index"}:
            assert_near(ours[name], theirs[name])


@pytest.mark.slow
def test_images_are_read_in_place(engine, extension, work):
    crop = IMAGE[10:-5, 20:-7]
    assert (engine.preprocess(crop) == engine.preprocess(crop.copy())).all()
    flipped = IMAGE[::-1]
    assert (engine.preprocess(flipped) == engine.preprocess(flipped.copy())).all()
    held = np.frombuffer(IMAGE.tobytes(), np.uint8).reshape(IMAGE.shape)  # read-only
    references = sys.getrefcount(held)
    assert (engine.preprocess(held) == engine.preprocess(IMAGE)).all()
    assert sys.getrefcount(held) == references
    bgr = np.ascontiguousarray(IMAGE[..., ::-1])
    turned = bgr[..., ::-1]  # how color="bgr" hands a frame on
    assert (engine.preprocess(turned) == engine.preprocess(IMAGE)).all()
    assert (extension.Engine.preprocess(engine._engine, turned) == engine.preprocess(IMAGE)).all()  # not a copy
    mirrored = IMAGE[:, ::-1, ::-1]  # the wrapper copies it, for the extension takes it in place or not at all
    assert (engine.preprocess(mirrored) == engine.preprocess(mirrored.copy())).all()
    inner = extension.Engine(str(work / "small"))
    with pytest.raises(ImageError, match=r"not \(H, W, 3\) uint8 RGB with its pixels side by side"):
        inner.encode(mirrored)
    with pytest.raises(TypeError):
        inner.encode(IMAGE.astype(np.float32))


@pytest.mark.slow
def test_outputs_are_the_librarys_own_memory(extension, work):
    engine = NativeEngine(work / "small")
    features = engine.encode(IMAGE)
    fine = features["fine"]
    assert np.shares_memory(fine, features["fine"])
    assert not fine.flags.owndata and not fine.flags.writeable
    outputs = engine.ground(features, PROMPTS, WIDTH, HEIGHT)
    memory, padding = engine.encode_texts([("mug", "concept")])
    for array in (*outputs.values(), memory, padding, engine.preprocess(IMAGE)):
        assert not array.flags.owndata and array.flags.writeable and array.flags.c_contiguous
    before = fine.copy(), outputs["masks"].copy()
    engine.encode(np.ascontiguousarray(255 - IMAGE))  # memory that is held is not used again
    engine.ground(features, PROMPTS[::-1], WIDTH, HEIGHT)
    del features
    engine.close()
    del engine
    gc.collect()
    assert (fine == before[0]).all() and (outputs["masks"] == before[1]).all()


def runs_meanwhile(call) -> bool:
    """Whether another thread of Python runs during ``call``: none is made to give way, so ``call`` must have let it."""
    interval = sys.getswitchinterval()
    ready, go, ran = threading.Event(), threading.Event(), []

    def other() -> None:
        ready.set()
        go.wait()
        ran.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    sys.setswitchinterval(3600)
    try:
        go.set()
        call()
        return bool(ran)
    finally:
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.slow
def test_other_threads_run_meanwhile(engine):
    features = engine.encode(IMAGE)
    large = np.zeros((2000, 3000, 3), np.uint8)

    def encode_texts() -> None:
        engine.clear_caches()
        engine.encode_texts([("mug", "concept")])

    calls = [
        lambda: engine.preprocess(large),
        lambda: engine.encode(IMAGE),
        encode_texts,
        lambda: engine.ground(features, PROMPTS, WIDTH, HEIGHT),
    ]
    for call in calls:
        assert any(runs_meanwhile(call) for _ in range(50))  # the other thread may be slow to wake
    assert not any(runs_meanwhile(lambda: sum(range(100_000))) for _ in range(3))  # the check itself


@pytest.mark.slow
def test_masks_are_those_of_the_python_side(extension):
    logits = np.random.default_rng(0).normal(size=(3, 16, 16)).astype(np.float32)
    for width, height in ((40, 30), (16, 16), (7, 9), (1, 1), (333, 1000)):
        found, expected = NativeEngine.resize_masks(logits, width, height), resize_masks(logits, width, height)
        assert (found.shape, found.dtype) == (expected.shape, bool)
        assert (found != expected).mean() <= 1e-3  # where a blended logit is 0 to the last bit
    assert NativeEngine.resize_masks(logits[:0], 4, 5).shape == (0, 5, 4)


@pytest.mark.slow
def test_same_instances_as_the_python_engine(extension, work):
    """Of texts that need repair, on a picture of another memory layout; C++ replays the rest of Python's answers."""
    texts = ["fiancÃ© &amp; cafÃ©", "red\0 mug", "a \ud800 cup", "‘Ｆｕｌｌ　ｗｉｄｔｈ’", "<b>&lt;mug&gt;"]
    with (
        Segmenter.load(work / "intel-bundle", engine="native", threshold=0.0) as ours,
        Segmenter.load(work / "intel-bundle", threshold=0.0) as theirs,
    ):
        answers = (one.segment(IMAGE[::-1, :, ::-1], texts) for one in (ours, theirs))
        for found, expected in zip(*answers, strict=True):
            assert (found.route, found.masks.shape) == (expected.route, expected.masks.shape)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
            empty = ~found.masks.any((1, 2)) & ~expected.masks.any((1, 2))
            assert (empty | (iou(found.masks, expected.masks) >= 0.995)).all()


@pytest.mark.slow
def test_errors_are_the_python_sides(engine, work, tmp_path):
    features = engine.encode(IMAGE)
    open_engine = partial(NativeEngine, work / "small")
    for error, message, call in [
        (BundleError, "does not exist", lambda: NativeEngine(tmp_path / "none")),
        (BundleError, r"Unknown integrity 'ful'.*Did you mean 'full'", lambda: open_engine(integrity="ful")),
        (RuntimeUnavailableError, r"Unknown runtime 'openvno'.*'openvino'", lambda: open_engine(runtime="openvno")),
        (RuntimeUnavailableError, "Unknown device .*'(?i:nonsense)'", lambda: open_engine(device="nonsense")),
        (RuntimeUnavailableError, "The number of threads is -7", lambda: open_engine(threads=-7)),
        (ImageError, r"expected \(H, W, 3\) uint8 RGB", lambda: engine.encode(IMAGE[..., 0])),
        (PromptError, "outside the image", lambda: engine.ground(features, PROMPTS[2:3], WIDTH // 2, HEIGHT)),
        (PromptError, "The prompt's text is empty", lambda: engine.encode_texts([(" ", "concept")])),
        (PromptError, r"Unknown route 'simpel'.*'simple'", lambda: engine.encode_texts([("mug", "simpel")])),
        (KeyError, "coarser", lambda: features["coarser"]),
    ]:
        with pytest.raises(error, match=message):
            call()
    engine.close()
    for call in (
        lambda: engine.encode(IMAGE),
        lambda: engine.encode_texts([("mug", "concept")]),
        lambda: engine.ground(features, PROMPTS, WIDTH, HEIGHT),
        lambda: engine.device,
    ):
        with pytest.raises(RuntimeUnavailableError, match="closed"):
            call()


@pytest.mark.slow
def test_the_observer_is_told_of_every_stage(extension, work):
    told: list[tuple[str, int]] = []
    engine = NativeEngine(work / "small", observer=lambda stage, ns: told.append((stage, ns)))

    def stages() -> list[str]:
        assert all(isinstance(ns, int) and ns > 0 for _, ns in told)
        found = [stage for stage, _ in told]
        told.clear()
        return found

    features = engine.encode(IMAGE)
    assert stages() == ["preprocess", "vision"]
    engine.ground(features, PROMPTS, WIDTH, HEIGHT)
    assert stages() == ["text", "grounding"]
    engine.ground(features, PROMPTS * 5, WIDTH, HEIGHT)  # 20 prompts, all of them known, 16 a call
    assert stages() == ["grounding", "grounding"]
    engine.clear_caches()
    engine.ground(features, PROMPTS, WIDTH, HEIGHT)
    assert stages() == ["text", "grounding"]


@pytest.mark.slow
def test_an_observer_may_raise_and_is_collected_with_its_engine(extension, work):
    class Owner:
        def __init__(self) -> None:
            self.engine = NativeEngine(work / "small", observer=self.observe)

        def observe(self, stage: str, _: int) -> None:
            raise ValueError(stage)

    owner = Owner()
    with pytest.raises(ValueError, match="preprocess"):
        owner.engine.encode(IMAGE)
    kept = weakref.ref(owner)
    del owner
    gc.collect()
    assert kept() is None


@pytest.mark.slow
def test_warnings_go_to_the_logger(engine, caplog):
    with caplog.at_level(logging.WARNING, "sam3i_edge"):
        engine.route_of(Prompt("mug " * 40))
    assert "The text has 42 tokens; the model reads the first 32." in caplog.messages


@pytest.mark.slow
def test_a_wheel_with_the_library_inside(extension, work, tmp_path):
    """It holds the extension, and nothing else that CMake builds; it runs where no build folder is."""
    cmake_dir = run([sys.executable, "-c", "import openvino.utils as u; print(u.get_cmake_path())"], ROOT).strip()
    chosen = ["-C", "wheel.cmake=true", "-C", f"cmake.define.OpenVINO_DIR={cmake_dir}"]
    chosen += ["-C", "cmake.build-type=Debug"]  # compiles in half the time
    command = [sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "-w", tmp_path, *chosen]
    run(command, tmp_path)
    wheel = next(tmp_path.glob("*.whl"))
    assert "-cp3" in wheel.name and "none-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    (built,) = [name for name in names if re.search(r"\.(so|a|h|hpp|c|cpp)\b", name)]
    assert built.startswith("sam3i_edge/_native.")
    program = f"""
import numpy as np, sam3i_edge
from sam3i_edge.native import NativeEngine
engine = NativeEngine({str(work / "small")!r})
print(sam3i_edge.__file__, engine.encode(np.zeros((48, 64, 3), np.uint8))["fine"].shape)
"""
    # -S: an editable installation's import hook would answer before PYTHONPATH does
    path = f"{tmp_path / 'installed'}{os.pathsep}{sysconfig.get_path('purelib')}"
    told = run([sys.executable, "-S", "-c", program], tmp_path, PYTHONPATH=path)
    assert told.startswith(str(tmp_path / "installed"))


def test_the_process_forks_or_ends_during_a_call(extension, work):
    program = "import sys; from pathlib import Path; from tests.runtimes.test_native_engine import load; "
    program += "load(Path(sys.argv[1])); from tests.host import main; main(*sys.argv[2:])"
    command = [sys.executable, "-c", program, extension.__file__]
    check_forks(*host(work / "small", "openvino", "native", "fork", command=command))
    check_loads("openvino", *host(work / "small", "openvino", "native", "load", command=command))
    check_end(*host(work / "small", "openvino", "native", "end", command=command))


def test_an_installation_without_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sam3i_edge._native", None)
    with pytest.raises(RuntimeUnavailableError, match=r"not in this installation.*pip install \. -C wheel\.cmake=true"):
        NativeEngine(tmp_path)
