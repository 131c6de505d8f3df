"""The command ``data route``: fit an auto route to the texts of a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge.commands.io import add_force, check_output
from sam3i_edge.errors import packages_for
from sam3i_edge.terminal import show


def add(commands: Any) -> None:
    """Register ``route`` on the argparse sub-parsers object of ``data``."""
    route = commands.add_parser("route", help="fit the classifier behind the route auto to a dataset's texts")
    route.add_argument("--data", required=True, metavar="DIR", help="a dataset's folder, or one annotation file")
    route.add_argument("--split", default="train", metavar="NAME", help="of the dataset (%(default)s)")
    route.add_argument("-o", "--output", required=True, metavar="FILE", help="route.json; put it beside the checkpoint")
    add_force(route)
    route.set_defaults(command=_route)


def _route(arguments: argparse.Namespace) -> int:
    check_output(arguments.output, arguments.force)
    with packages_for("Fitting", "train"):
        from sam3i_edge.clip_tokenizer import clip_tokenizer
        from sam3i_edge.train.route import CONTEXT_LENGTH, fit_to_texts, read_pairs, share_right
    tokenizer = clip_tokenizer(CONTEXT_LENGTH)
    texts = read_pairs(arguments.data, arguments.split)
    classifier = fit_to_texts(texts, f"{Path(arguments.data).name} ({arguments.split})", tokenizer)
    classifier.save(arguments.output)
    right = share_right(classifier, texts, tokenizer)
    shares = ", ".join(f"{route} {100 * share:.1f} %" for route, share in right.items())
    show(f"wrote {arguments.output}, fitted on {len(texts)} texts; right on them: {shares}")
    return 0
