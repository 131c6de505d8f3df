"""What our lint and NVIDIA's parser and builder say of ``tensorrt_graphs``, side by side.

    python -m tests.export.tensorrt_verdicts

writes tests/data/tensorrt_verdicts.json again. NVIDIA's verdicts are those of TensorRT-RTX, whose wheels need no GPU:
tensorrt-rtx-cu12-bindings and tensorrt-rtx-cu12-libs. Some graphs crash the builder, so it runs in a child process.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx

from sam3i_edge.export.tensorrt_lint import lint
from tests.export.tensorrt_graphs import GRAPHS, Graph

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests/data/tensorrt_verdicts.json"
OK = "ok"
CAPABILITY = "SM86"
PROMPTS = (1, 1, 4)
"""The least, the usual and the most."""
LONGEST = 200


def lint_verdict(graph: Graph, folder: Path) -> str | list[str]:
    onnx.save(graph.model(), folder / "graph.onnx")
    return lint(folder / "graph.onnx") or OK


def nvidia_verdicts(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Of parser and builder, by the name of the graph; the builder has none where the parser refused."""
    found: dict[str, dict[str, str]] = {}
    left = list(names)
    while left:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "verdicts"
            command = [sys.executable, "-m", "tests.export.tensorrt_verdicts", str(log), *left]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode > 0:
                raise RuntimeError(done.stderr)
            for name, stage, words in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
                found.setdefault(name, {})[stage] = words
        left = [name for name in left if not _is_judged(found.get(name, {}))]
        if done.returncode < 0:
            verdict = found.setdefault(left.pop(0), {})
            verdict["builder" if "parser" in verdict else "parser"] = f"crashed (signal {-done.returncode})"
    return found


def _is_judged(verdict: dict[str, str]) -> bool:
    return "builder" in verdict or verdict.get("parser", OK) != OK


def _judge(names: Sequence[str], log: Path) -> None:
    """In the child process: each verdict is written before what comes next can crash."""
    with log.open("w", encoding="utf-8", buffering=1) as lines:
        for name in names:
            for stage, words in _stages(GRAPHS[name].model().SerializeToString()):
                lines.write(json.dumps([name, stage, words]) + "\n")


def _stages(model: bytes) -> Iterator[tuple[str, str]]:
    import tensorrt_rtx_bindings as trt

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(message)

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        error = parser.get_error(0)
        where = f"{error.node_operator()} {error.node_name()}: " if error.node_operator() else ""
        yield "parser", _short(where + error.desc())
        return
    yield "parser", OK
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, CAPABILITY), 0)
    profile = builder.create_optimization_profile()
    for value in (network.get_input(i) for i in range(network.num_inputs)):
        if -1 in tuple(value.shape):
            profile.set_shape(value.name, *([n if s == -1 else s for s in value.shape] for n in PROMPTS))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    yield "builder", OK if plan is not None else _short(log.errors[0])


def _short(words: str) -> str:
    """Without places in NVIDIA's sources, and what the machine's lack of a GPU adds."""
    words = words.split("[checkMacros")[0]
    words = re.sub(r"\s+", " ", re.sub(r" In \w+ at /\S+", "", words)).strip()
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _write_record() -> None:
    import tensorrt_rtx_bindings as trt

    nvidia = nvidia_verdicts(list(GRAPHS))
    with tempfile.TemporaryDirectory() as folder:
        verdicts = {name: {"lint": lint_verdict(graph, Path(folder))} | nvidia[name] for name, graph in GRAPHS.items()}
    says = f"TensorRT-RTX {trt.__version__}, built for {CAPABILITY}"
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(verdict, ensure_ascii=False)}" for name, verdict in verdicts.items()
    )
    RECORD.write_text(f'{{"parser and builder": "{says}", "graphs": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:]:
        _judge(sys.argv[2:], Path(sys.argv[1]))
    else:
        _write_record()
