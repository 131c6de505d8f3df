"""The commands that build engines of a bundle's graphs without us: for programs that call TensorRT themselves."""

from __future__ import annotations

from collections.abc import Mapping

from sam3i_edge.graphs import FREE, GraphSpec, Limits
from sam3i_edge.targets import Target

FILE = "trtexec.txt"


def trtexec_commands(graphs: Mapping[str, GraphSpec], limits: Limits, target: Target) -> str:
    """One command for each graph, to be run in the bundle's folder; what it writes lies beside that, for a bundle with
    other files in it is refused. Not yet run on hardware."""
    lines = [
        "# For programs that call TensorRT themselves: run in the bundle's folder, on the device. Engines are written",
        "# next to it. Segmenter does not read them; sam3i-edge build makes and keeps its own.",
        "# TensorRT 11 has only strongly typed networks: leave --stronglyTyped out there.",
        "# Not yet run on hardware.",
    ]
    for name, spec in graphs.items():
        parts = [f"trtexec --onnx={spec.file} --saveEngine=../{name}.engine --stronglyTyped --noTF32"]
        parts.append(f"--memPoolSize=workspace:{target.settings.get('workspace_mb', '1024')}M")
        parts.append(f"--builderOptimizationLevel={target.settings.get('builder_optimization_level', '3')}")
        parts.append("--timingCacheFile=../timing.cache")
        free = [value for value in spec.inputs if FREE in value.shape]
        for option, rows in (("min", 1), ("opt", 1), ("max", limits.max_prompts)):
            shapes = (f"{value.name}:{'x'.join(str(rows if s == FREE else s) for s in value.shape)}" for value in free)
            if free:
                parts.append(f"--{option}Shapes={','.join(shapes)}")
        lines.append(" \\\n  ".join(parts))
    return "\n".join(lines) + "\n"
