"""The layers of an engine, as NVIDIA's builder lists them, without a GPU."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart

LAYER = re.compile(
    r"^Name: (\S*), LayerType: (\w+), Inputs: \[(.*?)\], Constants: \[.*?\], Outputs: \[(.*?)\], Tac.*$", re.MULTILINE
)
TYPE = re.compile(r"Datatype: (\w+)")
NODE = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
AMPERE = ("8.6",)
"""The compute capability that graphs are built for where only the builder's verdict is of interest."""


@dataclass(frozen=True)
class EngineLayer:
    """One kernel of an engine."""

    name: str
    kind: str
    """``gemm``, ``kgen`` and so on."""
    inputs: tuple[str, ...]
    """Their types, such as ``Int8`` and ``Half``."""
    outputs: tuple[str, ...]
    nodes: frozenset[str]
    """Of the ONNX graph, that it computes."""

    @property
    def is_fused_attention(self) -> bool:
        """Whether it computes softmax(QKᵀ)V at once."""
        return "mha" in self.name


def engine_layers(graph: Path, max_prompts: int = 4) -> list[EngineLayer]:
    """Build an ONNX file for Ampere, and read what the builder says of the engine.

    Raises:
        GraphRefusedError: the parser or the builder does not take it.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        build_apart(TENSORRT_RTX, graph, BuildOptions(max_prompts, {}, AMPERE), Path(folder) / "engine", log)
        return layers_in(log.read_text(encoding="utf-8"))


def layers_in(log: str) -> list[EngineLayer]:
    """The layers in a builder's detailed log."""
    return [
        EngineLayer(
            match[1],
            match[2],
            tuple(TYPE.findall(match[3])),
            tuple(TYPE.findall(match[4])),
            frozenset(NODE.findall(match[0])),
        )
        for match in LAYER.finditer(log)
    ]
