"""One measured thing in a process of its own: its memory is its own, its cold start is real.

It reads requests, one JSON object per line, and answers each on the standard output it was started with:
``python -m sam3i_edge.benchmarks.worker``. ``process`` is the other side.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sam3i_edge import schema
from sam3i_edge.benchmarks import layers, load_time, macs, memory, power, roofline
from sam3i_edge.benchmarks.accuracy import measure_accuracy
from sam3i_edge.benchmarks.candidates import Candidate
from sam3i_edge.benchmarks.previews import draw_previews
from sam3i_edge.benchmarks.scenarios import Player, WorkloadItem
from sam3i_edge.benchmarks.stages import StageClock
from sam3i_edge.benchmarks.workload import Data
from sam3i_edge.errors import BenchmarkError, Sam3iEdgeError
from sam3i_edge.graph_engine import GraphEngine, session_options
from sam3i_edge.manifest import read_manifest
from sam3i_edge.prompt import Prompt
from sam3i_edge.provenance import Provenance
from sam3i_edge.runtimes import SessionOptions
from sam3i_edge.segmenter import Segmenter

T = TypeVar("T")


@dataclass(frozen=True)
class ItemFile:
    """An ``WorkloadItem``, its image as a file of NumPy's."""

    name: str
    file: str
    prompts: tuple[Prompt, ...]

    def read(self) -> WorkloadItem:
        """With the image in memory."""
        return WorkloadItem(self.name, np.load(self.file, allow_pickle=False), self.prompts)


@dataclass
class Worker:
    """Does what the requests say. Every public method is one, and returns plain values."""

    candidate: Candidate
    items: list[WorkloadItem]
    segmenter: Segmenter
    player: Player
    load_ms: float
    gpu_before_mb: float | None
    meter: power.Meter | None = None

    @classmethod
    def open(cls, candidate: dict[str, Any], items: list[dict[str, Any]]) -> Worker:
        """Load a plain ``Candidate``, and time it; ``items`` are plain ``ItemFile``s."""
        gpu, asked = power.gpu_used_mb(), schema.parse(Candidate, candidate)
        read = [schema.parse(ItemFile, item).read() for item in items]
        clock = StageClock()
        start = time.perf_counter()
        segmenter = load_time.open_candidate(asked, clock)
        load_ms = 1e3 * (time.perf_counter() - start)
        return cls(asked, read, segmenter, Player(segmenter, read, clock), load_ms, gpu)

    def describe(self) -> dict[str, Any]:
        """What is open, and how long that took."""
        self.meter = power.find_meter(self.segmenter.device)
        return {
            "run": load_time.describe(self.segmenter, self.candidate),
            "meter": self.meter.name if self.meter else power.NOT_MEASURED,
            "max_prompts": self.segmenter.manifest.runtime.limits.max_prompts,
        }

    def first_frame(self) -> dict[str, Any]:
        """The first result of this process."""
        return {"load_ms": self.load_ms, "frame_ms": self.player.frame(0).ms}

    def frame(self, turn: int, lead_in_s: float = 0.0) -> dict[str, Any]:
        """A timed frame, with its energy where there is a meter: the first of many that ends after ``lead_in_s``."""
        return _after(lead_in_s, lambda: self._frame(turn))

    def _frame(self, turn: int) -> dict[str, Any]:
        before = self.meter.joules() if self.meter else 0.0
        played = self.player.frame(turn)
        joules = self.meter.joules() - before if self.meter else None
        return dict(vars(played)) | {"joules": joules}

    def scenario(self, name: str, turn: int, lead_in_s: float = 0.0) -> dict[str, Any]:
        """A timed scenario, likewise."""
        return {"ms": _after(lead_in_s, lambda: self.player.scenario(name, turn))}

    def memory(self) -> dict[str, Any]:
        """The most that this process has held so far."""
        used = power.gpu_used_mb()
        gpu = None if used is None or self.gpu_before_mb is None else used - self.gpu_before_mb
        return {"peak_rss_mb": memory.peak_rss_mb(), "gpu_memory_mb": gpu}

    def accuracy(self, data: dict[str, Any]) -> Any:
        """A plain ``report.Accuracy``."""
        return schema.plain(measure_accuracy(self.segmenter, schema.parse(Data, data)))

    def pictures(self) -> Any:
        """Plain ``report.Picture``s."""
        return schema.plain(list(draw_previews(self.segmenter, self.items)))

    def counts(self) -> dict[str, Any]:
        """A plain ``macs.GraphCount`` by graph: of a bundle's own, whoever runs them."""
        return {name: schema.plain(macs.count_graph(file)) for name, file in self._graphs().items()}

    def peaks(self) -> dict[str, Any]:
        """The runtime's matrix product and the memory's rate."""
        manifest = read_manifest(Path(self.candidate.bundle))
        target = Provenance.of(manifest.provenance).target
        runtime, options = self._runtime()
        if self.candidate.checkpoint:
            raise BenchmarkError("the roofline is drawn for bundles, not for PyTorch.")
        if target is None:
            raise BenchmarkError("the bundle's provenance does not name its target, which the roofline needs.")
        precision = manifest.runtime.precision if self.candidate.runtime is None else "fp32"
        peak = roofline.matrix_product_peak(runtime, target, options, precision)
        on_host = power.gpu_used_mb() is None or "cpu" in self.segmenter.device.lower()
        return {"peak": peak, "bandwidth": roofline.memory_bandwidth() if on_host else None}

    def layers(self) -> Any:
        """Plain ``report.Layer``s of one frame."""
        engine, item = self.segmenter.engine, self.items[0]
        if self.candidate.checkpoint or not isinstance(engine, GraphEngine):
            raise BenchmarkError("the operators' times are read from Python runtimes only.")
        inputs = engine.graph_inputs(item.image, item.ask(1))
        runtime, options = self._runtime()
        return schema.plain(layers.profile_graphs(runtime, self._graphs(), options, inputs))

    def _graphs(self) -> dict[str, Path]:
        bundle = Path(self.candidate.bundle)
        return {name: bundle / graph.file for name, graph in read_manifest(bundle).runtime.graphs.items()}

    def _runtime(self) -> tuple[str, SessionOptions]:
        """How the segmenter's sessions were opened, without the cache: what is opened here is not needed again."""
        manifest = read_manifest(Path(self.candidate.bundle))
        runtime = self.candidate.runtime or manifest.runtime.target.runtime
        return runtime, replace(session_options(manifest, runtime, self.candidate.device), cache=None)


def _after(lead_in_s: float, act: Callable[[], T]) -> T:
    """Act until the time is over, once at least. Returns what came of the last time."""
    end = time.monotonic() + lead_in_s
    while True:
        result = act()
        if time.monotonic() >= end:
            return result


def main() -> int:
    """Serve until the other side closes."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the answers
    worker: Worker | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if worker is None:
                worker = Worker.open(**request["arguments"])
                answer: Any = {}
            else:
                answer = getattr(worker, request["do"])(**request["arguments"])
            content = {"answer": answer}
        except Sam3iEdgeError as error:
            content = {"error": type(error).__name__, "message": list(map(str, error.args))}
        except Exception:  # the other side cannot see it, and must tell its user
            content = {"error": "", "message": traceback.format_exc().splitlines()}
        channel.write(json.dumps(content) + "\n")
        channel.flush()
    if worker is not None and worker.meter is not None:
        worker.meter.close()
    return 0


def save_item(item: WorkloadItem, folder: Path, number: int) -> ItemFile:
    """Write an item's image where a worker can read it."""
    file = folder / f"{number}.npy"
    np.save(file, item.image, allow_pickle=False)
    return ItemFile(item.name, str(file), item.prompts)


if __name__ == "__main__":
    sys.exit(main())
