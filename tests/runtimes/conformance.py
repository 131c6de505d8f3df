"""What every runtime must do. A new one is a module and a subclass of ``Conformance``."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sam3i_edge import Prompt, Segmenter
from sam3i_edge.bundle import read_manifest
from sam3i_edge.compare import TOLERANCES
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.golden import read_golden
from sam3i_edge.graphs import GraphSpec
from sam3i_edge.runtimes import SessionOptions, default_device, find_runtime, open_session
from sam3i_edge.verify import verify
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

PROMPTS = [Prompt(f"cup {i}", route=("concept", "simple", "complex")[i % 3]) for i in range(16)]


class Conformance:
    """Runs on the bundle of the recorded small model, in fp32."""

    runtime: str
    missing_device: str
    """A device that the runtime knows and no test machine has."""
    prepare = ""
    """What another process must run before it can load this runtime."""

    @pytest.fixture(scope="class")
    @classmethod
    def segmenter(cls, bundle):
        with Segmenter.load(bundle, runtime=cls.runtime, threshold=0.0) as segmenter:
            yield segmenter

    def open(self, file, **options):
        return open_session(self.runtime, file, SessionOptions(**{"device": default_device(self.runtime), **options}))

    def text_session(self, bundle):
        return self.open(bundle / "graphs/text.onnx")

    def test_says_what_runs(self, segmenter):
        assert find_runtime(self.runtime).version() in segmenter.device

    def test_its_devices_hold_the_default_one(self):
        assert default_device(self.runtime) in find_runtime(self.runtime).devices()

    def test_golden_cases(self, bundle, segmenter):
        verdict = verify(segmenter, read_golden(bundle))
        assert verdict.passed, verdict.problem
        assert min(answer.mask_iou for answer in verdict.answers) >= 0.99
        assert max(answer.score_change for answer in verdict.answers) <= 2e-3

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_recorded_cases(self, segmenter, case):
        """Against the published code; what is left is mostly the resize's (see test_segmenter)."""
        segmenter.threshold = case.threshold
        found = segmenter.segment(case.image, case.prompt)
        segmenter.threshold = 0.0
        assert len(found) == len(case.final)
        assert np.abs(found.scores - case.final.scores).max() < 2e-3
        assert iou(found.masks, case.final.masks).min() >= 0.98

    def test_every_batch_size_and_mixed_routes(self, segmenter):
        frame = segmenter.encode(CASES[0].image)
        alone = [frame.segment(prompt) for prompt in PROMPTS]
        for size in range(2, segmenter.manifest.limits.max_prompts + 1):
            for found, expected in zip(frame.segment(PROMPTS[:size]), alone, strict=False):
                assert found.route == expected.route
                np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
                np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)

    def test_features_outlive_the_next_image(self, segmenter):
        frame = segmenter.encode(CASES[0].image)
        before = {name: np.array(value) for name, value in frame.features.items()}
        segmenter.encode(255 - CASES[0].image)
        for name, value in frame.features.items():
            assert (np.asarray(value) == before[name]).all()

    def test_inputs_are_left_as_they_are(self, bundle):
        session = self.text_session(bundle)
        inputs = _zeros(read_manifest(bundle).graphs["text"], 2)
        first = np.array(session.run(inputs)["text"])
        assert not inputs["tokens"].any()
        inputs["tokens"][:] = 7  # whoever made them may change them afterwards
        assert (np.asarray(session.run(_zeros(read_manifest(bundle).graphs["text"], 2))["text"]) == first).all()

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
        inputs = _zeros(read_manifest(bundle).graphs["text"], 2) | change
        session = self.text_session(bundle)
        with pytest.raises(BundleError, match=message):
            session.run({name: value for name, value in inputs.items() if value is not None})
        session.run(_zeros(read_manifest(bundle).graphs["text"], 2))  # and goes on

    def test_a_file_that_is_no_graph(self, tmp_path):
        (tmp_path / "graph.onnx").write_bytes(b"no graph")
        with pytest.raises(BundleError, match=r"cannot (open|read) .*graph\.onnx"):
            self.open(tmp_path / "graph.onnx")

    def test_devices_that_are_not_here(self, bundle):
        with pytest.raises(RuntimeUnavailableError, match=r"Unknown device .*'nonsense'.*Known: "):
            self.open(bundle / "graphs/text.onnx", device="nonsense")
        with pytest.raises(RuntimeUnavailableError, match=self.missing_device):
            self.open(bundle / "graphs/text.onnx", device=self.missing_device)

    def test_threads_share_a_segmenter(self, segmenter):
        self.hammer([segmenter] * 4, calls=5)

    @pytest.mark.slow
    def test_threads_share_a_segmenter_for_long(self, segmenter):
        self.hammer([segmenter] * 2, calls=500)

    def test_two_segmenters_in_two_threads(self, bundle, segmenter):
        with Segmenter.load(bundle, runtime=self.runtime, threshold=0.0) as other:
            self.hammer([segmenter, other], calls=5)

    @pytest.mark.slow
    def test_two_segmenters_in_two_threads_for_long(self, bundle, segmenter):
        with Segmenter.load(bundle, runtime=self.runtime, threshold=0.0) as other:
            self.hammer([segmenter, other], calls=500)

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

    def hammer(self, segmenters, calls):
        """One thread for each, which may be the same ones; all must say what the first says alone."""
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
            with Segmenter.load(bundle, runtime=self.runtime, threshold=0.0) as other:
                assert (other.segment(image, PROMPTS[1]).scores == expected.scores).all()
            with pytest.raises(RuntimeUnavailableError, match="is closed"):
                other.encode(image)
        assert (segmenter.segment(image, PROMPTS[1]).scores == expected.scores).all()

    def test_tolerance_of_its_precision(self, segmenter):
        assert segmenter.precision in TOLERANCES


def _zeros(spec: GraphSpec, rows: int) -> dict[str, np.ndarray]:
    return {
        port.name: np.zeros([rows if isinstance(side, str) else side for side in port.shape], port.dtype)
        for port in spec.inputs
    }
