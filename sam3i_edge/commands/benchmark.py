"""The command ``benchmark``: what bundles take on this machine, beside how good their answers are."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

from sam3i_edge.benchmarks.candidates import BASELINES, find_candidates
from sam3i_edge.benchmarks.measurement import BenchmarkPlan
from sam3i_edge.benchmarks.render import write_all
from sam3i_edge.benchmarks.runner import benchmark
from sam3i_edge.benchmarks.tables import headline
from sam3i_edge.benchmarks.workload import Data
from sam3i_edge.commands.io import add_force, output_folder
from sam3i_edge.commands.progress import steps
from sam3i_edge.commands.training import IMAGES_HELP
from sam3i_edge.errors import BenchmarkError
from sam3i_edge.segmenter import ENGINES, PYTHON
from sam3i_edge.terminal import show

UNITS = {"s": 1, "m": 60, "h": 3600}


def add(commands: Any) -> None:
    """Register ``benchmark`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "benchmark",
        help="measure bundles on this machine, and write a report",
        description="Measure frames, stages, cold starts and memory of bundles, interleaved, and with --data their "
        "accuracy. It takes some minutes for each bundle.",
    )
    _add_arguments(parser)
    parser.set_defaults(command=_benchmark)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", help="measured by turns; the first is the reference")
    parser.add_argument("--data", metavar="DIR", help="a dataset: its images are timed, and accuracy is measured")
    parser.add_argument("--split", default="val", metavar="NAME", help="of the dataset (%(default)s)")
    parser.add_argument("--images", metavar="DIR", help=IMAGES_HELP)
    parser.add_argument("--limit", type=int, metavar="N", help="measure accuracy on N images, spread over the dataset")
    parser.add_argument(
        "--baseline", metavar="NAME,...", help=f"{', '.join(BASELINES)}; the first becomes the reference"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="of the PyTorch baselines; none: the demo model")
    parser.add_argument("--duration", default="0s", metavar="TIME", help="a sustained run afterwards, such as 10m")
    parser.add_argument("--rounds", type=int, metavar="N", help="of frames; none: until ratios are known to 1 %%")
    parser.add_argument(
        "--scenario-rounds", type=int, default=15, metavar="N", help="of each other way to ask (%(default)s); 0: none"
    )
    parser.add_argument("--cold-starts", type=int, default=3, metavar="N", help="fresh processes (%(default)s)")
    parser.add_argument("--engine", default=PYTHON, metavar="NAME", help=f"{' or '.join(ENGINES)} (%(default)s)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="of the runtime; auto: the target's")
    parser.add_argument("--name", metavar="NAME", help="of this machine in the report; none: its processor's")
    parser.add_argument("--skip-unavailable", action="store_true", help="only name bundles that do not run here")
    parser.add_argument(
        "-o", "--output", default="benchmark", metavar="DIR", help="report.json, .md and .html; empty or new"
    )
    add_force(parser)


def _benchmark(arguments: argparse.Namespace) -> int:
    data = Data(arguments.data, arguments.split, arguments.images, arguments.limit) if arguments.data else None
    plan = BenchmarkPlan(
        rounds=arguments.rounds,
        scenario_rounds=arguments.scenario_rounds,
        cold_starts=arguments.cold_starts,
        data=data,
        duration_s=seconds(arguments.duration),
        skip_unavailable=arguments.skip_unavailable,
        machine_name=arguments.name,
        command=_command(arguments),
    )
    baselines = [name for name in (arguments.baseline or "").split(",") if name]
    with output_folder(arguments.output, arguments.force) as output:
        return _measure(arguments, plan, baselines, output)


def _measure(arguments: argparse.Namespace, plan: BenchmarkPlan, baselines: list[str], output: Path) -> int:
    asked = find_candidates(arguments.bundles, baselines, arguments.checkpoint, arguments.device, arguments.engine)
    with steps() as step:
        report = benchmark(asked, plan, step)
    for parts in headline(report):
        show(" ".join(parts))
    for note in report.notes:
        show(f"note: {note}")
    for one in report.skipped:
        show(f"left out: {one.bundle}: {one.why}")
    show(*write_all(output, report))
    if report.partial:
        show("interrupted: the report holds what was measured until then, and says so.")
    return 130 if report.partial else 0


def seconds(text: str) -> float:
    """``10m`` and the like. Raises BenchmarkError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
        raise BenchmarkError(f"Cannot read the duration {text!r}. Write a number with s, m or h: 90s, 10m, 1h.")
    return float(found[1]) * UNITS[found[2]]


def _command(arguments: argparse.Namespace) -> str:
    """The call, to be repeated elsewhere."""
    words = ["sam3i-edge", "benchmark", *arguments.bundles]
    usual = argparse.ArgumentParser()
    _add_arguments(usual)
    for name, value in vars(arguments).items():
        if name in ("bundles", "command", "output", "force") or value == usual.get_default(name):
            continue
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)
