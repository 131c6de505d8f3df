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
from collections.abc import Sequence
from pathlib import Path

import onnx

from sam3i_edge.exporter.tensorrt_lint import lint
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, GraphRefusedError, build, logger_for
from tests.export.tensorrt_graphs import GRAPHS, Graph

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests/data/tensorrt_verdicts.json"
OK = "ok"
OPTIONS = BuildOptions(4, {}, ("8.6",))
LONGEST = 200


def lint_verdict(graph: Graph, folder: Path) -> str | list[str]:
    onnx.save(graph.model(), folder / "graph.onnx")
    return lint(folder / "graph.onnx") or OK


def nvidia_verdicts(names: Sequence[str]) -> dict[str, str]:
    """By the name of the graph."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "verdicts"
            command = [sys.executable, "-m", "tests.export.tensorrt_verdicts", str(log), *left]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode > 0:
                raise RuntimeError(done.stderr)
            found |= dict(map(json.loads, log.read_text(encoding="utf-8").splitlines()))
        left = [name for name in left if name not in found]
        if done.returncode < 0:
            found[left.pop(0)] = f"crashed (signal {-done.returncode})"
    return found


def _judge(names: Sequence[str], log: Path) -> None:
    """In the child process: each verdict is written before the next graph can crash it."""
    file = log.with_name("graph.onnx")
    with log.open("w", encoding="utf-8", buffering=1) as lines:
        for name in names:
            onnx.save(GRAPHS[name].model(), file)
            try:
                build(TENSORRT_RTX, file, OPTIONS, logger_for(TENSORRT_RTX))
                words = OK
            except GraphRefusedError as error:
                words = _short(str(error).removeprefix(f"{TENSORRT_RTX} ").replace(f" {file}", ""))
            lines.write(json.dumps([name, words]) + "\n")


def _short(words: str) -> str:
    """Without places in NVIDIA's sources, and what the machine's lack of a GPU adds."""
    words = words.split("[checkMacros")[0]
    words = re.sub(r"\s+", " ", re.sub(r" In \w+ at /\S+", "", words)).strip()
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _write_record() -> None:
    nvidia = nvidia_verdicts(list(GRAPHS))
    with tempfile.TemporaryDirectory() as folder:
        verdicts = {
            name: {"lint": lint_verdict(graph, Path(folder)), "nvidia": nvidia[name]} for name, graph in GRAPHS.items()
        }
    says = f"{TENSORRT_RTX}, built for {', '.join(OPTIONS.compute_capabilities)}"
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(verdict, ensure_ascii=False)}" for name, verdict in verdicts.items()
    )
    RECORD.write_text(f'{{"nvidia": "{says}", "graphs": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:]:
        _judge(sys.argv[2:], Path(sys.argv[1]))
    else:
        _write_record()
