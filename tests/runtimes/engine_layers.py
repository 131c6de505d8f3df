"""The layers of an engine, as NVIDIA's builder lists them in its detailed log."""

import re
from dataclasses import dataclass
from pathlib import Path

from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart

FUSED_ATTENTION = re.compile("mha", re.IGNORECASE)
"""In the names of its kernels, such as ``_gemm_mha_v2``."""


@dataclass(frozen=True)
class EngineLayer:
    """One kernel of an engine."""

    name: str
    inputs: tuple[str, ...]
    """Their types, such as ``Int8`` and ``Half``."""
    nodes: frozenset[str]
    """Of the ONNX graph, that it computes."""


def engine_layers(graph: Path, folder: Path, max_prompts: int = 4) -> list[EngineLayer]:
    """Build an ONNX file for compute capability 8.6, and read what the builder says of the engine."""
    log = folder / f"{graph.stem}.log"
    build_apart(TENSORRT_RTX, graph, BuildOptions(max_prompts, {}, ("8.6",)), folder / f"{graph.stem}.engine", log)
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("Name: ")]
    assert lines, "the builder lists no layers"
    return [_layer(line) for line in lines]


def fused_attention(layers: list[EngineLayer]) -> list[str]:
    """The names of the kernels that compute softmax(QKᵀ)V at once."""
    return [layer.name for layer in layers if FUSED_ATTENTION.search(layer.name)]


def _layer(line: str) -> EngineLayer:
    inputs = re.search(r"Inputs: \[(.*?)\], (?:Constants|Outputs): ", line)
    assert inputs, line
    return EngineLayer(
        re.match(r"Name: (\S*),", line).group(1),
        tuple(re.findall(r"Datatype: (\w+)", inputs.group(1))),
        frozenset(re.findall(r"\[ONNX Layer: ([^\]]+)\]", line)),
    )
