"""Where a graph's time goes, operator by operator: the runtimes' own profiles."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.benchmarks.report import LayerTime
from sam3i_edge.benchmarks.statistics import rounded
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.runtimes import SessionOptions, Tensor

TOP = 15
RUNS = 5

Inputs = dict[str, np.ndarray]
Times = dict[tuple[str, str], float]
"""Milliseconds per run by an operator's name and kind."""


def profile_graphs(
    runtime: str, graphs: Mapping[str, Path], options: SessionOptions, inputs: Mapping[str, Mapping[str, Tensor]]
) -> list[LayerTime]:
    """The operators that take longest, over all graphs, one run of each.

    Raises:
        BenchmarkError: the runtime's profile is not read here.
    """
    if runtime not in PROFILERS:
        raise BenchmarkError(f"The operators' times are read from {' and '.join(PROFILERS)} only, not from {runtime}.")
    layers = []
    for graph, file in graphs.items():
        arrays = {name: np.array(value) for name, value in inputs[graph].items()}
        times = PROFILERS[runtime](file, options, arrays)
        total = sum(times.values()) or 1.0
        layers += [
            LayerTime(graph, name, kind, rounded(ms), rounded(100 * ms / total)) for (name, kind), ms in times.items()
        ]
    return sorted(layers, key=lambda layer: -layer.ms)[:TOP]


def _profile_onnxruntime(file: Path, options: SessionOptions, inputs: Inputs) -> Times:
    from sam3i_edge.runtimes.onnxruntime import inference_session

    with tempfile.TemporaryDirectory() as folder:
        session = inference_session(file, options, profile=str(Path(folder) / "profile"))
        for _ in range(RUNS + 1):
            session.run(None, inputs)
        return read_onnxruntime(json.loads(Path(session.end_profiling()).read_text(encoding="utf-8")))


def read_onnxruntime(events: list[dict[str, Any]]) -> Times:
    """The mean time of each node in a profile of ONNX Runtime's, its first run left out."""
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            spent[name.removesuffix("_kernel_time"), event["args"]["op_name"]].append(event["dur"] / 1e3)
    return {node: float(np.mean(times[1:] or times)) for node, times in spent.items()}


def _profile_openvino(file: Path, options: SessionOptions, inputs: Inputs) -> Times:
    from sam3i_edge.runtimes import openvino

    session = openvino.open_session(file, replace(options, settings={**options.settings, "PERF_COUNT": "YES"}))
    request = session.compiled_model.create_infer_request()  # of one image and one prompt
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for number in range(RUNS + 1):
        request.infer(inputs)
        for node in request.get_profiling_info() if number else ():
            spent[node.node_name, f"{node.node_type} ({node.exec_type})"] += node.real_time.total_seconds() * 1e3 / RUNS
    return {node: ms for node, ms in spent.items() if ms > 0}


PROFILERS: Mapping[str, Callable[[Path, SessionOptions, Inputs], Times]] = {
    "onnxruntime": _profile_onnxruntime,
    "openvino": _profile_openvino,
}
