"""The command ``targets``: the devices a bundle can be made for."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.targets import FOLDER, TARGETS, get_target
from sam3i_edge.terminal import show


def add(commands: Any) -> None:
    """Register ``targets`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "targets",
        help="list the devices that bundles are made for",
        description="A target is a file: print one, change it, and give its path to export --target.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this target's file")
    parser.set_defaults(command=_targets)


def _targets(arguments: argparse.Namespace) -> int:
    if arguments.name:
        if arguments.name not in TARGETS:
            raise ConfigError(unknown_name("target", arguments.name, TARGETS))
        show(*(FOLDER / f"{arguments.name}.toml").read_text(encoding="utf-8").splitlines())
        return 0
    for target in map(get_target, TARGETS):
        show(f"{target.name:12} {target.description}; {', '.join(target.precisions)}")
        show(f"{'':12} {target.hardware if 'not yet' in target.hardware else f'run on: {target.hardware}'}")
    return 0
