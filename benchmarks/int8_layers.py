"""Where a graph quantizes, and what NVIDIA's builder makes of it, without a GPU. Not part of any command.

pip install '.[export,rtx]'
python -m sam3i_edge.benchmarks.int8_layers bundle/graphs/*.onnx
"""

from __future__ import annotations

import argparse
import collections
import json
import re
from pathlib import Path
from typing import Any

from sam3i_edge.runtimes.engine_layers import EngineLayer, engine_layers
from sam3i_edge.terminal import show

VIEWS = ("Reshape", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze", "Expand", "Concat", "Gather", "Identity")
QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
MATRIX = ("gemm", "correlation")
MOVING = {"Resh", "Tran", "Move", "Conc", "Repl", "Slic"}
ROUNDING = {"Mul", "Min", "Max", "Roun", "Cast", *MOVING}
"""What a kernel's name says of its steps, if it only moves, or only quantizes."""
WITHOUT_WORK = ("signal", "wait", "shape_call")


def placement(file: Path) -> dict[str, list[int]]:
    """Of each kind of operator: how many read only quantized values, how many also others, and how many there are."""
    import onnx

    graph = onnx.load(file).graph
    makers = {output: node for node in graph.node for output in node.output}
    users = collections.defaultdict(list)
    varying = {value.name for value in graph.input}
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
        if varying.intersection(node.input):
            varying.update(node.output)

    def origin(name: str, through: tuple[str, ...]) -> str:
        node = makers.get(name)
        if node is not None and node.op_type in through:
            return origin(node.input[0], through)
        return str(node.op_type) if node is not None else ""

    def makes_scores(node: Any) -> bool:
        through = (*VIEWS, *QUANTIZING, "Add", "Mul")
        after = users[node.output[0]]
        return any(user.op_type == "Softmax" or (user.op_type in through and makes_scores(user)) for user in after)

    def kind(node: Any) -> str:
        if node.op_type not in ("MatMul", "Gemm"):
            return str(node.op_type)
        if node.input[1] not in varying:
            return "linear"
        if origin(node.input[0], (*VIEWS, *QUANTIZING)) == "Softmax":
            return "softmax x V"
        return "Q x K" if makes_scores(node) else "other product"

    found: dict[str, list[int]] = {}
    for node in graph.node:
        moving = [name for name in node.input if name in varying]
        if moving and node.op_type not in (*QUANTIZING, *VIEWS):
            quantized = [origin(name, VIEWS) == "DequantizeLinear" for name in moving]
            counts = found.setdefault(kind(node), [0, 0, 0])
            counts[0] += all(quantized)
            counts[1] += any(quantized) and not all(quantized)
            counts[2] += 1
    pairs = sum(node.op_type == "DequantizeLinear" and node.input[0] in varying for node in graph.node)
    return {"pairs": [pairs]} | {name: counts for name, counts in sorted(found.items()) if any(counts[:2])}


def kernels(file: Path) -> dict[str, int]:
    """What the builder makes of a graph; up to 16 prompts share a call. Raises GraphRefusedError."""
    return count_kernels(engine_layers(file, max_prompts=16))


def count_kernels(layers: list[EngineLayer]) -> dict[str, int]:
    """The kernels of an engine, by what they compute in."""
    count: collections.Counter[str] = collections.Counter()
    for layer in layers:
        if layer.kind in WITHOUT_WORK:
            continue
        integer, matrix = "Int8" in layer.inputs, layer.kind in (*MATRIX, "runtime_fusion")
        steps = set(re.findall(r"[A-Z][a-z]+", layer.name.removeprefix("__myl_").partition("_")[0]))
        count["all"] += 1
        count["int8 matrix"] += matrix and integer
        count["float matrix"] += matrix and not integer
        count["int8 attention"] += layer.is_fused_attention and integer
        count["float attention"] += layer.is_fused_attention and not integer
        count["int8 out of a matrix"] += matrix and "Int8" in layer.outputs
        count["quantize alone"] += layer.kind == "kgen" and "Roun" in steps and steps <= ROUNDING
        count["move int8"] += layer.kind == "kgen" and bool(steps) and steps <= MOVING and integer
    return dict(count)


def main() -> None:
    """Print a line for each graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", nargs="+", type=Path)
    for file in parser.parse_args().graphs:
        show(f"{file}: {json.dumps(placement(file))} {json.dumps(kernels(file))}")


if __name__ == "__main__":
    main()
