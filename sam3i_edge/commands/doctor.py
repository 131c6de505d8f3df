"""The command ``doctor``: what this machine can run, and what is missing for the rest."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sam3i_edge import schema
from sam3i_edge.doctor import examine


def add(commands: Any) -> None:
    """Register ``doctor`` on an argparse sub-parsers object."""
    parser = commands.add_parser("doctor", help="show what this machine can run, and what is missing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    report = examine()
    if arguments.json:
        print(json.dumps(schema.plain(report), indent=1))
        return 0
    print(", ".join(report.machine.values()))
    print("\ndrivers")
    for name, about in report.drivers.items():
        print(f"  {name:12} {about or 'none'}")
    print("\nruntimes")
    for runtime in report.runtimes:
        print(f"  {runtime.name:12} {runtime.version or 'not installed'}")
        for name, description in runtime.devices.items():
            print(f"  {'':12}   {name}: {description}")
        if runtime.problem:
            print(f"  {'':12}   {runtime.problem}")
    print("\ntargets")
    for target in report.targets:
        print(f"  {target.name:12} {target.problem or 'ready'}")
        if "not yet" in target.hardware:
            print(f"  {'':12}   {target.hardware}")
    return 0
