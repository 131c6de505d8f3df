"""The commands ``distill``, which trains a student, ``distill plan`` and ``distill list``."""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge import demo_model
from sam3i_edge.commands.io import add_force, check_output, write_output
from sam3i_edge.commands.progress import steps
from sam3i_edge.commands.training import add_data, load_data, overrides, processes, stop_after_this_step
from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import ConfigError, packages_for, unknown_name
from sam3i_edge.targets import get_target
from sam3i_edge.terminal import show

RECIPE_HELP = "full, tabletop, or TOML; none: tabletop for the demo model, full for another"

if TYPE_CHECKING:
    from sam3i_edge.distill.stages import Int8
    from sam3i_edge.train.recipe import TrainRecipe


def add(commands: Any) -> None:
    """Register ``distill`` and the commands beside it on an argparse sub-parsers object."""
    _add_distill(commands)
    plan = commands.add_parser(
        "distill plan",
        help="estimate which students fit a latency, before training",
        description="Estimate the time of a frame for each preset on a target, from small random models timed here.",
    )
    _add_teacher(plan)
    plan.add_argument("--target", default="x86-cpu", metavar="NAME", help="time on it; it must be ready (%(default)s)")
    plan.add_argument("--latency", metavar="TIME", help="say which presets take no longer, such as 50ms")
    plan.add_argument("--rounds", type=int, default=20, metavar="N", help="interleaved frames of each (%(default)s)")
    plan.add_argument("--json", metavar="FILE", help="write the estimates there, too")
    add_force(plan)
    plan.set_defaults(command=_plan)
    presets = commands.add_parser("distill list", help="list the presets of students")
    presets.set_defaults(command=_list)


def _add_distill(commands: Any) -> None:
    parser = commands.add_parser(
        "distill",
        help="train a smaller model to predict what a trained one does",
        description="Train a student. See also `sam3i-edge distill list` for the presets and `distill plan` for their "
        "times. Under `accelerate launch -m sam3i_edge distill …` it runs on several devices or machines.",
    )
    _add_teacher(parser)
    parser.add_argument(
        "--student",
        default="default",
        metavar="NAME|FILE",
        help="a preset (%(default)s), or a checkpoint to train further",
    )
    add_data(parser)
    parser.add_argument(
        "--stages", default="vision,text,whole", metavar="NAMES", help="run these, in order (%(default)s); also int8"
    )
    parser.add_argument("--int8-recipe", metavar="FILE", help="of the stage int8, as a bundle holds it; none: default")
    parser.add_argument(
        "--target", default="x86-cpu", metavar="NAME", help="in the stage int8, round as it does (%(default)s)"
    )
    parser.add_argument("--recipe", metavar="NAME|FILE", help=RECIPE_HELP)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="[STAGE.]KEY=VALUE",
        help="set a value of the recipe, of one stage or of all; may be repeated",
    )
    parser.add_argument("--feature-cache", metavar="DIR", help="cache the teacher's features, for the vision stage")
    parser.add_argument("--pretrained", action="store_true", help="begin with timm's weights, for a student lite-*")
    parser.add_argument("--without-teacher", action="store_true", help="train on labels alone, to compare with")
    parser.add_argument("--resume", action="store_true", help="resume the run in the output folder")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="for the student and its runs; empty or new"
    )
    parser.set_defaults(command=lambda arguments: teach(arguments, "the student"))


def _add_teacher(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", metavar="FILE", help="a checkpoint; none: the demo model")
    parser.add_argument("--config", metavar="NAME|FILE", help="its sizes; none: config.json beside it, or full")


def _list(_: argparse.Namespace) -> int:
    with packages_for("This command", "distill"):
        from sam3i_edge.distill.students import PRESETS

    width = max(map(len, PRESETS))
    show(*(f"{name:{width}} {preset.about}" for name, preset in PRESETS.items()))
    return 0


def teach(arguments: argparse.Namespace, result: str) -> int:
    """Run the stages that the arguments name, and say where the ``result`` is. Returns the exit status."""
    with packages_for("This command", "distill"):
        from accelerate import PartialState

        from sam3i_edge.distill.run import DistillJob, distill
        from sam3i_edge.distill.students import get_preset
    student = Path(arguments.student) if Path(arguments.student).is_file() else get_preset(arguments.student)
    recipes = _recipes(arguments)
    teacher = Path(arguments.teacher or demo_model.require(demo_model.CHECKPOINT, "give a checkpoint of your own"))
    job = DistillJob(
        teacher=teacher,
        config=ModelConfig.of_checkpoint(teacher, arguments.config),
        student=student,
        samples=load_data(arguments, "train").samples,
        recipes=recipes,
        data=str(arguments.data),
        cache=Path(arguments.feature_cache) if arguments.feature_cache else None,
        int8=_int8(arguments),
        pretrained=arguments.pretrained,
        with_teacher=not arguments.without_teacher,
    )
    stop = stop_after_this_step()
    output = Path(arguments.output)
    with processes():
        taught = distill(
            job,
            output,
            resume=arguments.resume,
            stop=lambda: bool(stop),
            say=lambda message: show(message, error=True),
        )
    if taught is None:
        show("sam3i-edge: stopped; go on with --resume.", error=True)
        return 130
    if PartialState().is_main_process:
        show(f"{result}: {taught}")
    return 0


def _int8(arguments: argparse.Namespace) -> Int8:
    from sam3i_edge.distill.stages import Int8
    from sam3i_edge.exporter.quantized import check_recipe
    from sam3i_edge.quantize.recipe import read_recipe

    target = get_target(arguments.target)
    if not arguments.int8_recipe:
        return Int8(scheme=target.int8)
    recipe = read_recipe(arguments.int8_recipe)
    check_recipe(recipe, target, arguments.int8_recipe)
    return Int8(recipe, target.int8)


def _plan(arguments: argparse.Namespace) -> int:
    with packages_for("This command", "distill"):
        from sam3i_edge.distill.budget import estimate, lines, plain

    check_output(arguments.json, arguments.force)
    wanted = milliseconds(arguments.latency) if arguments.latency else None
    teacher = arguments.teacher
    if teacher and not Path(teacher).is_file():
        raise ConfigError(f"There is no checkpoint {teacher}.")
    if not teacher and not arguments.config:
        teacher = demo_model.require(demo_model.CHECKPOINT, "name the sizes: --config NAME|FILE")
    config = ModelConfig.of_checkpoint(teacher, arguments.config)
    with tempfile.TemporaryDirectory(prefix="sam3i-edge-plan-") as folder, steps() as step:
        found = estimate(config, arguments.target, Path(folder), arguments.rounds, step)
    show(*lines(found, wanted))
    write_output(arguments.json, plain(found, arguments.target))
    return 0


def milliseconds(text: str) -> float:
    """``50ms`` or ``0.2s``. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    if not found or not float(found[1]):
        raise ConfigError(f"Cannot read the latency {text!r}. Write a number with ms or s: 50ms.")
    return float(found[1]) * (1 if found[2] == "ms" else 1000)


def _recipes(arguments: argparse.Namespace) -> dict[str, TrainRecipe]:
    """The recipes of the chosen stages, by name. Raises ConfigError."""
    from sam3i_edge.distill.recipe import RECIPES
    from sam3i_edge.distill.stages import STAGES
    from sam3i_edge.train.recipe import load_recipe

    recipe = arguments.recipe or ("full" if arguments.teacher else "tabletop")
    if not arguments.recipe:
        show(f"recipe {recipe}, for {arguments.teacher or 'the demo model'}", error=True)
    chosen = [name for name in arguments.stages.split(",") if name]
    if not chosen:
        raise ConfigError(f"--stages names no stage. Known: {', '.join(STAGES)}.")
    values = overrides(arguments.set)
    named = [key.partition(".")[0] for key in values if "." in key]
    for name in chosen + named:
        if name not in STAGES:
            raise ConfigError(unknown_name("stage", name, STAGES))
    if arguments.without_teacher and chosen != ["whole"]:
        raise ConfigError("Without a teacher there are labels alone, which only the stage whole has: --stages whole.")
    common = {key: value for key, value in values.items() if "." not in key}
    own = {name: {k.partition(".")[2]: v for k, v in values.items() if k.startswith(f"{name}.")} for name in STAGES}
    recipes = {name: load_recipe(recipe, name, common | own[name], RECIPES) for name in chosen + named}
    return {name: recipes[name] for name in chosen}
