"""What the ``Segmenter`` adds to OpenVINO's own time: against its ``benchmark_app``, and as a share of a frame.

    python -m sam3i_edge.benchmarks.overhead BUNDLE --image photo.jpg
    python -m sam3i_edge.benchmarks.overhead --full-width 2 BUNDLE        # makes the bundle first, with random weights

Run it on an idle machine. ``docs/runtimes.md`` has the numbers that we saw.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.benchmarks.full_width import full_width, write_checkpoint
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.golden import read_golden
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.prompt import Prompt
from sam3i_edge.segmenter import Segmenter

RUNTIME = "openvino"
TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


@dataclass(frozen=True)
class Vision:
    """Milliseconds of one vision run, medians of interleaved rounds: on the clock, and of processor time.

    Other work on the machine stretches the clock's; processor time it hardly changes.
    """

    session_ms: float
    benchmark_app_ms: float
    slower_by: float
    """The median over rounds of how much longer the session took than benchmark_app just before, as a fraction."""
    session_processor_ms: float
    benchmark_app_processor_ms: float
    busier_by: float


@dataclass(frozen=True)
class Frame:
    """Milliseconds of a whole frame with one new prompt, medians."""

    frame_ms: float
    outside_ms: float
    """Of these, outside the three graphs: preprocessing, copies, Python, postprocessing."""
    outside_share: float
    instances: int


def against_benchmark_app(segmenter: Segmenter, graph: Path, image: np.ndarray, rounds: int, runs: int) -> Vision:
    """Run the vision graph through the session and through benchmark_app in turns, ``runs`` times a round."""
    session = segmenter._sessions["vision"]
    inputs = {"image": preprocess(image, segmenter.manifest.model.image_size)}
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(_benchmark_app(graph, TYPES[segmenter.precision], runs))
        session.run(inputs)  # benchmark_app warms up with one run, too
        ours.append(_time(lambda: session.run(inputs), runs))
        _say(f"vision: session {ours[-1]}, benchmark_app {theirs[-1]}")
    both = list(zip(ours, theirs, strict=True))
    return Vision(
        statistics.median(own.clock_ms for own in ours),
        statistics.median(other.clock_ms for other in theirs),
        statistics.median(own.clock_ms / other.clock_ms - 1 for own, other in both),
        statistics.median(own.processor_ms for own in ours),
        statistics.median(other.processor_ms for other in theirs),
        statistics.median(own.processor_ms / other.processor_ms - 1 for own, other in both),
    )


def frame_outside_graphs(segmenter: Segmenter, image: np.ndarray, frames: int) -> Frame:
    """Time whole frames, each with a text that was not asked before, and subtract OpenVINO's own time of each graph."""
    requests = [_only_request(session) for session in segmenter._sessions.values()]
    segmenter.segment(image, "warm up")
    totals, outside, count = [], [], 0
    for number in range(frames):
        start = time.perf_counter()
        count = len(segmenter.segment(image, Prompt(f"cup number {number}", "simple")))
        totals.append(1e3 * (time.perf_counter() - start))
        outside.append(totals[-1] - sum(request.latency for request in requests))
        _say(f"frame: {totals[-1]:.1f} ms, {outside[-1]:.1f} ms outside the graphs")
    shares = [part / total for part, total in zip(outside, totals, strict=True)]
    return Frame(statistics.median(totals), statistics.median(outside), statistics.median(shares), count)


def make_full_width(output: Path, layers: int) -> None:
    """A bundle of the full-size model's widths and image with random weights, every stack cut to ``layers``."""
    from sam3i_edge.export import export

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = write_checkpoint(full_width(layers, layers), Path(folder))
        export(checkpoint, None, output, target="intel-cpu", progress=lambda line: _say(line))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a bundle and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--image", type=Path, help="default: the photograph of the golden cases")
    parser.add_argument("--full-width", type=int, metavar="LAYERS", help="make the bundle first, cut to so many layers")
    parser.add_argument("--only", choices=("frame", "vision"), help="measure the frame's share, or vision's time")
    parser.add_argument("--threshold", type=float, default=0.0, help="default 0: all instances, the most work")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5, help="of the vision graph in a round, and frames in all")
    asked = parser.parse_args(arguments)
    logging.getLogger("sam3i_edge").setLevel(logging.ERROR)  # at threshold 0 every prompt finds the most there may be
    if asked.full_width:
        make_full_width(asked.bundle, asked.full_width)
    image = read_image(asked.image) if asked.image else read_golden(asked.bundle).image
    with Segmenter.load(asked.bundle, runtime=RUNTIME, threshold=asked.threshold) as segmenter:
        graph = asked.bundle / segmenter.manifest.graphs["vision"].file
        found: dict[str, Any] = {"device": segmenter.device, "precision": segmenter.precision, "image": image.shape}
        if asked.only != "vision":
            found["frame"] = asdict(frame_outside_graphs(segmenter, image, asked.rounds * asked.runs))
        if asked.only != "frame":
            found["vision"] = asdict(against_benchmark_app(segmenter, graph, image, asked.rounds, asked.runs))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


@dataclass(frozen=True)
class _Times:
    """Of one run: the median on the clock, and the mean of processor time over all threads."""

    clock_ms: float
    processor_ms: float

    def __str__(self) -> str:
        return f"{self.clock_ms:.1f} ms (processor {self.processor_ms:.1f} ms)"


def _benchmark_app(graph: Path, precision: str, runs: int) -> _Times:
    """What OpenVINO's own tool takes. Its processor time includes compiling, which a start with one run tells."""
    _, once = _start_benchmark_app(graph, precision, 1)
    median, processor_ms = _start_benchmark_app(graph, precision, 1 + runs)
    return _Times(median, (processor_ms - once) / runs)


def _start_benchmark_app(graph: Path, precision: str, runs: int) -> tuple[float, float]:
    """The median latency that it tells, and the processor time of its process, in milliseconds."""
    options = f"-d CPU -hint latency -api sync -niter {runs} -infer_precision {precision}"
    program = "from openvino.tools.benchmark.main import main; main()"
    command = [sys.executable, "-c", program, "-m", str(graph), *options.split()]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    told = re.search(r"Median:\s*([\d.]+) ms", done.stdout)
    if told is None:
        raise RuntimeUnavailableError(f"OpenVINO's benchmark_app failed: {(done.stdout + done.stderr).strip()[-500:]}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return float(told[1]), 1e3 * processor


def _only_request(session: Any) -> Any:
    """The infer request that a session of OpenVINO will use for every call of one thread; it knows its own latency."""
    from sam3i_edge.runtimes.openvino import _Request  # OpenVINO itself is only needed here

    request = session._single.model.create_infer_request()
    session._single._idle.put(_Request(request))
    return request


def _time(action: Callable[[], object], runs: int) -> _Times:
    times, processor = [], time.process_time()
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - start))
    return _Times(statistics.median(times), 1e3 * (time.process_time() - processor) / runs)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
