"""Where a graph quantizes, and what NVIDIA's builder makes of it, without a GPU. Not part of any command.

pip install --no-deps tensorrt-rtx-cu12-bindings==1.7.1.116 tensorrt-rtx-cu12-libs==1.7.1.116
python -m sam3i_edge.benchmarks.int8_layers bundle/graphs/*.onnx
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

VIEWS = ("Reshape", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze", "Expand", "Concat", "Gather", "Identity")
QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
LAYER = re.compile(
    r"^Name: (\S+), LayerType: (\w+), Inputs: \[(.*?)\], Constants: \[.*?\], Outputs: \[(.*?)\], Tac", re.M
)
"""A line of the builder's list of kernels."""
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


def build_here(file: str) -> None:
    """Print the kernels that NVIDIA's builder makes of a graph, for Ampere; up to 16 prompts share a call."""
    import tensorrt_rtx_bindings as tensorrt

    lines: list[str] = []

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        def log(self, severity: Any, message: str) -> None:
            lines.append(message)

    log = Log()
    builder = tensorrt.Builder(log)
    network = builder.create_network(0)
    if not tensorrt.OnnxParser(network, log).parse_from_file(file):
        raise SystemExit(f"{file} was refused by the parser: {lines[-1]}")
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.num_compute_capabilities = 1
    config.set_compute_capability(tensorrt.ComputeCapability.SM86, 0)
    config.profiling_verbosity = tensorrt.ProfilingVerbosity.DETAILED
    for port in (network.get_input(i) for i in range(network.num_inputs)):
        if -1 in tuple(port.shape):
            profile.set_shape(port.name, *([n if s == -1 else s for s in port.shape] for n in (1, 4, 16)))
    config.add_optimization_profile(profile)
    if builder.build_serialized_network(network, config) is None:
        raise SystemExit(f"{file} was refused by the builder: {lines[-1]}")
    sys.stdout.write("\n".join(lines))


def kernels(file: Path) -> dict[str, int]:
    """What the builder makes of a graph. In a process of its own: a crash of the builder is this call's exception."""
    command = [sys.executable, "-m", __spec__.name, "--build", str(file)]
    return count_kernels(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def count_kernels(log: str) -> dict[str, int]:
    """The kernels in the builder's list, by what they compute in."""
    count: collections.Counter[str] = collections.Counter()
    for name, layer, inputs, outputs in LAYER.findall(log):
        if layer in WITHOUT_WORK:
            continue
        integer, matrix, attention = "Int8" in inputs, layer in (*MATRIX, "runtime_fusion"), "mha" in name
        steps = set(re.findall(r"[A-Z][a-z]+", name.removeprefix("__myl_").partition("_")[0]))
        count["all"] += 1
        count["int8 matrix"] += matrix and integer
        count["float matrix"] += matrix and not integer
        count["int8 attention"] += attention and integer
        count["float attention"] += attention and not integer
        count["int8 out of a matrix"] += matrix and "Int8" in outputs
        count["quantize alone"] += layer == "kgen" and "Roun" in steps and steps <= ROUNDING
        count["move int8"] += layer == "kgen" and bool(steps) and steps <= MOVING and integer
    return dict(count)


def main() -> None:
    """Print a line for each graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", nargs="+", type=Path)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for file in arguments.graphs:
        if arguments.build:
            build_here(str(file))
        else:
            sys.stdout.write(f"{file}: {json.dumps(placement(file))} {json.dumps(kernels(file))}\n")


if __name__ == "__main__":
    main()
