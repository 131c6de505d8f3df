"""From a raw image and a text to instances, through the exported graphs."""

import dataclasses
import logging
import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from sam3i_edge import Box, Prompt, Segmenter
from sam3i_edge.byte_lru import ByteLru
from sam3i_edge.engine import check_finite
from sam3i_edge.errors import BundleError, ImageError, PromptError, RuntimeUnavailableError
from sam3i_edge.graph_engine import TOKEN_CACHE_BYTES
from sam3i_edge.tokenizer import Tokenizer
from tests.conftest import CASES


@pytest.fixture(scope="module")
def segmenter(bundle) -> Segmenter:
    return Segmenter.load(bundle, threshold=0.0)


def test_shapes_and_types(segmenter):
    found = segmenter.segment(CASES[0].image, "mug")
    count, (height, width) = len(found), CASES[0].image.shape[:2]
    assert count == segmenter.manifest.runtime.limits.max_instances
    assert (found.masks.shape, found.masks.dtype) == ((count, height, width), bool)
    assert (found.boxes.shape, found.boxes.dtype) == ((count, 4), np.float32)
    assert (found.scores.shape, found.scores.dtype) == ((count,), np.float32)
    assert np.all(np.diff(found.scores) <= 0)


def test_nothing_found(segmenter):
    found = segmenter.segment(CASES[0].image, "mug", threshold=1.0)
    assert (found.masks.shape, found.boxes.shape, found.scores.shape) == ((0, 240, 320), (0, 4), (0,))
    assert found.to_coco() == []
    assert len(segmenter.segment(CASES[0].image, "mug")) > 0  # the threshold was for one call
    with pytest.raises(AttributeError):
        segmenter.postprocessing = None


def test_more_prompts_than_one_call_takes(segmenter):
    limit = segmenter.manifest.runtime.limits.max_prompts
    prompts = [f"mug {i}" for i in range(2 * limit + 1)]
    frame = segmenter.encode(CASES[0].image)
    found = frame.segment(prompts)
    assert len(found) == len(prompts)
    np.testing.assert_allclose(found[-1].scores, frame.segment(prompts[-1]).scores, rtol=1e-5)


def test_boxes_matter(segmenter):
    frame = segmenter.encode(CASES[0].image)
    none, positive, negative = frame.segment(
        [
            Prompt("mug", route="concept"),
            Prompt("mug", route="concept", boxes=[Box(0, 0, 50, 50)]),
            Prompt("mug", route="concept", negative_boxes=[Box(0, 0, 50, 50)]),
        ]
    )
    assert not np.allclose(none.scores, positive.scores, atol=1e-4)
    assert not np.allclose(positive.scores, negative.scores, atol=1e-4)


def rows_run(session, monkeypatch):
    """A list that grows by the rows of each later run."""
    rows, run = [], session.run
    monkeypatch.setattr(session, "run", lambda inputs: (rows.append(len(next(iter(inputs.values())))), run(inputs))[1])
    return rows


def test_texts_are_encoded_once_per_route(bundle, monkeypatch):
    segmenter = Segmenter.load(bundle)
    runs = rows_run(segmenter.engine.sessions["text"], monkeypatch)
    frame = segmenter.encode(CASES[0].image)
    frame.segment(["mug", "mug", Prompt("mug", route="simple")])
    frame.segment("mug")
    segmenter.segment(CASES[1].image, ["mug", "cup"])
    assert runs == [2, 1]


def test_vision_runs_once_per_frame_and_not_for_a_bad_prompt(bundle, monkeypatch):
    segmenter = Segmenter.load(bundle)
    runs = rows_run(segmenter.engine.sessions["vision"], monkeypatch)
    frame = segmenter.encode(CASES[0].image)
    frame.segment(["mug", "cup"])
    frame.segment("what you drink from")
    assert len(runs) == 1
    with pytest.raises(PromptError):
        segmenter.segment(CASES[0].image, Prompt("mug", boxes=[Box(0, 0, 999, 9)]))
    assert len(runs) == 1


class Overflowing:
    """A session of which one value of one output is not finite, as half precision computes it where it overflows."""

    def __init__(self, session, output, value):
        self._session, self._output, self._value = session, output, value
        self.device = session.device

    def run(self, inputs):
        outputs = {name: np.array(values) for name, values in self._session.run(inputs).items()}
        outputs[self._output].flat[-1] = self._value
        return outputs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("graph", "output"),
    [
        ("vision", "fine"),
        ("vision", "coarse"),
        ("text", "text"),
        *(("grounding", name) for name in ("logits", "presence", "boxes", "masks")),
    ],
)
def test_values_that_are_not_finite_are_no_answer(segmenter, monkeypatch, graph, output, value):
    session = Overflowing(segmenter.engine.sessions[graph], output, value)
    monkeypatch.setattr(segmenter.engine, "sessions", {**segmenter.engine.sessions, graph: session})
    segmenter.engine.clear_caches()
    message = rf"The {graph} graph computed values that are not finite \({output}\) on .*--precision fp32 or int8\."
    with pytest.raises(BundleError, match=message):
        segmenter.segment(CASES[0].image, "mug")


def test_values_whose_sum_overflows_are_finite():
    check_finite("vision", {"fine": np.full(9, 3e38, np.float32), "index": np.arange(3)}, "a device")


def test_a_long_text_does_not_hold_up_others(segmenter, monkeypatch):
    frame, inside, leave = segmenter.encode(CASES[0].image), threading.Event(), threading.Event()
    encode = Tokenizer.encode

    def slow(self, text):
        if text == "a long one":
            inside.set()
            assert leave.wait(30)
        return encode(self, text)

    monkeypatch.setattr(Tokenizer, "encode", slow)
    found = []
    waiting = threading.Thread(target=lambda: found.append(frame.segment("a long one")))
    waiting.start()
    assert inside.wait(30)
    others = [threading.Thread(target=lambda i=i: found.append(frame.segment(f"another {i}"))) for i in range(7)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(30)
    assert len(found) == 7
    leave.set()
    waiting.join()
    assert len(found) == 8


def test_of_many_prompts_only_what_was_found_is_held(segmenter):
    frame, limits = segmenter.encode(CASES[0].image), segmenter.manifest.runtime.limits
    prompts = [f"mug {i}" for i in range(6 * limits.max_prompts)]
    frame.segment(prompts)
    tracemalloc.start()
    found = frame.segment(prompts, threshold=1.0)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    masks = limits.max_instances * (4 * segmenter.manifest.runtime.model.grid_size) ** 2 * 4  # bytes of one prompt
    assert len(found) == len(prompts)
    assert held < masks
    assert peak < 4 * limits.max_prompts * masks


def test_what_is_kept_of_texts_is_bounded(segmenter):
    engine, long = segmenter.engine, "mug " * 200_000
    for i in range(12):
        engine.route_of(Prompt(f"{i} {long}"))
    assert 0 < engine._known_tokens.held <= TOKEN_CACHE_BYTES
    kept = ByteLru(100)
    for number in range(9):
        kept.put(number, str(number), 30)
    kept.put("too large", "", 101)
    assert [kept.get(number) for number in range(9)] == [None] * 6 + ["6", "7", "8"]
    assert (kept.get("too large"), kept.held) == (None, 90)


def test_no_prompts_no_answers(segmenter):
    assert segmenter.segment(CASES[0].image, []) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (40, 20000, 3)])
def test_extreme_sizes(segmenter, shape):
    found = segmenter.segment(np.full(shape, 128, np.uint8), "mug")
    assert found.masks.shape[1:] == shape[:2]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_threshold_out_of_range(bundle, segmenter, threshold):
    with pytest.raises(PromptError, match="must be a number between 0 and 1"):
        Segmenter.load(bundle, threshold=threshold)
    with pytest.raises(PromptError, match="must be a number between 0 and 1"):
        segmenter.segment(CASES[0].image, "mug", threshold=threshold)


@pytest.mark.parametrize("prompt", [None, 3, {"mug"}, (part for part in ["mug"]), b"", b"mug"])
def test_prompts_of_a_wrong_type(segmenter, prompt):
    with pytest.raises(PromptError, match="give a str, a Prompt, or a list of them"):
        segmenter.segment(CASES[0].image, prompt)


def test_a_full_result_is_announced(bundle, caplog):
    """All 20 queries of the small model fit; a bundle that keeps fewer says when it may have dropped some."""
    segmenter = Segmenter.load(bundle, threshold=0.0)
    with caplog.at_level(logging.WARNING):
        segmenter.segment(CASES[0].image, "mug")
    assert "there may be more" not in caplog.text
    own = segmenter.manifest.runtime
    own = dataclasses.replace(own, model=dataclasses.replace(own.model, num_queries=200))
    segmenter.engine.manifest = dataclasses.replace(segmenter.manifest, runtime=own)
    with caplog.at_level(logging.WARNING):
        segmenter.segment(CASES[0].image, "mug")
    assert "found 20 instances, the most this bundle returns" in caplog.text


def test_images_of_every_kind(segmenter, tmp_path):
    image = CASES[0].image
    expected = segmenter.segment(image, "mug").scores
    file = tmp_path / "photo.png"
    Image.fromarray(image).save(file)
    for source in (Image.fromarray(image), file, str(file)):
        assert (segmenter.segment(source, "mug").scores == expected).all()
    with pytest.raises(ImageError, match=r"expected a NumPy array .*a PIL\.Image or a path"):
        segmenter.encode(image.tolist())


def test_a_turned_photograph_of_pillow_is_turned_back(segmenter):
    turned = Image.fromarray(np.rot90(CASES[0].image))
    turned.getexif()[0x0112] = 6  # shown turned right by 90 degrees
    frame = segmenter.encode(turned)
    assert (frame.width, frame.height) == (320, 240)


def test_bgr_frames(segmenter):
    """OpenCV's frames give what the same ones in RGB give, in every call that takes an image."""
    image = CASES[0].image
    bgr, expected = np.ascontiguousarray(image[..., ::-1]), segmenter.segment(image, "mug")
    swapped = segmenter.segment(bgr, "mug")
    assert not np.array_equal(swapped.scores, expected.scores)  # or the rest would prove nothing
    (frame,) = segmenter.encode_batch([bgr], color="bgr")
    for found in (
        segmenter.segment(bgr, "mug", color="bgr"),
        segmenter.encode(bgr, color="bgr").segment("mug"),
        segmenter.segment(bgr, ["mug"], color="bgr")[0],
        frame.segment("mug"),
    ):
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_array_equal(found.masks, expected.masks)
    assert np.array_equal(expected[:1].plot(bgr, color="bgr")[..., ::-1], expected[:1].plot(image))


def test_several_cameras(segmenter):
    images = [CASES[0].image, CASES[0].image[::2]]
    frames = segmenter.encode_batch(images)
    assert [(frame.width, frame.height) for frame in frames] == [(320, 240), (320, 120)]
    assert (frames[1].segment("mug").scores == segmenter.segment(images[1], "mug").scores).all()
    with pytest.raises(ImageError, match="COLOR_GRAY2RGB"):
        segmenter.encode_batch([images[0], images[0][..., 0]])
    for one in (None, "photo.png", Image.fromarray(images[0])):
        with pytest.raises(ImageError, match="encode_batch takes a list of images"):
            segmenter.encode_batch(one)


def test_boxes_and_route_beside_a_text(segmenter):
    boxes, negative = [Box(10, 20, 200, 150)], [Box(0, 0, 9, 9)]
    frame = segmenter.encode(CASES[0].image)
    found = frame.segment("mug", route="simple", boxes=boxes, negative_boxes=negative)
    assert found.prompt == Prompt("mug", "simple", boxes, negative)
    assert (found.scores == frame.segment(found.prompt).scores).all()
    for prompt in (Prompt("mug"), ["mug"]):
        for some in (boxes, np.zeros((0, 4)), None):
            with pytest.raises(PromptError, match="go with a single text"):
                frame.segment(prompt, boxes=some)


def test_warm_up_runs_every_graph_and_leaves_no_text(bundle, monkeypatch):
    observed = []
    with Segmenter.load(bundle, observer=lambda stage, ns: observed.append(stage)) as segmenter:
        segmenter.warm_up(prompts=3)
        assert {"vision", "text", "grounding"} <= set(observed)
        texts = rows_run(segmenter.engine.sessions["text"], monkeypatch)
        segmenter.segment(CASES[0].image, "warm-up 0")
    assert texts == [1]


@pytest.mark.parametrize("prompts", [0, -1, 1.5, "3", None])
def test_warm_up_with_no_number_of_prompts(segmenter, prompts):
    with pytest.raises(PromptError, match="a number of prompts, 1 or more"):
        segmenter.warm_up(prompts)


def test_the_route_of_a_text(segmenter):
    assert segmenter.route_of("mug") == segmenter.route_of(Prompt("mug"))
    with pytest.raises(PromptError, match="must be a str"):
        segmenter.route_of(3)


@pytest.mark.parametrize("names", [{"runtime": ""}, {"runtime": ["cpu"]}, {"device": None}, {"device": 3}])
def test_what_names_no_runtime_or_device(bundle, names):
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown runtime|give names"):
        Segmenter.load(bundle, **names)


def test_unknown_engine(bundle):
    with pytest.raises(RuntimeUnavailableError, match=r"Unknown engine 'nativ'.*Did you mean 'native'"):
        Segmenter.load(bundle, engine="nativ")
