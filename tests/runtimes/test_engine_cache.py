"""Engines on disk: kept, rebuilt when stale or damaged, never half-written. (TensorRT itself does not run here.)"""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from sam3i_edge import Segmenter
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.runtimes.engine_cache import EngineCache, EngineKey, graph_sha256

KEY = EngineKey("abc", "10.3.0", "Orin (compute capability 8.7)", 4, "workspace_mb=1024")


class Builds:
    """Counts, and gives another engine each time."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return b"engine %d" % self.count


def test_built_once(tmp_path):
    build = Builds()
    assert EngineCache(tmp_path).get(KEY, build) == b"engine 1"
    assert EngineCache(tmp_path).get(KEY, build) == b"engine 1"
    assert build.count == 1
    assert not list(tmp_path.glob("*.partial-*"))
    EngineCache(tmp_path).drop(KEY)
    assert EngineCache(tmp_path).get(KEY, build) == b"engine 2"


@pytest.mark.parametrize(
    "change",
    [
        {"graph_sha256": "abd"},
        {"tensorrt": "10.7.0"},
        {"gpu": "Thor (compute capability 11.0)"},
        {"max_prompts": 8},
        {"settings": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_engine_for_whatever_it_depends_on(tmp_path, change):
    build = Builds()
    cache = EngineCache(tmp_path)
    cache.get(KEY, build)
    assert cache.get(replace(KEY, **change), build) == b"engine 2"


def test_a_new_version_says_so_and_removes_the_old_engine(tmp_path, caplog):
    cache = EngineCache(tmp_path)
    cache.get(KEY, Builds())
    with caplog.at_level(logging.WARNING):
        cache.get(replace(KEY, tensorrt="11.4.1"), Builds())
    assert "TensorRT went from 10.3.0 to 11.4.1: building the engine again" in caplog.text
    assert len(list(tmp_path.glob("*.engine"))) == 1


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"engin"), lambda file: file.unlink()])
def test_damaged(tmp_path, caplog, damage):
    build = Builds()
    EngineCache(tmp_path).get(KEY, build)
    damage(tmp_path / KEY.file)
    assert EngineCache(tmp_path).get(KEY, build) == b"engine 2"
    (tmp_path / f"{KEY.file}.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert EngineCache(tmp_path).get(KEY, build) == b"engine 3"
    assert "cannot be read" in caplog.text


def test_nowhere_to_keep_it(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert EngineCache(None).get(KEY, Builds()) == b"engine 1"
        assert EngineCache(tmp_path / "gone").get(KEY, Builds()) == b"engine 1"
    assert "there is no cache" in caplog.text
    assert "the next load builds it again" in caplog.text


def test_a_full_disk_leaves_nothing(tmp_path, caplog, full_disk):
    with caplog.at_level(logging.WARNING):
        assert EngineCache(tmp_path).get(KEY, lambda: bytes(200_000)) == bytes(200_000)
        EngineCache(tmp_path).write_extra(KEY.timing_file, bytes(200_000))
    assert "could not be kept" in caplog.text
    assert "the next load builds it again" in caplog.text
    assert "The timing cache could not be kept" in caplog.text
    assert not list(tmp_path.iterdir())


def test_an_engine_whose_description_cannot_be_kept_is_not_kept_either(tmp_path):
    (tmp_path / f"{KEY.file}.json").mkdir()
    EngineCache(tmp_path).get(KEY, Builds())
    assert [path.name for path in tmp_path.iterdir()] == [f"{KEY.file}.json"]


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        EngineCache(tmp_path).get(KEY, fail)
    assert not list(tmp_path.iterdir())


def test_timing(tmp_path):
    cache = EngineCache(tmp_path)
    assert cache.read_extra(KEY.timing_file) == b""
    cache.write_extra(KEY.timing_file, b"times")
    assert cache.read_extra(replace(KEY, graph_sha256="other").timing_file) == b"times"
    assert cache.read_extra(replace(KEY, tensorrt="11.0.0").timing_file) == b""


def test_graph_hash_counts_the_weights_beside_it(tmp_path):
    graph = tmp_path / "vision.onnx"
    graph.write_bytes(b"graph")
    alone = graph_sha256(graph)
    assert graph_sha256(graph, graph.read_bytes()) == alone
    (tmp_path / "vision.onnx.data").write_bytes(b"weights")
    assert graph_sha256(graph) != alone


def test_tensorrt_is_named_with_what_installs_it(bundle):
    with pytest.raises(
        RuntimeUnavailableError, match=r"tensorrt cannot be imported.*on a Jetson the latter is apt install tensorrt"
    ):
        Segmenter.load(bundle, runtime="tensorrt")


def test_cuda_names_that_we_use_exist_and_errors_are_ours():
    """The bindings are here, a driver is not: every call must end in our error, none in an AttributeError."""
    from sam3i_edge.runtimes import cuda

    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA driver; the test is about having none")
    import numpy as np

    for action in (
        cuda.gpus,
        cuda.Stream,
        lambda: cuda.use(0),
        lambda: cuda.GpuArray(0, (2, 3), np.dtype(np.float32)),
    ):
        with pytest.raises(RuntimeUnavailableError, match=r"CUDA: .*driver.*cudaErrorInsufficientDriver"):
            action()
