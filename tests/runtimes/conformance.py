"""What every engine, and every runtime, must do. A new runtime is a module and a subclass of ``Conformance``."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sam3i_edge import Box, Prompt, Segmenter
from sam3i_edge.benchmarks.scenarios import Player, WorkloadItem
from sam3i_edge.benchmarks.stages import StageClock
from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.engine import STAGES
from sam3i_edge.errors import BundleError, PromptError, RuntimeUnavailableError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.confidence import measure_confidence
from sam3i_edge.golden import read_golden
from sam3i_edge.graphs import FEATURES, GraphSpec
from sam3i_edge.manifest import read_manifest
from sam3i_edge.overlay import write_image
from sam3i_edge.prompt import ROUTES
from sam3i_edge.runtimes import SessionOptions, default_device, find_runtime, open_session
from sam3i_edge.verification import verify
from tests.conftest import CASES, iou

STATM = Path("/proc/self/statm")

SOAK = """
import sys
import numpy as np
from sam3i_edge import Segmenter

runtime, bundle, image, statm = sys.argv[1:]
image = np.load(image)
with Segmenter.load(bundle, runtime=runtime, threshold=0.0) as segmenter:
    for number in range(2500):
        segmenter.segment(image, f"cup {number % 7}")
        if number % 250 == 249:
            print(int(open(statm).read().split()[1]) * 4096 / 1e6)
"""
"""Its memory in MB after every 250 frames."""

RETURN_MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""For glibc: what is freed goes back at once. Without it OpenVINO's process grew by steps, to 355 MB in 5,000 frames,
in company to 363 in 2,500; with it it stayed at 282 MB in most runs, not in all."""

PROMPTS = [
    Prompt(f"cup {i}", ROUTES[i % 3], *([Box(10, 20, 200, 150)], [Box(0, 0, 50, 50)]) * (i % 4 == 1)) for i in range(16)
]


class EngineConformance:
    """What every ``Engine`` must do, under a ``Segmenter``, ``verify``, the evaluation and the benchmark.

    Runs on the bundle of the recorded small model, in fp32.
    """

    def load(self, bundle, **options):
        """A segmenter on a new engine, with the threshold 0."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def clock(cls):
        return StageClock()

    @pytest.fixture(scope="class")
    @classmethod
    def segmenter(cls, bundle, clock):
        with cls().load(bundle, observer=clock) as segmenter:
            yield segmenter

    def test_golden_cases(self, bundle, segmenter):
        verdict = verify(segmenter.engine, read_golden(bundle))
        assert verdict.passed, verdict.problem
        assert min(answer.mask_iou for answer in verdict.answers) >= 0.99
        assert max(answer.score_change for answer in verdict.answers) <= 2e-3

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_recorded_cases(self, segmenter, case):
        """Against the published code; what is left is mostly the resize's."""
        found = segmenter.segment(case.image, case.prompt, threshold=case.threshold)
        assert len(found) == len(case.final)
        assert found.route == case.prompt.route
        assert np.abs(found.boxes - case.final.boxes).max() <= 0.5
        assert np.abs(found.scores - case.final.scores).max() <= 2e-3
        assert iou(found.masks, case.final.masks).min() >= 0.98

    def test_every_batch_size_and_mixed_routes(self, segmenter):
        frame = segmenter.encode(CASES[0].image)
        alone = [frame.segment(prompt) for prompt in PROMPTS]
        for size in range(2, segmenter.manifest.runtime.limits.max_prompts + 1):
            for found, expected in zip(frame.segment(PROMPTS[:size]), alone, strict=False):
                assert found.route == expected.route
                np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
                np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
                assert (found.graph_masks == expected.graph_masks).mean() > 0.999

    def test_what_the_operations_give(self, segmenter):
        engine, (height, width) = segmenter.engine, CASES[0].image.shape[:2]
        side, limits = engine.manifest.runtime.model.image_size, engine.manifest.runtime.limits
        pixels = engine.preprocess(CASES[0].image)
        assert (pixels.shape, pixels.dtype) == ((1, side, side, 3), np.uint8)
        features = engine.encode(CASES[0].image)
        assert set(features) == set(FEATURES)
        texts, padding = engine.encode_texts([("mug", "concept"), ("mug", "simple"), ("mug", "concept")])
        assert (texts.dtype, padding.dtype, texts.shape[:2]) == (np.float32, bool, padding.shape)
        assert (texts[0] == texts[2]).all() and not (texts[0] == texts[1]).all()
        outputs = engine.ground(features, PROMPTS[:2], width, height)
        assert {name: len(values) for name, values in outputs.items()} == dict.fromkeys(
            ("logits", "presence", "boxes", "masks", "query_index"), 2
        )
        assert outputs["logits"].shape == (2, limits.max_instances)

    def test_routes(self, segmenter):
        assert segmenter.engine.route_of(Prompt("mug", "complex")) == "complex"
        assert segmenter.engine.route_of(Prompt("mug")) == "concept"

    def test_bad_boxes_are_refused(self, segmenter):
        frame = segmenter.encode(CASES[0].image)
        with pytest.raises(PromptError, match="320 wide and 240 high"):
            frame.segment("mug", boxes=[Box(0, 0, 321, 9)])
        with pytest.raises(PromptError, match="has 17 boxes; this bundle takes 16"):
            frame.segment("mug", boxes=[Box(0, 0, 9, 9)] * 17)

    def test_features_outlive_the_next_image(self, segmenter):
        frame = segmenter.encode(CASES[0].image)
        before = {name: np.array(value) for name, value in frame.features.items()}
        segmenter.encode(255 - CASES[0].image)
        for name, value in frame.features.items():
            assert (np.asarray(value) == before[name]).all()

    def test_stages_are_observed(self, segmenter, clock):
        segmenter.engine.clear_caches()
        clock.take()
        segmenter.segment(CASES[0].image, "mug")
        stages, calls = clock.take()
        assert all(ms > 0 for ms in stages.values()), stages
        assert calls == len(STAGES)

    def test_a_benchmark_plays_on_it(self, segmenter, clock):
        turn = Player(segmenter, [WorkloadItem("mugs", CASES[0].image, (Prompt("mug"),))], clock).frame(0)
        assert 0 < sum(turn.stages_ms.values()) <= turn.ms

    def test_an_evaluation_asks_it(self, segmenter, tmp_path):
        found = segmenter.segment(CASES[0].image, Prompt("mug", "concept"))[:1]
        write_image(tmp_path / "1.png", CASES[0].image)
        (rle,) = found.rle()
        target = Instance(0, rle, (0, 0, 1, 1))
        sample = Sample(1, tmp_path / "1.png", 320, 240, (target,), (Query("mug", "concept", (0,)),))
        least = Segmenter(segmenter.engine, float(found.scores[0]) - 1e-6)
        assert evaluate(least, [sample], ("concept",)).routes["concept"].giou == pytest.approx(100, abs=1e-3)
        assert measure_confidence(least, [sample])["concept"].texts == 1

    @pytest.mark.parametrize("calls", [5, pytest.param(500, marks=pytest.mark.slow)])
    def test_threads_share_segmenters(self, bundle, segmenter, calls):
        """Four threads on two of them; all must say what the first says alone."""
        with self.load(bundle) as other:
            self.hammer([segmenter, segmenter, other, other], calls)

    def hammer(self, segmenters, calls):
        images = [CASES[0].image, CASES[0].image[::-1].copy()]
        expected = [segmenters[0].segment(image, PROMPTS[:3]) for image in images]
        wrong = []

        def work(number):
            for call in range(calls):
                which = (number + call) % 2
                for found, right in zip(
                    segmenters[number].segment(images[which], PROMPTS[:3]), expected[which], strict=True
                ):
                    if not np.allclose(found.scores, right.scores, atol=1e-6):
                        wrong.append((number, call))

        with ThreadPoolExecutor(len(segmenters)) as pool:
            list(pool.map(work, range(len(segmenters))))  # raises what any of them did
        assert not wrong

    def test_two_segmenters_at_once_and_again_after_closing(self, bundle, segmenter):
        image = CASES[0].image
        expected = segmenter.segment(image, PROMPTS[1])
        for _ in range(3):
            with self.load(bundle) as other:
                assert (other.segment(image, PROMPTS[1]).scores == expected.scores).all()
            with pytest.raises(RuntimeUnavailableError, match="is closed"):
                other.encode(image)
        assert (segmenter.segment(image, PROMPTS[1]).scores == expected.scores).all()


class Conformance(EngineConformance):
    """What every runtime must do: an engine of its sessions, and the sessions alone."""

    runtime: str
    missing_device: str
    """A device that the runtime knows and no test machine has."""
    prepare = ""
    """What another process must run before it can load this runtime."""

    def load(self, bundle, **options):
        return Segmenter.load(bundle, runtime=self.runtime, threshold=0.0, **options)

    def open(self, file, **options):
        return open_session(self.runtime, file, SessionOptions(**{"device": default_device(self.runtime), **options}))

    def text_session(self, bundle):
        return self.open(bundle / "graphs/text.onnx")

    def test_says_what_runs(self, segmenter):
        assert find_runtime(self.runtime).version() in segmenter.device

    def test_its_devices_hold_the_default_one(self):
        assert default_device(self.runtime) in find_runtime(self.runtime).devices()

    def test_inputs_are_left_as_they_are(self, bundle):
        session = self.text_session(bundle)
        inputs = _zeros(read_manifest(bundle).runtime.graphs["text"], 2)
        first = np.array(session.run(inputs)["text"])
        assert not inputs["tokens"].any()
        inputs["tokens"][:] = 7  # whoever made them may change them afterwards
        assert (np.asarray(session.run(_zeros(read_manifest(bundle).runtime.graphs["text"], 2))["text"]) == first).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"tokens": None}, r"text\.onnx: the input 'tokens' is missing"),
            ({"tokns": np.zeros(1)}, r"text\.onnx: Unknown input 'tokns'.*Did you mean 'tokens'"),
            ({"gates": np.zeros((2, 3))}, r"'gates' is float64; it must be float32"),
            ({"gates": np.zeros((2, 4), np.float32)}, r"'gates' is 2 x 4; it must be N x 3"),
            ({"gates": np.zeros((3, 3), np.float32), "tokens": np.zeros((2, 32), np.int32)}, "N alike for all inputs"),
            ({"gates": np.zeros(3, np.float32)}, r"'gates' is 3; it must be N x 3"),
        ],
    )
    def test_inputs_that_do_not_fit(self, bundle, change, message):
        inputs = _zeros(read_manifest(bundle).runtime.graphs["text"], 2) | change
        session = self.text_session(bundle)
        with pytest.raises(BundleError, match=message):
            session.run({name: value for name, value in inputs.items() if value is not None})
        session.run(_zeros(read_manifest(bundle).runtime.graphs["text"], 2))  # and goes on

    def test_a_file_that_is_no_graph(self, tmp_path):
        (tmp_path / "graph.onnx").write_bytes(b"no graph")
        with pytest.raises(BundleError, match=r"cannot (open|read) .*graph\.onnx"):
            self.open(tmp_path / "graph.onnx")

    def test_devices_that_are_not_here(self, bundle):
        with pytest.raises(RuntimeUnavailableError, match=r"Unknown device .*'nonsense'.*Known: "):
            self.open(bundle / "graphs/text.onnx", device="nonsense")
        with pytest.raises(RuntimeUnavailableError, match=self.missing_device):
            self.open(bundle / "graphs/text.onnx", device=self.missing_device)

    @pytest.mark.slow
    @pytest.mark.skipif(not STATM.exists(), reason="reads a process's memory where only Linux tells it")
    def test_memory_does_not_grow(self, bundle, tmp_path):
        """In a process of its own: in this one, other tests' arrays come and go."""
        np.save(tmp_path / "image.npy", CASES[0].image)
        arguments = [self.runtime, str(bundle), str(tmp_path / "image.npy"), str(STATM)]
        command = [sys.executable, "-c", self.prepare + SOAK, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | RETURN_MEMORY)
        assert ran.returncode == 0, ran.stderr
        sizes = [float(size) for size in ran.stdout.split()]
        assert len(sizes) == 10
        # The runtime's pools may grow by steps, some 60 MB in all; a leak of one frame's arrays would be far more.
        assert sizes[-1] - sizes[0] < 100, f"resident MB after every 250 frames: {sizes}"


def _zeros(spec: GraphSpec, rows: int) -> dict[str, np.ndarray]:
    return {
        port.name: np.zeros([rows if isinstance(side, str) else side for side in port.shape], port.dtype)
        for port in spec.inputs
    }
