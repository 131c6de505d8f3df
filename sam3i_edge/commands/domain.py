"""The command ``data domain``: write down what a model was trained on, from a dataset's texts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.commands.io import add_force, check_output
from sam3i_edge.data.texts import read_texts
from sam3i_edge.domain import DOMAIN_FILE, Domain, words_of
from sam3i_edge.errors import DataError
from sam3i_edge.files import write_json
from sam3i_edge.terminal import show


def add(commands: Any) -> None:
    """Register ``domain`` on the argparse sub-parsers object of ``data``."""
    domain = commands.add_parser(
        "domain", help="list the words of a dataset's texts: a model says which it has never seen"
    )
    domain.add_argument(
        "--texts", required=True, metavar="FILE|DIR", help="a text on each line, or a dataset: its train split"
    )
    domain.add_argument("--note", required=True, metavar="TEXT", help="what the model was trained on, in a few words")
    domain.add_argument("--kinds", default="", metavar="A,B,C", help="the things in it, for `sam3i-edge inspect`")
    domain.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=f"{DOMAIN_FILE}; put it beside the checkpoint"
    )
    add_force(domain)
    domain.set_defaults(command=_domain)


def _domain(arguments: argparse.Namespace) -> int:
    check_output(arguments.output, arguments.force)
    words = sorted({word for text in read_texts(arguments.texts) for word in words_of(text)})
    if not words:
        raise DataError(f"The texts of {arguments.texts} hold no English word.")
    kinds = tuple(kind.strip() for kind in arguments.kinds.split(",") if kind.strip())
    write_json(Path(arguments.output), schema.plain(Domain(arguments.note, kinds, tuple(words))))
    show(f"wrote {arguments.output}: {len(words)} words")
    return 0
