"""The command ``data``: make datasets."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge import demo_model
from sam3i_edge.commands import domain, route
from sam3i_edge.commands.progress import counted
from sam3i_edge.errors import packages_for
from sam3i_edge.terminal import show


def add(commands: Any) -> None:
    """Register ``data`` and its sub-commands on an argparse sub-parsers object."""
    data = commands.add_parser("data", help="make a dataset, or what is fitted to one")
    kinds = data.add_subparsers(required=True)
    tabletop = kinds.add_parser("tabletop", help="rendered scenes of everyday things, with instructions")
    tabletop.add_argument("--split", required=True, metavar="NAME", help="train, val or compose")
    tabletop.add_argument("--count", required=True, type=int, metavar="N", help="scenes to make")
    tabletop.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other scenes (%(default)s)")
    tabletop.add_argument("--size", type=int, default=224, metavar="PX", help="side of the pictures (%(default)s)")
    tabletop.add_argument("--workers", type=int, default=0, metavar="N", help="processes; 0: one for each core")
    tabletop.add_argument("-o", "--output", required=True, metavar="DIR", help="folder; may hold other splits already")
    tabletop.set_defaults(command=_tabletop)
    route.add(kinds)
    domain.add(kinds)


def _tabletop(arguments: argparse.Namespace) -> int:
    demo_model.require(demo_model.GENERATOR, "use a dataset of your own in the HMPL-Instruct layout")
    with packages_for("Making datasets", "data"):
        from sam3i_edge.data.tabletop.generate import generate
    file = generate(
        arguments.output,
        arguments.split,
        arguments.count,
        arguments.seed,
        size=arguments.size,
        workers=arguments.workers,
        progress=counted(arguments.split, "scenes"),
    )
    show(f"wrote {file}")
    return 0
