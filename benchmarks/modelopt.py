"""Our int8 graphs for TensorRT against those of NVIDIA's ModelOpt, on the demo model. Not part of any command.

    python3.11 -m venv modelopt-venv && modelopt-venv/bin/pip install 'nvidia-modelopt[onnx]==0.47.0'
    pip install --no-deps tensorrt-rtx-cu12-bindings==1.7.1.116 tensorrt-rtx-cu12-libs==1.7.1.116
    sam3i-edge data tabletop --split val --count 30 --seed 101 -o scenes
    python -m sam3i_edge.benchmarks.modelopt --modelopt modelopt-venv/bin/python --data scenes -o DIR

ModelOpt needs other versions of onnx and ONNX Runtime than the export, so it has a virtual environment of its own. No
GPU is needed: ModelOpt calibrates on the CPU, NVIDIA's builder compiles for a GPU that is not here, and accuracy is
measured in ONNX Runtime. Both sides see the same calibration inputs. Bundles that are there already are not made again.
Writes ``modelopt.json`` and prints a line for each graph.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

GRAPHS = ("vision", "text", "grounding")
FLOAT = "fp32"
OURS = {
    "ours": "",
    "ours-vision-products": '[vision]\n"*.products" = "int8"\n',
    "ours-all-products": "".join(f'[{graph}]\n"*.products" = "int8"\n' for graph in GRAPHS),
}
"""Lines of the recipe."""
THEIRS: dict[str, dict[str, Any]] = {
    "modelopt": {},
    "modelopt-max": {"calibration_method": "max"},
    "modelopt-no-attention": {"disable_mha_qdq": True},
    "modelopt-matmul-conv": {"op_types_to_quantize": ["MatMul", "Conv"]},
}
"""Options of ``modelopt.onnx.quantization.quantize``; all with FP32 beside the integers and weights stored in int8."""
HELD_OUT_IMAGES = 12
"""Of the data, for the signal-to-noise ratio of single graphs."""
ORDER = "query_index"
"""The output that says which query an instance comes from."""


def make_ours(folder: Path) -> None:
    """Export the float bundle and ours with integers, and record what each graph is given."""
    from sam3i_edge.export import export
    from sam3i_edge.export.quantized import Int8Options

    if not (folder / FLOAT).exists():
        export(output=folder / FLOAT, target="nvidia", precision="fp32")
    for name, lines in OURS.items():
        if not (folder / name).exists():
            recipe = folder / "recipe.toml"
            recipe.write_text(f'embedding = "fp32"\n{lines}', encoding="utf-8")
            options = Int8Options(recipe=recipe, scored_images=0)
            export(output=folder / name, target="nvidia", precision="int8", int8=options, check=False)


def record_inputs(folder: Path, data: Path) -> None:
    """Write the float model's inputs of every graph, on the package's scenes and on some of ``data``."""
    import torch

    from sam3i_edge import shipped
    from sam3i_edge.bundle import TOKENIZER_FILE, read_manifest
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.export.modules import graph_modules
    from sam3i_edge.model import load
    from sam3i_edge.prompt import Prompt
    from sam3i_edge.quantize.calibration import Asked, CalibrationData, load_calibration
    from sam3i_edge.quantize.inputs import GraphInputs
    from sam3i_edge.tokenizer import Tokenizer

    manifest = read_manifest(folder / FLOAT)
    tokenizer = Tokenizer.from_file(folder / FLOAT / TOKENIZER_FILE, manifest.model.text.context_length)
    modules = graph_modules(load(shipped.CHECKPOINT, manifest.model), manifest.limits)
    samples = load_samples(data, "val").samples[:HELD_OUT_IMAGES]
    few = manifest.limits.max_prompts
    asked = tuple(Asked(s.path, tuple(Prompt(q.text, q.route) for q in s.queries[::3][:few])) for s in samples)
    for name, source in (("calibration", load_calibration(None)), ("held-out", CalibrationData("held out", asked))):
        inputs = GraphInputs(modules, source, tokenizer, manifest.limits, manifest.model.image_size)
        for graph, spec in manifest.graphs.items():
            place = folder / "inputs" / name / graph
            place.mkdir(parents=True, exist_ok=True)
            with torch.no_grad():
                for i, given in enumerate(inputs.of(graph)):
                    named = {port.name: value.numpy() for port, value in zip(spec.inputs, given, strict=True)}
                    np.savez(place / f"{i:03}.npz", allow_pickle=False, **named)


def make_theirs(folder: Path, python: str, name: str) -> None:
    """A bundle with ModelOpt's graphs: a copy of ours, so that it runs with the same settings."""
    from sam3i_edge.bundle import list_files, read_manifest, write_manifest

    made = folder / f"{name}.partial"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(folder / "ours", made)
    for graph in GRAPHS:
        with_copy = folder / f"source-{graph}.onnx"  # ModelOpt writes into the file that it reads
        shutil.copy(folder / FLOAT / "graphs" / f"{graph}.onnx", with_copy)
        output = made / "graphs" / f"{graph}.onnx"
        given = [str(with_copy), str(folder / "inputs" / "calibration" / graph), str(output), json.dumps(THEIRS[name])]
        # -P: this file's folder would hide the standard library's statistics, and this file ModelOpt itself
        subprocess.run([python, "-P", __file__, "--quantize", *given], check=True)
        for left in [*(made / "graphs").glob(f"{graph}_*.onnx"), *folder.glob(f"source-{graph}*")]:
            left.unlink()
    write_manifest(made, dataclasses.replace(read_manifest(made), files=list_files(made)))
    made.rename(folder / name)


def quantize_here(source: str, inputs: str, output: str, options: str) -> None:
    """Quantize one graph with ModelOpt, in an environment that has it and not this package."""
    import onnx
    from modelopt.onnx.quantization import quantize
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Recorded(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.files = sorted(Path(inputs).glob("*.npz"))
            self.rewind()

        def rewind(self) -> None:
            self.left = iter(self.files)

        def get_first(self) -> dict[str, np.ndarray]:
            return dict(np.load(self.files[0]))

        def get_next(self) -> dict[str, np.ndarray] | None:
            file = next(self.left, None)
            return dict(np.load(file)) if file else None

    graph = onnx.load(source).graph
    vectors = {value.name for value in graph.initializer if len(value.dims) == 1}
    # 0.47.0 gives a vector a scale per column, and then cannot store it as int8
    thin = [node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] in vectors]
    settings = {"high_precision_dtype": "fp32", "dq_only": True, "nodes_to_exclude": thin} | json.loads(options)
    quantize(source, calibration_data_reader=Recorded(), calibration_eps=["cpu"], output_path=output, **settings)


def exact_session(file: Path) -> Any:
    """A graph in ONNX Runtime as it is written: integers are dequantized and multiplied in FP32.

    With its integer kernels the text graph lost 10 dB on a processor without VNNI: that is not what a GPU computes.
    """
    import onnxruntime

    from sam3i_edge.runtimes.onnxruntime import OnnxRuntimeSession

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return OnnxRuntimeSession(session, file, ("cpu", 0), frozenset())


def signal_to_noise(folder: Path, name: str, graph: str) -> dict[str, float]:
    """Of each output in dB against the float graph, on the held-out inputs, in ONNX Runtime."""
    from sam3i_edge.quantize.ptq import decibels

    before, after = (exact_session(folder / side / "graphs" / f"{graph}.onnx") for side in (FLOAT, name))
    power: dict[str, np.ndarray] = {}
    for file in sorted((folder / "inputs" / "held-out" / graph).glob("*.npz")):
        inputs = dict(np.load(file))
        first, second = ({k: np.asarray(v) for k, v in side.run(inputs).items()} for side in (before, after))
        if ORDER in first:  # all queries are there, the best first: put them in one order
            first, second = (_in_order(side) for side in (first, second))
        for port in first:
            noise = np.square(first[port] - second[port], dtype=np.float64).sum()
            signal = np.square(first[port], dtype=np.float64).sum()
            power[port] = power.get(port, np.zeros(2)) + np.array([signal, noise])
    return {port: round(decibels(*both), 2) for port, both in power.items()}


def _in_order(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(found.pop(ORDER), axis=1)
    return {
        name: np.take_along_axis(value, order.reshape(*order.shape, *[1] * (value.ndim - 2)), 1)
        if value.shape[:2] == order.shape
        else value
        for name, value in found.items()
    }


def accuracy(folder: Path, data: Path, names: list[str]) -> dict[str, Any]:
    """Scores on all scenes in ONNX Runtime, and how far each candidate is from the float bundle."""
    from sam3i_edge.bundle import TOKENIZER_FILE, open_bundle
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.evaluate import evaluate
    from sam3i_edge.evaluate.agreement import Agreement
    from sam3i_edge.route import ROUTE_FILE, RouteClassifier
    from sam3i_edge.segmenter import Segmenter
    from sam3i_edge.tokenizer import Tokenizer

    def opened(name: str) -> Segmenter:
        bundle = open_bundle(folder / name)
        tokenizer = Tokenizer.from_file(bundle.path / TOKENIZER_FILE, bundle.manifest.model.text.context_length)
        sessions = {graph: exact_session(bundle.graph_path(graph)) for graph in GRAPHS}
        return Segmenter(bundle.manifest, tokenizer, sessions, 0.5, RouteClassifier.load(bundle.path / ROUTE_FILE))

    samples = load_samples(data, "val").samples
    kept = Agreement(threshold=0.5)
    before = evaluate(opened(FLOAT), samples, ask=kept.keep)
    found: dict[str, Any] = {FLOAT: before.to_dict()}
    for name in names:
        agreement = copy.deepcopy(kept)
        after = evaluate(opened(name), samples, ask=agreement.compare)
        found[name] = agreement.to_dict(before, after) | {"scores": after.to_dict()}
        sys.stdout.write(f"{name}\n{agreement.table(before, after)}\n")
        sys.stdout.flush()
    return found


def main() -> None:
    """Make what is missing, measure, and write all of it."""
    from sam3i_edge.benchmarks.int8_layers import kernels, placement  # not where ModelOpt is

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for the bundles")
    parser.add_argument("--data", type=Path, required=True, help="scenes that calibration does not see, split val")
    parser.add_argument("--modelopt", default=sys.executable, help="the Python that has nvidia-modelopt")
    parser.add_argument("--only", nargs="*", default=[*OURS, *THEIRS], help="some of the candidates")
    arguments = parser.parse_args()
    (folder := arguments.output).mkdir(parents=True, exist_ok=True)
    make_ours(folder)
    record_inputs(folder, arguments.data)
    report: dict[str, Any] = {}
    for name in arguments.only:
        if not (folder / name).exists():
            make_theirs(folder, arguments.modelopt, name)
        for graph in GRAPHS:
            file = folder / name / "graphs" / f"{graph}.onnx"
            report[f"{name}: {graph}"] = {
                "bytes": file.stat().st_size,
                "placement": placement(file),
                "kernels": kernels(file),
                "signal to noise, dB": signal_to_noise(folder, name, graph),
            }
            sys.stdout.write(f"{name}: {graph}: {json.dumps(report[f'{name}: {graph}'])}\n")
    report["accuracy"] = accuracy(folder, arguments.data, arguments.only)
    (folder / "modelopt.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    quantize_here(*sys.argv[2:]) if sys.argv[1:2] == ["--quantize"] else main()
