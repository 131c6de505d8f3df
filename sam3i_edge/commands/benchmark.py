"""The command ``benchmark``: what bundles take on this machine, beside how good their answers are."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Any

from sam3i_edge.benchmarks.items import Data
from sam3i_edge.benchmarks.measure import Plan, benchmark
from sam3i_edge.benchmarks.render import write_all
from sam3i_edge.benchmarks.subjects import BASELINES, subjects
from sam3i_edge.benchmarks.tables import headline
from sam3i_edge.commands.outputs import make_folder
from sam3i_edge.commands.stopping import steps
from sam3i_edge.errors import BenchmarkError

UNITS = {"s": 1, "m": 60, "h": 3600}


def add(commands: Any) -> None:
    """Register ``benchmark`` on an argparse sub-parsers object."""
    parser = commands.add_parser("benchmark", help="measure bundles on this machine, and write a report")
    _add_arguments(parser)
    parser.set_defaults(command=_benchmark)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", help="measured by turns; the first is the reference")
    parser.add_argument("--data", metavar="DIR", help="a dataset: its images are timed, and accuracy is measured")
    parser.add_argument("--split", default="val", metavar="NAME", help="of the dataset (%(default)s)")
    parser.add_argument(
        "--images", metavar="DIR", help="where the images lie; none: in images beside the annotations, or right there"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure accuracy on N images, spread over the dataset")
    parser.add_argument(
        "--baseline", metavar="NAME,...", help=f"{', '.join(BASELINES)}; the first becomes the reference"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="of the PyTorch baselines; none: the model that ships")
    parser.add_argument("--duration", default="0s", metavar="TIME", help="a sustained run afterwards, such as 10m")
    parser.add_argument("--rounds", type=int, metavar="N", help="of frames; none: until ratios are known to 1 %%")
    parser.add_argument(
        "--scenario-rounds", type=int, default=15, metavar="N", help="of each other way to ask (%(default)s); 0: none"
    )
    parser.add_argument("--cold-starts", type=int, default=3, metavar="N", help="fresh processes (%(default)s)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="of the runtime; auto: the target's")
    parser.add_argument("--name", metavar="NAME", help="of this machine in the report; none: its processor's")
    parser.add_argument("--skip-unavailable", action="store_true", help="only name bundles that do not run here")
    parser.add_argument("-o", "--output", default="benchmark", metavar="DIR", help="report.json, .md and .html")


def _benchmark(arguments: argparse.Namespace) -> int:
    data = Data(arguments.data, arguments.split, arguments.images, arguments.limit) if arguments.data else None
    plan = Plan(
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
    output = make_folder(arguments.output)
    asked = subjects(arguments.bundles, baselines, arguments.checkpoint, arguments.device)
    report = benchmark(asked, plan, steps())
    for parts in headline(report):
        print(" ".join(parts))
    for note in report.notes:
        print(f"note: {note}")
    for one in report.skipped:
        print(f"left out: {one.bundle}: {one.why}")
    print("\n".join(map(str, write_all(output, report))))
    if report.partial:
        print("interrupted: the report holds what was measured until then, and says so.")
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
        if name in ("bundles", "command", "output") or value == usual.get_default(name):
            continue
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)
