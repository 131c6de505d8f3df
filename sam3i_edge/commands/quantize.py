"""The command ``quantize qat``: quantization-aware training. What only quantizes is ``export --precision int8``."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge.commands.distill import RECIPE_HELP, teach
from sam3i_edge.commands.training import add_data


def add(commands: Any) -> None:
    """Register ``quantize`` and its sub-command on an argparse sub-parsers object."""
    quantize = commands.add_parser(
        "quantize",
        help="train a model for int8 (qat)",
        description="`export --precision int8` quantizes a checkpoint. If it loses too much, train it first.",
    )
    verbs = quantize.add_subparsers(required=True)
    parser = verbs.add_parser(
        "qat",
        help="train a checkpoint that loses less in int8 (quantization-aware training)",
        description="Train a checkpoint that loses less when `export --precision int8` quantizes it: the model teaches "
        "itself while the layers of a recipe round inputs and weights as the target does. Under `accelerate "
        "launch -m sam3i_edge quantize qat …` it runs on several devices or machines.",
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="train this one; none: the demo model")
    parser.add_argument("--config", metavar="NAME|FILE", help="its sizes; none: config.json beside it, or full")
    parser.add_argument("--target", default="x86-cpu", metavar="NAME", help="round as it does (%(default)s)")
    parser.add_argument("--recipe", metavar="FILE", help="round these blocks, as a bundle holds it; none: the default")
    add_data(parser)
    parser.add_argument("--training", metavar="NAME|FILE", help=RECIPE_HELP)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a value of --training; may be repeated"
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in the output folder")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="for the checkpoint and run; empty or new")
    parser.set_defaults(command=_qat)


def _qat(arguments: argparse.Namespace) -> int:
    fixed = {"student": "same", "stages": "int8", "feature_cache": None, "pretrained": False, "without_teacher": False}
    named = {"teacher": arguments.checkpoint, "int8_recipe": arguments.recipe, "recipe": arguments.training}
    stage = argparse.Namespace(**vars(arguments) | fixed | named)
    return teach(stage, "the checkpoint, to be exported with --precision int8")
