"""The command ``verify``: replay the golden cases of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge.commands.loading import load_segmenter
from sam3i_edge.golden import read_golden
from sam3i_edge.verify import verify


def add(commands: Any) -> None:
    """Register ``verify`` on an argparse sub-parsers object."""
    parser = commands.add_parser("verify", help="replay the bundle's golden cases on this device")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--device", default="auto", metavar="NAME", help="device of the runtime (%(default)s)")
    parser.set_defaults(command=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    segmenter = load_segmenter(arguments)
    checks = verify(segmenter, read_golden(Path(arguments.bundle)))
    for check in checks:
        print(f"{check.name:22} {check.difference}  {'ok' if check.passed else 'FAILED'}")
    failed = [check.name for check in checks if not check.passed]
    on = f"on {segmenter.device}, {segmenter.manifest.precision}"
    print(f"FAILED {on}: first at {failed[0]}" if failed else f"passed {on}")
    return 1 if failed else 0
