"""The command ``train``: the base detector, or a stage of its instruction adapters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge.commands.training import add_data, load_data, overrides, processes, stop_after_this_step
from sam3i_edge.config import CONFIG_FILE, PRESETS, ModelConfig
from sam3i_edge.errors import TrainingError, packages_for
from sam3i_edge.terminal import show

if TYPE_CHECKING:
    from sam3i_edge.model import Sam3i
    from sam3i_edge.train.recipe import TrainRecipe

FROM_NOTHING = ("encoders", "base")
"""Stages that need no checkpoint."""


def add(commands: Any) -> None:
    """Register ``train`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "train",
        help="train the base detector or the instruction adapters",
        description="Under `accelerate launch -m sam3i_edge train …` it runs on several devices or machines.",
    )
    parser.add_argument("--stage", required=True, metavar="NAME", help="encoders, base, 1 (simple), 2 (complex) or 3")
    add_data(parser)
    parser.add_argument("--checkpoint", metavar="FILE", help="to begin with; none, for the base: random weights")
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help=f"sizes: {', '.join(PRESETS)}, or JSON; none: {CONFIG_FILE} beside the checkpoint, or full",
    )
    parser.add_argument("--recipe", default="published", metavar="NAME|FILE", help="published, tabletop, or TOML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value in the recipe; may be repeated"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the run in the output folder stopped")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="for checkpoints and log, empty or new")
    parser.set_defaults(command=_train)


def _train(arguments: argparse.Namespace) -> int:
    with packages_for("Training", "train"):
        from accelerate import PartialState

        from sam3i_edge.train.loop import BEST, LAST, finished, train
        from sam3i_edge.train.recipe import load_recipe
        from sam3i_edge.train.stages import STAGES, task_of
        from sam3i_edge.train.validation import validation
    recipe = load_recipe(arguments.recipe, arguments.stage, overrides(arguments.set))
    loaded = load_data(arguments, "train")
    validate = None
    if recipe.validate_every and STAGES[arguments.stage].validated:
        samples = load_data(arguments, "val").samples
        validate = validation(samples, STAGES[arguments.stage].validated, recipe.validation_images)
    model = _model(arguments, recipe)
    stop = stop_after_this_step()
    with processes():
        progress = train(
            model,
            task_of(model, arguments.stage, loaded.samples, recipe),
            recipe,
            Path(arguments.output),
            about={"data": str(arguments.data), "checkpoint": str(arguments.checkpoint or "")},
            validate=validate,
            resume=arguments.resume,
            stop=lambda: bool(stop),
        )
    if not finished(Path(arguments.output)):  # a signal may have reached another process alone
        show(f"sam3i-edge: stopped after step {progress.step}; go on with --resume.", error=True)
        return 130
    if not PartialState().is_main_process:
        return 0
    best = f"; best on the validation set: {BEST}, step {progress.best_step}" if progress.best_step else ""
    show(f"trained {progress.step} steps: {Path(arguments.output) / LAST}{best}")
    return 0


def _model(arguments: argparse.Namespace, recipe: TrainRecipe) -> Sam3i:
    import torch

    from sam3i_edge.model import Sam3i, load
    from sam3i_edge.train.stages import initialize

    config = ModelConfig.of_checkpoint(arguments.checkpoint, arguments.config)
    if arguments.checkpoint:
        return load(arguments.checkpoint, config)
    if arguments.stage not in FROM_NOTHING:
        raise TrainingError(
            f"Stage {arguments.stage} adapts a trained model: give it with --checkpoint. Only "
            f"{' and '.join(FROM_NOTHING)} may begin with random weights."
        )
    torch.manual_seed(recipe.seed)
    return initialize(Sam3i(config))
