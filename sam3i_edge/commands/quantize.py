"""The command ``quantize``: training for when integers alone cost too much. What only quantizes is ``export``."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge.commands.distill import teach
from sam3i_edge.commands.training import add_data
from sam3i_edge.errors import ConfigError


def add(commands: Any) -> None:
    """Register ``quantize`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "quantize",
        help="train a model for the integers that it will have",
        description="`export --precision int8` quantizes. This makes a checkpoint that loses less by it: the model "
        "teaches itself, while the layers of a recipe round inputs and weights as the target will. Under `accelerate "
        "launch -m sam3i_edge quantize …` it runs on several devices or machines.",
    )
    parser.add_argument("--qat", action="store_true", help="quantization-aware training, which is all there is here")
    parser.add_argument("--checkpoint", metavar="FILE", help="to begin with; none: the small model that comes with it")
    parser.add_argument("--config", metavar="NAME|FILE", help="its sizes; none: config.json beside it, or full")
    parser.add_argument("--target", default="x86-cpu", metavar="NAME", help="whose integers (%(default)s)")
    parser.add_argument("--recipe", metavar="FILE", help="which blocks, as a bundle holds it; none: the default")
    add_data(parser, required=False)
    parser.add_argument("--training", default="full", metavar="NAME|FILE", help="full, tabletop, or TOML (%(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value there; may be repeated"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the run in the output folder stopped")
    parser.add_argument("-o", "--output", metavar="DIR", help="for the checkpoint and its run, empty or new")
    parser.set_defaults(command=_quantize)


def _quantize(arguments: argparse.Namespace) -> int:
    if not arguments.qat:
        raise ConfigError(
            "`sam3i-edge export --precision int8` quantizes a checkpoint. To train one for it first, add --qat."
        )
    stage = argparse.Namespace(
        teacher=arguments.checkpoint,
        config=arguments.config,
        student="same",
        stages="int8",
        int8_recipe=arguments.recipe,
        recipe=arguments.training,
        set=arguments.set,
        target=arguments.target,
        feature_cache=None,
        pretrained=False,
        without_teacher=False,
        data=arguments.data,
        images=arguments.images,
        on_problem=arguments.on_problem,
        resume=arguments.resume,
        output=arguments.output,
    )
    return teach(stage, "the checkpoint, to be exported with --precision int8")
