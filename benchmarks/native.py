"""What a frame costs outside its graphs, in C++ and in Python, and the resize against OpenCV's: in turns.

    cmake -S . -B build … && cmake --build build
    python -m sam3i_edge.benchmarks.native BUNDLE build/runtimes/cpp/sam3i_edge_frames

Run it on an idle machine. ``docs/cpp.md`` has the numbers that we saw, if any.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sam3i_edge.benchmarks.rounds import play
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.prompt import Prompt
from sam3i_edge.runtimes import Session, Tensor
from sam3i_edge.segmenter import Segmenter

WIDTH, HEIGHT = 1920, 1080


class _Timed:
    """A session that adds up the time it takes."""

    def __init__(self, session: Session, spent: list[float]) -> None:
        self._session = session
        self._spent = spent
        self.device = session.device

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        start = time.perf_counter()
        outputs = self._session.run(inputs)
        self._spent.append(1e3 * (time.perf_counter() - start))
        return outputs


class _Program:
    """The C++ side, which runs a frame for every line that it is given."""

    def __init__(self, program: Path, bundle: Path, image: np.ndarray, threshold: float, folder: Path) -> None:
        image.tofile(folder / "image.rgb")
        height, width = image.shape[:2]
        command = [str(item) for item in (program, bundle, folder / "image.rgb", width, height, threshold)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def frame(self, text: str) -> dict[str, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"The C++ program ended with status {self._process.wait()}; its message is above.")
        times: dict[str, float] = json.loads(line)
        return times

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(bundle: Path, program: Path, image: np.ndarray, rounds: int, threshold: float) -> dict[str, Any]:
    """Run ``rounds`` frames on both sides in turns, each with a text that was not asked before; ``threshold`` is both
    sides' least score.

    Returns:
        Medians in milliseconds; ``ratio`` of C++ to Python is the median over rounds of the parts outside the graphs,
        ``resize_ratio`` that of our resize in C++ to OpenCV's area resize with one thread.
    """
    spent: list[float] = []
    rows: list[dict[str, float]] = [{} for _ in range(rounds + 1)]
    with tempfile.TemporaryDirectory() as folder, Segmenter.load(bundle, threshold=threshold) as segmenter:
        segmenter._sessions = {name: _Timed(session, spent) for name, session in segmenter._sessions.items()}
        native = _Program(program, bundle, image, threshold, Path(folder))

        def turn(side: str, number: int) -> None:
            text = f"cup number {number}"
            if side == "cpp":
                rows[number] |= {f"cpp_{name}": value for name, value in native.frame(text).items()}
            else:
                rows[number] |= _python_frame(segmenter, image, text, spent)
                rows[number] |= _resizes(image, segmenter.manifest.model.image_size)

        play(("cpp", "python"), turn, lambda played: played > rounds)
        native.close()
    return _summary(rows[1:])  # the first warms up


def _python_frame(segmenter: Segmenter, image: np.ndarray, text: str, spent: list[float]) -> dict[str, float]:
    spent.clear()
    start = time.perf_counter()
    found = segmenter.segment(image, Prompt(text, "simple"))
    total = 1e3 * (time.perf_counter() - start)
    return {"python_frame_ms": total, "python_graphs_ms": sum(spent), "python_instances": len(found)}


def _resizes(image: np.ndarray, side: int) -> dict[str, float]:
    threads, times = cv2.getNumThreads(), {}
    for name, count in (("opencv_area_ms", 1), ("opencv_area_threads_ms", threads)):
        cv2.setNumThreads(count)
        start = time.perf_counter()
        cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        times[name] = 1e3 * (time.perf_counter() - start)
    cv2.setNumThreads(threads)
    start = time.perf_counter()
    preprocess(image, side)
    return times | {"pillow_ms": 1e3 * (time.perf_counter() - start)}


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    outside = {side: [row[f"{side}_frame_ms"] - row[f"{side}_graphs_ms"] for row in rows] for side in ("python", "cpp")}
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    pairs = zip(outside["cpp"], outside["python"], strict=True)
    return medians | {
        "python_outside_ms": statistics.median(outside["python"]),
        "cpp_outside_ms": statistics.median(outside["cpp"]),
        "ratio": statistics.median(cpp / python for cpp, python in pairs),
        "resize_ratio": statistics.median(row["cpp_resize_ms"] / row["opencv_area_ms"] for row in rows),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("program", type=Path, help="sam3i_edge_frames of the C++ build")
    parser.add_argument("--image", type=Path, help="default: noise of 1920 x 1080")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threshold", type=float, default=0.5, help="0: a mask of every query, the most work")
    asked = parser.parse_args(arguments)
    logging.getLogger("sam3i_edge").setLevel(logging.ERROR)  # at threshold 0 every prompt finds the most there may be
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image = read_image(asked.image) if asked.image else noise
    found = compare(asked.bundle, asked.program, image, asked.rounds, asked.threshold)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
