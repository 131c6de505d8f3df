"""Everything that needs an NVIDIA GPU, in one go. Run it in a checkout.

    pip install '.[all,dev]'
    python -m sam3i_edge.benchmarks.studies.gpu_session DIR --prepare    # without a GPU: exports the bundles
    python -m sam3i_edge.benchmarks.studies.gpu_session DIR              # the rest; also prepares what is missing

Each step is a process of its own, with a log in ``DIR/logs`` and a time limit. A step that fails does not stop the
others, unless there is no GPU. ``DIR/report.md`` lists the results. Steps that succeeded are not run again, unless
``--only NAME`` asks for them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
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

from sam3i_edge.errors import Sam3iEdgeError
from sam3i_edge.files import write_json, write_whole
from sam3i_edge.targets import get_target

PRECISIONS = ("fp32", "fp16", "int8", "int8-fp16")
HALF = ("fp16", "int8-fp16")
"""In which attention can be fused."""
ROOT = Path(__file__).resolve().parent.parent.parent
DONE, FAILED, TIMED_OUT = "done", "FAILED", "TIMED OUT"
MACHINE = "machine"
"""The step without which those that need a GPU make no sense."""


@dataclass(frozen=True)
class GpuSession:
    """Where the results go, and what is measured."""

    folder: Path
    target: str

    @property
    def runtime(self) -> str:
        """Of the target."""
        return get_target(self.target).runtime


@dataclass(frozen=True)
class Step:
    """A piece of work that stands alone."""

    name: str
    work: Callable[[GpuSession], object]
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


def _export(name: str, session: GpuSession) -> None:
    precision, output = name.removesuffix("-fused"), session.folder / name
    attention = ["--attention", "fused"] if name.endswith("-fused") else []
    shutil.rmtree(output, ignore_errors=True)
    _command("export", "--target", session.target, "--precision", precision, *attention, "-o", output)


def _export_full_width(precision: str, session: GpuSession) -> None:
    from sam3i_edge.benchmarks.studies.full_width import full_width
    from sam3i_edge.exporter import Int8Options, export
    from sam3i_edge.model.random_weights import write_checkpoint

    output = session.folder / f"full-{precision}"
    shutil.rmtree(output, ignore_errors=True)
    checkpoint = write_checkpoint(full_width(4), session.folder / "full-width-checkpoint")
    int8 = Int8Options(scored_images=0) if precision.startswith("int8") else None
    # Unchecked: with random weights all scores lie near each other, and only times are of interest.
    export(checkpoint, None, output, target=session.target, precision=precision, int8=int8, check=False)


def _machine(session: GpuSession) -> None:
    subprocess.run("nvidia-smi; nvidia-smi -q", shell=True, check=False)  # a Jetson has none
    _command("doctor")
    from sam3i_edge.runtimes import find_runtime

    print(find_runtime(session.runtime).devices())  # noqa: T201  # raises if there is no GPU


def _verify(name: str, session: GpuSession) -> None:
    verdict = session.folder / f"verify-{name}.json"
    verdict.unlink(missing_ok=True)
    _command("verify", session.folder / name, "--json", verdict)


def _conformance(session: GpuSession) -> None:
    """Threads, closing, memory, damaged inputs: what every runtime must do. Of TensorRT-RTX."""
    files = [ROOT / "tests/runtimes/test_tensorrt_rtx.py"]
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-ra", *map(str, files)], check=True, cwd=ROOT)


def _loads(session: GpuSession) -> None:
    """Seconds to the first masks: without anything cached on this device, and with what that left in the cache."""
    from sam3i_edge import Segmenter, demo_model
    from sam3i_edge.image import read_image

    image = read_image(next((demo_model.CHECKPOINT.parent / "scenes" / "images").glob("*.jpg")))
    cache, found = session.folder / "cache", {}
    shutil.rmtree(cache, ignore_errors=True)
    os.environ["SAM3I_EDGE_CACHE"] = str(cache)
    for name in ("without cache", "with cache"):
        start = time.perf_counter()
        with Segmenter.load(session.folder / "fp16") as segmenter:
            loaded = time.perf_counter() - start
            segmenter.segment(image, "mug")
            found[name] = {"load_s": loaded, "first_masks_s": time.perf_counter() - start, "device": segmenter.device}
    write_json(session.folder / "loads.json", found)


def _gpu_times(name: str, session: GpuSession) -> None:
    """Milliseconds of each graph on the GPU, by CUDA events, without copies."""
    from sam3i_edge.bundle import open_bundle
    from sam3i_edge.graph_engine import open_sessions, session_options
    from sam3i_edge.runtimes.nvidia import NvidiaSession

    opened, times = open_bundle(session.folder / name), {}
    options = session_options(opened.manifest, session.runtime, "auto")
    for graph, engine in open_sessions(opened, session.runtime, options).items():
        assert isinstance(engine, NvidiaSession)
        inputs = {
            port.name: np.zeros([side if isinstance(side, int) else 1 for side in port.shape], port.dtype)
            for port in opened.manifest.runtime.graphs[graph].inputs
        }
        samples = engine.gpu_times(inputs, count=50)
        times[graph] = {"median_ms": float(np.median(samples)), "samples_ms": samples}
    write_json(session.folder / f"gpu-times-{name}.json", times)


def _cuda_provider(session: GpuSession) -> None:
    """ONNX Runtime's CUDA provider, where its package is the one for GPUs: pip install onnxruntime-gpu."""
    _command("verify", session.folder / "fp32", "--runtime", "onnxruntime", "--device", "cuda")


def _benchmark(prefix: str, session: GpuSession) -> None:
    folder = session.folder
    names = [name for name in (f"{prefix}{precision}" for precision in PRECISIONS) if (folder / name).is_dir()]
    bundles = [folder / name for name in names]
    _command("benchmark", *bundles, "--rounds", 20, "--cold-starts", 1, "-o", folder / f"{prefix}report")


def _train(session: GpuSession) -> None:
    """How fast the demo model trains here: rendering on all cores, then some hundred steps of its recipe."""
    data, start = session.folder / "data", time.perf_counter()
    _command("data", "tabletop", "--split", "train", "--count", 400, "--seed", 1, "-o", data)
    _command("data", "tabletop", "--split", "val", "--count", 40, "--seed", 2, "-o", data)
    rendered = time.perf_counter()
    steps = 300
    base = ["--stage", "base", "--checkpoint", ROOT / "sam3i_edge/demo_model/tabletop.safetensors", "--data", data]
    _command("train", *base, "--recipe", "tabletop", "--set", f"steps={steps}", "-o", session.folder / "trained")
    times = {"scenes_per_s": 440 / (rendered - start), "steps_per_s": steps / (time.perf_counter() - rendered)}
    write_json(session.folder / "training.json", times)


def all_steps() -> list[Step]:
    """In the order in which they are worth most if the time runs out."""

    def each(label: str, work: Callable[[str, GpuSession], None], names: list[str], **options: Any) -> Iterator[Step]:
        for name in names:
            yield Step(f"{label}-{name}", partial(work, name), **options)

    return [
        Step(MACHINE, _machine, 60),
        *each("export", _export, bundle_names(), needs_gpu=False),
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


def run_step(step: Step, session: GpuSession) -> Outcome:
    """Run a step in a process of its own. It never raises for what the step does."""
    log, start = session.folder / "logs" / f"{step.name}.log", time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    module = [sys.executable, "-m", "sam3i_edge.benchmarks.studies.gpu_session"]
    command = [*module, str(session.folder), "--target", session.target, "--step", step.name]
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


def _run_here(step: Step, session: GpuSession) -> int:
    """In the child: what goes wrong is the last line of the log."""
    try:
        step.work(session)
    except (Sam3iEdgeError, subprocess.CalledProcessError) as error:
        print(error, flush=True)  # noqa: T201
        return 1
    return 0


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


def _run_all(steps: list[Step], session: GpuSession, again: bool) -> list[Outcome]:
    """Run what has not succeeded yet, or all of it ``again``; each result is written when it is known."""
    record = session.folder / "outcomes.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else []
    outcomes = {one["name"]: Outcome(**one) for one in known}
    for step in steps:
        if not again and step.name in outcomes and outcomes[step.name].result == DONE:
            continue
        sys.stderr.write(f"{step.name}: ")
        sys.stderr.flush()
        outcome = outcomes[step.name] = run_step(step, session)
        said = (session.folder / outcome.log).read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        why = "" if outcome.result == DONE else f": {said} ({session.folder / outcome.log})"
        sys.stderr.write(f"{outcome.result}, {outcome.seconds} s{why}\n")
        write_json(record, [asdict(one) for one in outcomes.values()])
        write_whole(session.folder / "report.md", report(list(outcomes.values()), session.folder).encode())
        if step.name == MACHINE and outcome.result != DONE and not again:
            sys.stderr.write("There is no GPU here that can be used, so the other steps are left out.\n")
            break
    return [outcomes[step.name] for step in steps if step.name in outcomes]


def main() -> int:
    """Run the steps; exit status 1 if one of them did not succeed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--target", default="rtx", metavar="NAME", help="rtx, nvidia or jetson (default: %(default)s)")
    parser.add_argument("--prepare", action="store_true", help="only what needs no GPU")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="this step; may be given again")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    steps = {step.name: step for step in all_steps()}
    unknown = [name for name in [*asked.only, *filter(None, [asked.step])] if name not in steps]
    if unknown:
        parser.error(f"no step {unknown[0]!r}; there are: {', '.join(steps)}")
    session = GpuSession(asked.folder.resolve(), asked.target)
    if asked.step:
        return _run_here(steps[asked.step], session)
    chosen = [step for step in steps.values() if not asked.only or step.name in asked.only]
    chosen = [step for step in chosen if not (asked.prepare and step.needs_gpu)]
    session.folder.mkdir(parents=True, exist_ok=True)
    outcomes = _run_all(chosen, session, again=bool(asked.only))
    return int(len(outcomes) < len(chosen) or any(outcome.result != DONE for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
