"""``runtime="native"``: the Segmenter in C++ answers as the one in Python, and says how to have it."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam3i_edge import Box, Prompt, Segmenter
from sam3i_edge.errors import BundleError, ImageError, PromptError, RuntimeUnavailableError
from sam3i_edge.runtimes import native
from tests.conftest import CASES, iou
from tests.runtimes.cpp.golden import pictures
from tests.test_verify import perturb

IMAGE = CASES[0].image


@pytest.fixture(scope="module")
def library(request) -> str:
    """That of the environment, or one built for this."""
    path = os.environ.get(native.LIBRARY_VARIABLE)
    return path or str(request.getfixturevalue("built") / "runtimes/cpp/libsam3i_edge.so")


@pytest.fixture(autouse=True)
def chosen(request, monkeypatch) -> None:
    if "library" in request.fixturenames:
        monkeypatch.setenv(native.LIBRARY_VARIABLE, request.getfixturevalue("library"))


@pytest.fixture
def segmenter(library, chosen, work):
    with Segmenter.load(work / "small", runtime="native", threshold=0.0) as segmenter:
        yield segmenter


def assert_same(found, expected) -> None:
    assert found.route == expected.route
    assert found.masks.shape == expected.masks.shape
    assert found.masks.dtype == bool
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    both_empty = ~found.masks.any((1, 2)) & ~expected.masks.any((1, 2))
    assert (both_empty | (iou(found.masks, expected.masks) >= 0.995)).all()


@pytest.mark.slow
@pytest.mark.parametrize("bundle_name", ["small", "intel-bundle"])
def test_same_instances_on_all_routes_with_boxes_and_batches(library, work, bundle_name):
    bundle = work / bundle_name
    compared = 0
    with (
        Segmenter.load(bundle, runtime="native", threshold=0.0) as ours,
        Segmenter.load(bundle, threshold=0.0) as theirs,
    ):
        assert ours.device == theirs.device
        assert ours.precision == theirs.precision
        for _, image, sets in pictures(bundle):
            frames = ours.encode(image), theirs.encode(image)
            for prompts in sets:
                for found, expected in zip(*(frame.segment(prompts) for frame in frames), strict=True):
                    assert_same(found, expected)
                    compared += 1
    assert compared > 5


@pytest.mark.slow
def test_texts_that_need_repair(segmenter, work):
    texts = [
        "fiancÃ© &amp; cafÃ©",
        "red\0 mug",
        "a \ud800 cup",
        "‘Ｆｕｌｌ　ｗｉｄｔｈ’",
        "<b>&lt;mug&gt;",
        "\x1b[31mred",
    ]
    with Segmenter.load(work / "small", threshold=0.0) as theirs:
        for found, expected in zip(segmenter.segment(IMAGE, texts), theirs.segment(IMAGE, texts), strict=True):
            assert_same(found, expected)


@pytest.mark.slow
def test_pictures_of_any_memory_layout(segmenter):
    plain = segmenter.segment(np.ascontiguousarray(IMAGE[::-1, :, ::-1]), "mug")
    assert_same(segmenter.segment(IMAGE[::-1, :, ::-1], "mug"), plain)


@pytest.mark.slow
def test_threshold_and_what_outlives_the_segmenter(library, work):
    segmenter = Segmenter.load(work / "small", runtime="native", threshold=0.0)
    frame = segmenter.encode(IMAGE)
    every = frame.segment("mug")
    segmenter.threshold = float(every.scores[0])
    assert len(frame.segment("mug")) < len(every)
    assert frame.segment("mug").masks.shape[1:] == IMAGE.shape[:2]
    segmenter.threshold = 0.0
    assert frame.segment([]) == []
    before = every.masks.copy()
    del segmenter
    assert_same(frame.segment("mug"), every)
    del frame
    assert (every.masks == before).all()


@pytest.mark.slow
def test_errors_are_the_python_sides(segmenter, library, work, tmp_path):
    outside = Prompt("mug", boxes=[Box(0, 0, IMAGE.shape[1] + 1, 5)])
    for ask in (lambda: segmenter.segment(IMAGE, outside), lambda: segmenter.encode(IMAGE).segment(outside)):
        with pytest.raises(PromptError, match="reaches outside the image"):
            ask()
    with pytest.raises(ImageError, match="expected \\(H, W, 3\\) uint8 RGB"):
        segmenter.encode(IMAGE[..., 0])
    with pytest.raises(BundleError, match="does not exist"):
        Segmenter.load(tmp_path / "none", runtime="native")
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown runtime 'openvno'.*Did you mean 'openvino'"):
        Segmenter.load(work / "small", runtime="native:openvno")
    with pytest.raises(RuntimeUnavailableError, match="Unknown device of OpenVINO here 'nonsense'"):
        Segmenter.load(work / "small", runtime="native:openvino", device="nonsense")
    with pytest.raises(PromptError, match="The threshold is 2"):
        Segmenter.load(work / "small", runtime="native", threshold=2)
    with pytest.raises(RuntimeUnavailableError, match="keeps what single graphs give"):
        _ = segmenter.encode(IMAGE).features
    with pytest.raises(RuntimeUnavailableError, match="keeps what single graphs give"):
        segmenter.encode_texts([("mug", "concept")])
    frame = segmenter.encode(IMAGE)
    segmenter.close()
    for ask in (lambda: segmenter.encode(IMAGE), lambda: frame.segment("mug"), lambda: segmenter.device):
        with pytest.raises(RuntimeUnavailableError, match="This Segmenter is closed"):
            ask()


@pytest.mark.slow
def test_threads_share_one(segmenter):
    expected = [segmenter.segment(IMAGE, f"cup {number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(lambda number: segmenter.segment(IMAGE, f"cup {number}"), range(4)))
            for mine, other in zip(found, expected, strict=True):
                assert_same(mine, other)


@pytest.mark.slow
def test_verify_on_loading(library, chosen, work, tmp_path):
    Segmenter.load(work / "small", runtime="native", verify=True).close()
    copy = shutil.copytree(work / "small", tmp_path / "copy")
    perturb(copy, "text", 0.5)
    Segmenter.load(copy, runtime="native").close()
    with pytest.raises(BundleError, match=r"first at text/text.*Do not use it here; sam3i-segment --verify"):
        Segmenter.load(copy, runtime="native", verify=True)


@pytest.mark.slow
def test_warnings_come_by_the_logger(segmenter, caplog):
    with caplog.at_level(logging.WARNING, "sam3i_edge"):
        segmenter.segment(IMAGE, "mug " * 40)
    assert "The text has 42 tokens; the model reads the first 32." in caplog.messages


def test_a_library_that_is_not_there_or_is_another(monkeypatch, tmp_path):
    monkeypatch.setenv(native.LIBRARY_VARIABLE, str(tmp_path / "libnone.so"))
    with pytest.raises(RuntimeUnavailableError, match=r"libnone\.so cannot be loaded .*docs/cpp\.md.*SAM3I_EDGE_LIBR"):
        Segmenter.load(tmp_path, runtime="native")
    monkeypatch.setenv(native.LIBRARY_VARIABLE, "libc.so.6")
    with pytest.raises(RuntimeUnavailableError, match=r"libc\.so\.6 has no function sam3i_last_error: it is not"):
        Segmenter.load(tmp_path, runtime="native")
