"""Everything that needs an NVIDIA GPU, in one go: for an hour with a machine that has one.

    pip install '.[all]'
    python -m sam3i_edge.benchmarks.gpu_session DIR --prepare    # without a GPU: exports the bundles
    python -m sam3i_edge.benchmarks.gpu_session DIR              # the rest; also prepares what is missing

Each step is a process of its own, with a log in ``DIR/logs`` and a time limit; one that fails does not stop the others.
``DIR/report.md`` says what became of each. Steps that succeeded are not run again; ``--only NAME`` chooses some.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge.files import write_json, write_whole

PRECISIONS = ("fp32", "fp16", "int8", "int8-fp16")
HALF = ("fp16", "int8-fp16")
"""In which attention can be fused."""
ROOT = Path(__file__).resolve().parent.parent
DONE, FAILED, TIMED_OUT = "done", "FAILED", "TIMED OUT"


@dataclass(frozen=True)
class Step:
    """A piece of work that stands alone."""

    name: str
    work: Callable[[Path], object]
    limit_s: int = 540
    needs_gpu: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of a step."""

    name: str
    result: str
    seconds: float
    log: str


def _command(*arguments: object) -> None:
    """Run a command of ours; its output goes to the step's log. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "sam3i_edge", *map(str, arguments)], check=True)


def bundle_names() -> list[str]:
    """The demo model's bundles: each precision, and in half precision with fused attention, too."""
    return [*PRECISIONS, *(f"{precision}-fused" for precision in HALF)]


def _export(name: str, folder: Path) -> None:
    precision = name.removesuffix("-fused")
    attention = ["--attention", "fused" if name.endswith("-fused") else "unfused"]
    _command("export", "--target", "rtx", "--precision", precision, *attention, "-o", folder / name)


def _export_full_width(precision: str, folder: Path) -> None:
    from sam3i_edge.benchmarks.full_width import full_width, write_checkpoint
    from sam3i_edge.export import Int8Options, export

    checkpoint = write_checkpoint(full_width(4), folder / "full-width-checkpoint")
    int8 = Int8Options(scored_images=0) if precision.startswith("int8") else None
    # Unchecked: with random weights all scores lie near each other, and only times are of interest.
    export(checkpoint, None, folder / f"full-{precision}", target="rtx", precision=precision, int8=int8, check=False)


def _machine(folder: Path) -> None:
    subprocess.run("nvidia-smi; nvidia-smi -q", shell=True, check=False)  # a Jetson has none
    _command("doctor")
    from sam3i_edge.runtimes import find_runtime

    print(find_runtime("tensorrt-rtx").devices())  # noqa: T201  # raises if there is no GPU


def _verify(name: str, folder: Path) -> None:
    _command("verify", folder / name, "--json", folder / f"verify-{name}.json")


def _conformance(folder: Path) -> None:
    """Threads, closing, memory, damaged inputs: what every runtime must do."""
    files = [ROOT / "tests/runtimes/test_tensorrt_rtx.py"]
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-ra", *map(str, files)], check=True, cwd=ROOT)


def _loads(folder: Path) -> None:
    """Seconds to the first masks: with the bundle's engine, with what is kept of it, and built on the device."""
    from sam3i_edge import Segmenter, shipped
    from sam3i_edge.image import read_image

    image = read_image(next((shipped.CHECKPOINT.parent / "scenes" / "images").glob("*.jpg")))
    found = {}
    for cache in ("first", "second"):
        os.environ["SAM3I_EDGE_CACHE"] = str(folder / "cache")
        start = time.perf_counter()
        with Segmenter.load(folder / "fp16") as segmenter:
            loaded = time.perf_counter() - start
            segmenter.segment(image, "mug")
            found[cache] = {"load_s": loaded, "first_masks_s": time.perf_counter() - start, "device": segmenter.device}
    write_json(folder / "loads.json", found)


def _gpu_times(name: str, folder: Path) -> None:
    """Milliseconds of each graph on the GPU, by CUDA events, without copies."""
    from sam3i_edge.bundle import open_bundle
    from sam3i_edge.runtimes.nvidia import NvidiaSession
    from sam3i_edge.segmenter import open_sessions, session_options

    opened, times = open_bundle(folder / name), {}
    options = session_options(opened.manifest, opened.manifest.target.runtime, "auto")
    for graph, session in open_sessions(opened, opened.manifest.target.runtime, options).items():
        assert isinstance(session, NvidiaSession)
        inputs = {
            port.name: np.zeros([side if isinstance(side, int) else 1 for side in port.shape], port.dtype)
            for port in opened.manifest.graphs[graph].inputs
        }
        samples = session.gpu_times(inputs, count=50)
        times[graph] = {"median_ms": float(np.median(samples)), "samples_ms": samples}
    write_json(folder / f"gpu-times-{name}.json", times)


def _cuda_provider(folder: Path) -> None:
    """ONNX Runtime's CUDA provider, where its package is the one for GPUs."""
    _command("verify", folder / "fp32", "--runtime", "onnxruntime", "--device", "cuda")


def _benchmark(prefix: str, folder: Path) -> None:
    names = [name for name in (f"{prefix}{precision}" for precision in PRECISIONS) if (folder / name).is_dir()]
    bundles = [folder / name for name in names]
    _command("benchmark", *bundles, "--rounds", 20, "--cold-starts", 1, "-o", folder / f"{prefix}report")


def _train(folder: Path) -> None:
    """How fast the demo model trains here: rendering on all cores, then some hundred steps of its recipe."""
    data, start = folder / "data", time.perf_counter()
    _command("data", "tabletop", "--split", "train", "--count", 400, "--seed", 1, "-o", data)
    _command("data", "tabletop", "--split", "val", "--count", 40, "--seed", 2, "-o", data)
    rendered = time.perf_counter()
    steps = 300
    base = ["--stage", "base", "--checkpoint", ROOT / "sam3i_edge/shipped/tabletop.safetensors", "--data", data]
    _command("train", *base, "--recipe", "tabletop", "--set", f"steps={steps}", "-o", folder / "trained")
    times = {"scenes_per_s": 440 / (rendered - start), "steps_per_s": steps / (time.perf_counter() - rendered)}
    write_json(folder / "training.json", times)


def all_steps() -> list[Step]:
    """In the order in which they are worth most if the time runs out."""

    def each(label: str, work: Callable[[str, Path], None], names: list[str], **options: Any) -> Iterator[Step]:
        for name in names:
            yield Step(f"{label}-{name}", partial(work, name), **options)

    return [
        *each("export", _export, bundle_names(), needs_gpu=False),
        Step("machine", _machine, 60),
        *each("verify", _verify, bundle_names(), limit_s=120),
        Step("loads", _loads, 120),
        *each("gpu-times", _gpu_times, bundle_names(), limit_s=120),
        Step("conformance", _conformance),
        Step("benchmark-demo", partial(_benchmark, "")),
        Step("cuda-provider", _cuda_provider, 120),
        *each("export-full", _export_full_width, list(PRECISIONS), needs_gpu=False, limit_s=1800),
        *each("gpu-times", _gpu_times, [f"full-{precision}" for precision in PRECISIONS]),
        Step("benchmark-full", partial(_benchmark, "full-")),
        Step("train", _train),
    ]


def run_step(step: Step, folder: Path) -> Outcome:
    """Run a step in a process of its own. It never raises for what the step does."""
    log, start = folder / "logs" / f"{step.name}.log", time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sam3i_edge.benchmarks.gpu_session", str(folder), "--step", step.name]
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            result = DONE if child.wait(step.limit_s) == 0 else FAILED
        except subprocess.TimeoutExpired:
            result = TIMED_OUT
        except BaseException:
            _end(child)
            raise
        _end(child)
    return Outcome(step.name, result, round(time.monotonic() - start, 1), f"logs/{step.name}.log")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Of the step and of all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def report(outcomes: list[Outcome], folder: Path) -> str:
    """What became of each step, and what the GPU said of each bundle, in Markdown."""
    lines = [f"# A session with a GPU, {time.strftime('%Y-%m-%d')}, {platform.platform()}", ""]
    lines += ["| step | result | seconds | log |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.result} | {one.seconds} | [{one.log}]({one.log}) |" for one in outcomes]
    verdicts = sorted(folder.glob("verify-*.json"))
    if verdicts:
        lines += ["", "| bundle | device | verdict | worst output | SQNR |", "|---|---|---|---|---|"]
    for file in verdicts:
        verdict = json.loads(file.read_text(encoding="utf-8"))
        worst = min(verdict["checks"], key=lambda check: check["difference"]["sqnr_db"])
        said = "passed" if verdict["passed"] else verdict["problem"]
        name = file.stem.removeprefix("verify-")
        lines.append(
            f"| {name} | {verdict['device']} | {said} | {worst['name']} | {worst['difference']['sqnr_db']:.1f} dB |"
        )
    for file in sorted(folder.glob("gpu-times-*.json")):
        times = {graph: one["median_ms"] for graph, one in json.loads(file.read_text(encoding="utf-8")).items()}
        shown = ", ".join(f"{graph} {ms:.3f} ms" for graph, ms in times.items())
        lines += ["", f"{file.stem.removeprefix('gpu-times-')} on the GPU, medians by CUDA events: {shown}"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the steps; exit status 1 if one of them did not succeed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--prepare", action="store_true", help="only what needs no GPU")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="this step; may be given again")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    steps = {step.name: step for step in all_steps()}
    unknown = [name for name in [*asked.only, *filter(None, [asked.step])] if name not in steps]
    if unknown:
        parser.error(f"no step {unknown[0]!r}; there are: {', '.join(steps)}")
    folder = asked.folder.resolve()
    if asked.step:
        steps[asked.step].work(folder)
        return 0
    chosen = [
        step
        for step in steps.values()
        if (not asked.only or step.name in asked.only) and not (asked.prepare and step.needs_gpu)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "outcomes.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else []
    outcomes = {one["name"]: Outcome(**one) for one in known}
    for step in chosen:
        if step.name in outcomes and outcomes[step.name].result == DONE and step.name not in asked.only:
            continue
        sys.stderr.write(f"{step.name}: ")
        sys.stderr.flush()
        outcomes[step.name] = run_step(step, folder)
        sys.stderr.write(f"{outcomes[step.name].result}, {outcomes[step.name].seconds} s\n")
        write_json(record, [asdict(one) for one in outcomes.values()])
        write_whole(folder / "report.md", report(list(outcomes.values()), folder).encode())
    return int(any(outcomes[step.name].result != DONE for step in chosen))


if __name__ == "__main__":
    sys.exit(main())
