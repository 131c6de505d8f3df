"""Which candidates are instances: a least score for each route, and suppression of duplicates."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sam3i_edge import Prompt, Segmenter
from sam3i_edge.errors import ConfigError, PromptError
from sam3i_edge.instances import postprocess
from sam3i_edge.manifest import Manifest, parse_manifest, read_manifest
from sam3i_edge.postprocessing import POSTPROCESSING_FILE, Postprocessing, without_duplicates
from sam3i_edge.prompt import ROUTES
from tests.conftest import CASES
from tests.damages import changed, content_of, edit, in_runtime, of_runtime

PROMPTS = [Prompt("mug", route) for route in ROUTES]
OWN = {"thresholds": {"concept": 0, "simple": 1, "complex": 0}, "nms": 0.5}


def logits(*masks: str) -> np.ndarray:
    """Of masks of one row; ``#`` is inside."""
    values = {"#": 0.5, ".": -0.5, "0": 0.0}
    return np.array([[[values[pixel] for pixel in mask]] for mask in masks], np.float32)


def one_by_one(mask_logits: np.ndarray, nms: float) -> list[int]:
    """The same, pair by pair, on sets of pixels."""
    masks = [set(np.flatnonzero(mask > 0)) for mask in mask_logits]
    kept: list[int] = []
    for i, mask in enumerate(masks):
        if not any(len(mask & masks[k]) > nms * len(mask | masks[k]) for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize(
    ("masks", "nms", "kept"),
    [
        (("####", "###.", "...#"), 0.7, [0, 2]),
        (("####", "###.", "...#"), 0.75, [0, 1, 2]),  # an IoU of 3/4 is no greater
        (("####....", "..####..", "....####"), 0.3, [0, 2]),  # what is left out leaves out nothing
        (("..####..", "####....", "....####"), 0.3, [0]),
        (("####", "####"), 1, [0, 1]),
        (("....", "....", "0000", "####", "####"), 0.01, [0, 1, 2, 3]),  # empty ones are like no other
        (("####",), 0.5, [0]),
    ],
)
def test_of_masks_that_overlap_more_the_best_stays(masks, nms, kept):
    found = without_duplicates(logits(*masks), nms)
    assert (found.tolist(), found.dtype) == (kept, np.int64)
    assert one_by_one(logits(*masks), nms) == kept


def test_of_no_masks_none_stays():
    assert without_duplicates(np.zeros((0, 8, 8), np.float32), 0.5).tolist() == []


@pytest.mark.parametrize("nms", [0.05, 0.3, 0.5, 2 / 3, 0.9])
def test_of_many_masks_those_stay_that_stay_one_by_one(nms):
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:20, :20]
    discs = [np.hypot(rows - y, columns - x) < r for y, x, r in rng.integers(0, 20, (60, 3)) // 5 * 5]
    masks = np.stack(discs).astype(np.float32) - 0.5
    found = without_duplicates(masks, nms).tolist()
    assert found == one_by_one(masks, nms)
    assert 1 < len(found) < 60


def test_duplicates_go_with_their_scores_and_boxes():
    outputs = {
        "logits": np.array([0, 2, 2, 1], np.float32),
        "presence": np.array([9], np.float32),
        "boxes": np.arange(16, dtype=np.float32).reshape(4, 4) / 16,
        "masks": logits("#...", ".###", ".##.", "#..."),
    }

    def found(threshold: float, nms: float):
        return postprocess(
            outputs, width=16, height=16, threshold=threshold, route="simple", prompt=Prompt("mug"), nms=nms
        )

    distinct = found(0, 0.6)
    assert distinct.boxes[:, 0].tolist() == [4, 12]  # of equal scores the first
    assert distinct.scores.tolist() == found(0, 1).scores[[0, 2]].tolist()
    assert (distinct.mask_logits == outputs["masks"][[1, 3]]).all()
    assert [len(found(*which)) for which in ((0, 1), (0.8, 0.6), (1, 0.6))] == [4, 1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thresholds": {"simple": 0.5}}, "thresholds are of simple; give concept, simple, complex"),
        ({"thresholds": {}}, "thresholds are of nothing; give"),
        ({"thresholds": dict.fromkeys([*ROUTES, "auto"], 0.5)}, "thresholds are of auto, complex, concept, simple;"),
        ({"thresholds": dict.fromkeys(ROUTES, 1.5)}, "The threshold is 1.5; it must be a number between 0 and 1"),
        ({"thresholds": dict.fromkeys(ROUTES, float("nan"))}, "The threshold is nan"),
        ({"nms": 0.0}, "nms is 0.0; it must be a number above 0 and at most 1"),
        ({"nms": 1.1}, "nms is 1.1"),
        ({"nms": True}, "nms is True"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Postprocessing(**values)


def test_what_is_given_takes_the_place_of_the_models_own():
    own = Postprocessing({"concept": 0.2, "simple": 0.3, "complex": 0.4}, 0.7)
    assert own.with_(None, None) == own
    assert own.with_(0, None) == Postprocessing(dict.fromkeys(ROUTES, 0.0), 0.7)
    assert own.with_(None, 1) == Postprocessing(own.thresholds, 1.0)
    for threshold, nms in ((2, None), (None, 0), (None, float("nan")), (True, None), (None, "1")):
        with pytest.raises(PromptError):
            own.with_(threshold, nms)


def test_it_lies_beside_a_checkpoint(tmp_path):
    assert Postprocessing.of_checkpoint(tmp_path / "checkpoint.pt") == Postprocessing()
    (tmp_path / POSTPROCESSING_FILE).write_text(json.dumps(OWN))
    found = Postprocessing.of_checkpoint(tmp_path / "checkpoint.pt")
    assert found == Postprocessing({"concept": 0.0, "simple": 1.0, "complex": 0.0}, 0.5)


@pytest.mark.parametrize("content", ["{", "[]", '{"nms": 2}', '{"surprise": 1}', '{"thresholds": {"simple": "x"}}'])
def test_a_file_beside_a_checkpoint_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / POSTPROCESSING_FILE).write_text(content)
    with pytest.raises(ConfigError, match=r"postprocessing\.json: .* Make one with `sam3i-edge evaluate thresholds`"):
        Postprocessing.of_checkpoint(tmp_path / "checkpoint.pt")


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    return shutil.copytree(bundle, tmp_path / "copy")


def counts(segmenter: Segmenter, threshold: float | None = None) -> list[int]:
    return [len(found) for found in segmenter.segment(CASES[0].image, PROMPTS, threshold=threshold)]


def test_a_segmenter_has_the_bundles_own_unless_others_are_given(copy):
    of_runtime("postprocessing", value=OWN)(copy)
    segmenter = Segmenter.load(copy)
    most = segmenter.manifest.runtime.limits.max_instances
    assert segmenter.postprocessing == segmenter.manifest.runtime.postprocessing == Postprocessing(**OWN)
    first, second, third = counts(segmenter)
    assert 0 < first < most and 0 < third < most  # duplicates are left out
    assert second == 0
    assert counts(segmenter, threshold=0)[1] > 0
    assert counts(segmenter, threshold=1) == [0, 0, 0]
    assert counts(Segmenter(segmenter.engine, nms=1)) == [most, 0, most]
    assert counts(Segmenter(segmenter.engine, threshold=0, nms=1)) == [most] * 3


def test_nothing_found_has_no_duplicates(bundle):
    with Segmenter.load(bundle, threshold=1.0, nms=0.5) as segmenter:
        assert counts(segmenter) == [0, 0, 0]


@pytest.mark.parametrize("nms", [0, -0.5, 1.5, float("nan"), True, "0.5"])
def test_nms_out_of_range(tmp_path, nms):
    with pytest.raises(PromptError, match="must be a number above 0 and at most 1, which suppresses nothing"):
        Segmenter.load(tmp_path, nms=nms)


def read(bundle: Path) -> Manifest:
    return parse_manifest((bundle / "manifest.json").read_bytes(), bundle)


def test_a_bundle_of_format_2_0_has_the_defaults(copy):
    in_runtime(lambda runtime: runtime.pop("postprocessing"), format_version="2.0")(copy)
    assert read(copy).runtime.postprocessing == Postprocessing()
    with Segmenter.load(copy) as segmenter:
        assert segmenter.postprocessing.thresholds == dict.fromkeys(ROUTES, 0.5)
        assert segmenter.postprocessing.nms == 1


def test_a_part_of_the_section_leaves_the_rest_at_its_default(copy):
    of_runtime("postprocessing", value={"nms": 0.25})(copy)
    assert read(copy).runtime.postprocessing == Postprocessing(nms=0.25)
    of_runtime("postprocessing", value={})(copy)
    assert read(copy).runtime.postprocessing == Postprocessing()


def test_a_later_version_may_add_to_it(copy):
    changed(lambda content: content["runtime"]["postprocessing"].update(later=1))(copy)
    edit(format_version="2.7")(copy)
    assert read_manifest(copy).runtime.postprocessing == Postprocessing()
    assert read_manifest(copy).is_newer
    assert content_of(copy)["runtime"]["postprocessing"]["later"] == 1
