"""The command ``distill``: a student from its teacher."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge import shipped
from sam3i_edge.commands.outputs import check_output, write_output
from sam3i_edge.commands.stopping import steps
from sam3i_edge.commands.training import add_data, load_data, overrides, processes, stop_after_this_step
from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import ConfigError, packages_for, unknown_name
from sam3i_edge.targets import get_target

if TYPE_CHECKING:
    from sam3i_edge.distill.tasks import Int8
    from sam3i_edge.train.recipe import Recipe


def add(commands: Any) -> None:
    """Register ``distill`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "distill",
        help="make a smaller model that answers as a trained one does",
        description="Under `accelerate launch -m sam3i_edge distill …` it runs on several devices or machines.",
    )
    parser.add_argument("--teacher", metavar="FILE", help="a checkpoint; none: the small model that comes with it")
    parser.add_argument("--config", metavar="NAME|FILE", help="its sizes; none: config.json beside it, or full")
    parser.add_argument(
        "--student",
        default="default",
        metavar="NAME|FILE",
        help="a preset (%(default)s), or a checkpoint to go on teaching; list: say which presets",
    )
    add_data(parser, required=False)
    parser.add_argument(
        "--stages", default="vision,text,whole", metavar="NAMES", help="to run, in order (%(default)s); also int8"
    )
    parser.add_argument("--int8-recipe", metavar="FILE", help="of the stage int8, as a bundle holds it; none: default")
    parser.add_argument("--recipe", default="full", metavar="NAME|FILE", help="full, tabletop, or TOML")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="[STAGE.]KEY=VALUE",
        help="another value in the recipe, of one stage or of all; may be repeated",
    )
    parser.add_argument("--feature-cache", metavar="DIR", help="keep what the teacher sees, for the vision stage")
    parser.add_argument("--pretrained", action="store_true", help="begin with timm's weights, for a student lite-*")
    parser.add_argument("--without-teacher", action="store_true", help="labels alone: shows what the teacher is worth")
    parser.add_argument("--resume", action="store_true", help="go on where the run in the output folder stopped")
    parser.add_argument("--plan", action="store_true", help="train nothing: estimate each preset's frames on --target")
    parser.add_argument(
        "--target",
        default="x86-cpu",
        metavar="NAME",
        help="with --plan: time on it, so it must be ready here; with the stage int8: round as it does (%(default)s)",
    )
    parser.add_argument("--latency", metavar="TIME", help="with --plan: which fit into that, such as 50ms")
    parser.add_argument(
        "--rounds", type=int, default=20, metavar="N", help="with --plan: of frames, models by turns (%(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="with --plan: write the estimates there, too")
    parser.add_argument("-o", "--output", metavar="DIR", help="for the student and its runs, empty or new")
    parser.set_defaults(command=_distill)


def _distill(arguments: argparse.Namespace) -> int:
    if arguments.student == "list":
        with packages_for("This command", "distill"):
            from sam3i_edge.distill.students import PRESETS

        width = max(map(len, PRESETS))
        print("\n".join(f"{name:{width}} {preset.about}" for name, preset in PRESETS.items()))
        return 0
    return _plan(arguments) if arguments.plan else teach(arguments, "the student")


def teach(arguments: argparse.Namespace, result: str) -> int:
    """Run the stages that the arguments name, and say where the ``result`` is. Returns the exit status."""
    with packages_for("This command", "distill"):
        from accelerate import PartialState

        from sam3i_edge.distill.run import Job, distill
        from sam3i_edge.distill.students import get_preset
    student = Path(arguments.student) if Path(arguments.student).is_file() else get_preset(arguments.student)
    if not arguments.data or not arguments.output:
        raise ConfigError(f"Give --data, what to learn from, and -o, a folder for {result}.")
    recipes = _recipes(arguments)
    teacher = Path(arguments.teacher or shipped.CHECKPOINT)
    job = Job(
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
            say=lambda message: print(message, file=sys.stderr, flush=True),
        )
    if taught is None:
        print("sam3i-edge: stopped; go on with --resume.", file=sys.stderr)
        return 130
    if PartialState().is_main_process:
        print(f"{result}: {taught}")
    return 0


def _int8(arguments: argparse.Namespace) -> Int8:
    from sam3i_edge.distill.tasks import Int8
    from sam3i_edge.export.quantized import check_recipe
    from sam3i_edge.quantize.recipe import read_recipe

    target = get_target(arguments.target)
    if not arguments.int8_recipe:
        return Int8(scheme=target.int8)
    recipe = read_recipe(arguments.int8_recipe)
    check_recipe(recipe, target, arguments.int8_recipe)
    return Int8(recipe, target.int8)


def _plan(arguments: argparse.Namespace) -> int:
    with packages_for("This command", "distill"):
        from sam3i_edge.distill.budget import estimate, plain, table

    check_output(arguments.json)
    wanted = milliseconds(arguments.latency) if arguments.latency else None
    teacher = arguments.teacher or (None if arguments.config else shipped.CHECKPOINT)
    if teacher and not Path(teacher).is_file():
        raise ConfigError(f"There is no checkpoint {teacher}.")
    config = ModelConfig.of_checkpoint(teacher, arguments.config)
    with tempfile.TemporaryDirectory(prefix="sam3i-edge-plan-") as folder:
        found = estimate(config, arguments.target, Path(folder), arguments.rounds, steps())
    print(table(found, wanted))
    write_output(arguments.json, plain(found, arguments.target))
    return 0


def milliseconds(text: str) -> float:
    """``50ms`` or ``0.2s``. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    if not found or not float(found[1]):
        raise ConfigError(f"Cannot read the latency {text!r}. Write a number with ms or s: 50ms.")
    return float(found[1]) * (1 if found[2] == "ms" else 1000)


def _recipes(arguments: argparse.Namespace) -> dict[str, Recipe]:
    """The recipes of the chosen stages, by name. Raises ConfigError."""
    from sam3i_edge.distill.recipe import RECIPES
    from sam3i_edge.distill.tasks import STAGES
    from sam3i_edge.train.recipe import load_recipe

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
    recipes = {name: load_recipe(arguments.recipe, name, common | own[name], RECIPES) for name in chosen + named}
    return {name: recipes[name] for name in chosen}
