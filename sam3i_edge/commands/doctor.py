"""The command ``doctor``: what this machine can run, and what is missing for the rest."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge import schema
from sam3i_edge.cache import VARIABLE
from sam3i_edge.doctor import examine
from sam3i_edge.terminal import show, show_json


def add(commands: Any) -> None:
    """Register ``doctor`` on an argparse sub-parsers object."""
    parser = commands.add_parser("doctor", help="show what this machine can run, and what is missing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    report = examine()
    if arguments.json:
        show_json(schema.plain(report), indent=1)
        return 0
    show(f"sam3i-edge {report.package}, {', '.join(report.machine.values())}")
    show(f"cache: {report.cache or 'none'} (${VARIABLE})")
    show("", "drivers")
    for name, about in report.drivers.items():
        show(f"  {name:12} {about or 'none'}")
    show("", "runtimes")
    for runtime in report.runtimes:
        show(f"  {runtime.name:12} {_brief(runtime.problem, runtime.version)}")
        for name, description in runtime.devices.items():
            show(f"  {'':12}   {name}: {description}")
    show("", "targets")
    for target in report.targets:
        show(f"  {target.name:12} {_brief(target.problem, 'ready')}")
        if not target.problem and "not yet" in target.hardware:
            show(f"  {'':12}   {target.hardware}")
    if any([runtime.problem for runtime in report.runtimes] + [target.problem for target in report.targets]):
        show("", "What to do about those that are not available: sam3i-edge doctor --json")
    return 0


def _brief(problem: str, otherwise: str) -> str:
    """The first sentence of a problem; the others say what to do, too much for hardware that is just not there."""
    return f"not available: {problem.partition('. ')[0].rstrip('.')}" if problem else otherwise
