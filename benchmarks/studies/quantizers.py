"""Our int8 against the runtimes' own quantizers, on the vision graph at full-size width. Not part of any command.

    python -m sam3i_edge.benchmarks.studies.quantizers -o DIR [--depth 8] [--rounds 3]

Random weights, one random picture, 1008 x 1008 pixels, width 1024, 16 heads; every fourth layer attends globally. Each
candidate runs in a process of its own, by turns, since one ONNX Runtime session of this size takes 6 GB: load, a first
frame that does not count, then two that do. Graphs that are there already are not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.runtimes import SessionOptions, default_device, open_session

SIZE = 1008
FRAMES = 2

CANDIDATES = {
    "openvino fp32": ("openvino", "fp32", "fp32"),
    "openvino bf16": ("openvino", "fp32", "bf16"),
    "openvino int8": ("openvino", "symmetric", "int8"),
    "openvino int8-bf16": ("openvino", "symmetric", "int8-bf16"),
    "openvino int8 with products": ("openvino", "symmetric-products", "int8"),
    "openvino int8-bf16 with products": ("openvino", "symmetric-products", "int8-bf16"),
    "openvino nncf": ("openvino", "nncf", "int8"),
    "openvino nncf-bf16": ("openvino", "nncf", "int8-bf16"),
    "onnxruntime fp32": ("onnxruntime", "fp32", "fp32"),
    "onnxruntime int8": ("onnxruntime", "affine", "int8"),
    "onnxruntime int8 with products": ("onnxruntime", "affine-products", "int8"),
    "onnxruntime quantize_static": ("onnxruntime", "static", "fp32"),
}
"""A runtime, a graph, and the precision that it is opened with; in fp32 ONNX Runtime keeps all of its optimizations."""


def make_graphs(folder: Path, depth: int) -> None:
    """Write the float graph and its quantized forms, those that are missing."""
    import torch

    from sam3i_edge.benchmarks.studies.full_width import full_width
    from sam3i_edge.config import default_limits
    from sam3i_edge.exporter.convert import convert
    from sam3i_edge.graph_modules import VisionGraph
    from sam3i_edge.graphs import graph_specs
    from sam3i_edge.model import Sam3i
    from sam3i_edge.quantize.lowering import fold_weight_transposes
    from sam3i_edge.quantize.ptq import quantize_graph
    from sam3i_edge.quantize.quantizer import SCHEMES
    from sam3i_edge.quantize.recipe import QuantRecipe
    from sam3i_edge.targets import get_target

    config = full_width(depth)
    torch.manual_seed(0)
    module = VisionGraph(Sam3i(config).eval())
    spec = graph_specs(config.sizes, default_limits(config))["vision"]
    target = get_target("x86-cpu")

    def write(name: str, make: Callable[[], Any], lower: Any = None) -> None:
        file = folder / f"{name}.onnx"
        if not file.is_file():
            partial = folder / f"{name}.partial"
            convert(make(), dataclasses.replace(spec, file=partial.name), target, folder, lower)
            partial.rename(file)

    write("fp32", lambda: module)
    image = torch.from_numpy(picture())

    def quantized(scheme: str, products: str) -> Any:
        recipe = QuantRecipe(observer="min-max", vision={"*.products": products})
        return quantize_graph(module, spec, "vision", recipe, SCHEMES[scheme], lambda: [(image,)]).module

    for scheme in ("symmetric", "affine"):
        write(scheme, partial(quantized, scheme, "fp32"), fold_weight_transposes)
        write(f"{scheme}-products", partial(quantized, scheme, "int8"), fold_weight_transposes)
    if not (folder / "static.onnx").is_file():
        _quantize_static(folder)
    if not (folder / "nncf.xml").is_file():
        _quantize_nncf(folder)


def _quantize_static(folder: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Once(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"image": picture()}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantize_static(
        folder / "fp32.onnx",
        folder / "static.onnx",
        Once(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Conv"],
    )


def _quantize_nncf(folder: Path) -> None:
    try:
        import nncf
    except ImportError:
        return
    import openvino

    model = openvino.Core().read_model(folder / "fp32.onnx")
    data = nncf.Dataset([{"image": picture()}])
    quantized = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=1)
    openvino.save_model(quantized, folder / "nncf.xml", compress_to_fp16=False)


def picture() -> np.ndarray:
    """The one picture, (1, 1008, 1008, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)


def graph_file(folder: Path, graph: str) -> Path | None:
    """The file of a graph; None if it was not made."""
    return next((file for end in (".xml", ".onnx") if (file := folder / f"{graph}{end}").is_file()), None)


def run_once(folder: Path, candidate: str) -> list[float]:
    """Seconds of each frame that counts, in this process."""
    runtime, graph, precision = CANDIDATES[candidate]
    file, settings = graph_file(folder, graph), {"PERFORMANCE_HINT": "LATENCY"} if runtime == "openvino" else {}
    assert file is not None
    session = open_session(runtime, file, SessionOptions(default_device(runtime), precision, settings=settings))
    inputs, seconds = {"image": picture()}, []
    session.run(inputs)
    for _ in range(FRAMES):
        start = time.perf_counter()
        session.run(inputs)
        seconds.append(time.perf_counter() - start)
    return seconds


def compare(folder: Path, rounds: int, names: list[str]) -> dict[str, float]:
    """Median seconds of each candidate; those whose graph is missing, or that fail, are left out."""
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name in names:
            if graph_file(folder, CANDIDATES[name][1]):
                command = [sys.executable, "-m", __spec__.name, "-o", str(folder), "--once", name]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:  # a processor without bfloat16, say
                    sys.stderr.write(f"left out: {name}: {done.stderr.strip().splitlines()[-1]}\n")
                    continue
                taken.setdefault(name, []).extend(json.loads(done.stdout.splitlines()[-1]))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Make what is missing, measure, and print a line for each candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for the graphs")
    parser.add_argument("--depth", type=int, default=8, help="layers of the trunk (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(CANDIDATES), help="some of the candidates")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        sys.stdout.write(json.dumps(run_once(arguments.output, arguments.once)) + "\n")
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    make_graphs(arguments.output, arguments.depth)
    medians = compare(arguments.output, arguments.rounds, arguments.only)
    for name, seconds in medians.items():
        float_seconds = medians.get(f"{name.split()[0]} fp32", seconds)
        sys.stdout.write(f"{name:28} {1000 * seconds:8.0f} ms  {float_seconds / seconds:5.2f} x fp32\n")


if __name__ == "__main__":
    main()
