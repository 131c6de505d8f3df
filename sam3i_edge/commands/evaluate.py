"""The command ``evaluate``: score a checkpoint or a bundle on a dataset, or settle the paper's open questions."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge.commands.outputs import check_output, write_output
from sam3i_edge.config import CONFIG_FILE
from sam3i_edge.data.samples import spread
from sam3i_edge.errors import PromptError, RuntimeUnavailableError, packages_for, unknown_name
from sam3i_edge.prompt import AUTO, ROUTES

if TYPE_CHECKING:
    from sam3i_edge.data.reading import Loaded
    from sam3i_edge.data.samples import Sample
    from sam3i_edge.evaluate.agent import Agent
    from sam3i_edge.evaluate.run import Progress
    from sam3i_edge.segmenter import Segmenter

RULES = "rules"


def add(commands: Any) -> None:
    """Register ``evaluate`` on an argparse sub-parsers object."""
    parser = commands.add_parser("evaluate", help="score a checkpoint or a bundle on a dataset")
    parser.add_argument("model", metavar="CHECKPOINT|BUNDLE", help=".pt or .safetensors, or a bundle's folder")
    parser.add_argument("--data", required=True, metavar="DIR", help="a dataset's folder, or one annotation file")
    parser.add_argument("--split", metavar="NAME", help="of the dataset (val; compose with --claims)")
    parser.add_argument(
        "--images", metavar="DIR", help="where the images lie; none: in images beside the annotations, or right there"
    )
    parser.add_argument("--on-problem", default="refuse", metavar="WHAT", help="refuse or skip bad data (%(default)s)")
    parser.add_argument(
        "--route", action="append", metavar="NAME", help=f"{', '.join(ROUTES)}, {AUTO}; may be repeated (the three)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="evaluate N images, spread over the dataset")
    parser.add_argument("--threshold", type=float, default=0.5, metavar="SCORE", help="least score (%(default)s)")
    parser.add_argument(
        "--config", metavar="FILE", help=f"of a checkpoint; none: {CONFIG_FILE} beside it, or full size"
    )
    parser.add_argument("--runtime", metavar="NAME", help="of a bundle; none: its target's")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, ... (%(default)s)")
    parser.add_argument(
        "--against", metavar="CHECKPOINT|BUNDLE", help="a reference: what is lost, and do the instances agree"
    )
    parser.add_argument(
        "--confidence", action="store_true", help="also: the lead of the best score, and presence's calibration error"
    )
    parser.add_argument("--claims", action="store_true", help="base model and agent against SAM3-I, in one table")
    parser.add_argument("--base", metavar="FILE", help="with --claims: the base; none: the adapters switched off")
    parser.add_argument("--agent", default=RULES, metavar="NAME", help=f"with --claims: {RULES} or MODULE:ATTRIBUTE")
    parser.add_argument("--json", metavar="FILE", help="write the scores there, too")
    parser.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    check_output(arguments.json)
    arguments.split = arguments.split or ("compose" if arguments.claims else "val")
    with packages_for("Evaluating", "train"):
        return _claims(arguments) if arguments.claims else _score(arguments)


def _score(arguments: argparse.Namespace) -> int:
    from sam3i_edge.evaluate import evaluate
    from sam3i_edge.evaluate.agreement import Agreement

    if arguments.confidence and arguments.against:
        raise PromptError("--confidence is measured of one model at a time. Leave --against out.")
    if arguments.base or arguments.agent != RULES:
        raise PromptError("--base and --agent belong to --claims. Add --claims, or leave them out.")
    if arguments.against and AUTO in (arguments.route or ()):
        raise PromptError("--against compares what each route finds. Leave --route auto out.")
    routes = list(dict.fromkeys(arguments.route or ROUTES))
    for route in routes:  # before anything large is loaded
        if route not in (*ROUTES, AUTO):
            raise PromptError(unknown_name("route", route, (*ROUTES, AUTO)))
    loaded, samples = _samples(arguments)
    if arguments.against is None:
        segmenter = open_segmenter(arguments.model, arguments)
        scores = evaluate(segmenter, samples, routes, _bar("evaluating"))
        print(scores.table())
        more = _confidence(segmenter, samples) if arguments.confidence else {}
        write_output(arguments.json, scores.to_dict() | more | _origin(arguments, segmenter, loaded))
        return 0
    agreement = Agreement(arguments.threshold)
    with open_segmenter(arguments.against, arguments) as reference:
        before = evaluate(reference, samples, routes, _bar("evaluating the reference"), agreement.keep)
    segmenter = open_segmenter(arguments.model, arguments)
    scores = evaluate(segmenter, samples, routes, _bar("evaluating"), agreement.compare)
    print(scores.table(), agreement.table(before, scores), sep="\n\n")
    against = {"against": {"path": arguments.against} | agreement.to_dict(before, scores)}
    write_output(arguments.json, scores.to_dict() | _origin(arguments, segmenter, loaded) | against)
    return 0


def _confidence(segmenter: Segmenter, samples: Sequence[Sample]) -> dict[str, Any]:
    """Measured and printed; for JSON."""
    from sam3i_edge.evaluate import confidence

    found = confidence.measure_confidence(segmenter, samples, _bar("confidence"))
    print("", confidence.table(found), sep="\n")
    return {"confidence": confidence.to_dict(found)}


def _claims(arguments: argparse.Namespace) -> int:
    from sam3i_edge.evaluate.claims import compare

    if arguments.against:
        raise PromptError("--against belongs to an evaluation without --claims. Leave one of them out.")
    if arguments.route:
        raise PromptError("--claims asks each text on the route of its level. Leave --route out.")
    agent = load_agent(arguments.agent)
    loaded, samples = _samples(arguments)
    adapted = open_segmenter(arguments.model, arguments)
    base = open_segmenter(arguments.base or arguments.model, arguments, is_base=True)
    claims = compare(adapted, base, samples, agent, arguments.agent, _bar)
    print(claims.table())
    write_output(arguments.json, claims.to_dict() | _origin(arguments, adapted, loaded))
    return 0


def open_segmenter(model: str, arguments: argparse.Namespace, *, is_base: bool = False) -> Segmenter:
    """A segmenter of a bundle's folder, or of a checkpoint through torch.

    Args:
        model: the path.
        arguments: threshold, device, runtime and config, as parsed.
        is_base: switch a checkpoint's adapters off; a bundle must have been exported from the base model.
    """
    from sam3i_edge.segmenter import Segmenter, check_threshold

    check_threshold(arguments.threshold)
    if Path(model).is_dir():
        if is_base and model == arguments.model:
            raise PromptError(
                f"{model} is a bundle, whose adapters cannot be switched off. Give a checkpoint, or as --base a bundle "
                f"of the base model."
            )
        return Segmenter.load(model, device=arguments.device, threshold=arguments.threshold, runtime=arguments.runtime)
    if arguments.runtime not in (None, "torch"):
        raise RuntimeUnavailableError(unknown_name("runtime for a checkpoint", arguments.runtime, ["torch"]))
    from sam3i_edge.bundle import Source, sha256_of
    from sam3i_edge.config import ModelConfig
    from sam3i_edge.evaluate.eager import segmenter_of
    from sam3i_edge.model import load
    from sam3i_edge.route import RouteClassifier

    path = Path(model)
    detector = load(path, ModelConfig.of_checkpoint(path, arguments.config)).to(_torch_device(arguments.device))
    if is_base:
        detector.reset_adapters()
    note = "adapters switched off" if is_base else ""
    source = Source(path.name, sha256_of(path), note)
    return segmenter_of(detector, arguments.threshold, source, RouteClassifier.of_checkpoint(path))


def _torch_device(name: str) -> Any:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise RuntimeUnavailableError(f"PyTorch has no device {name!r} here: {first} Use cpu or cuda.") from error
    return device


def load_agent(name: str) -> Agent:
    """The rule agent, or what ``MODULE:ATTRIBUTE`` makes: a class, or a function without arguments.

    Raises:
        PromptError: there is no such thing, or it is no agent.
    """
    if name == RULES:
        from sam3i_edge.evaluate.agent import RuleAgent

        return RuleAgent()
    module, _, attribute = name.partition(":")
    try:
        made: Agent = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise PromptError(f"There is no agent {name!r}: {error}. Give {RULES!r} or MODULE:ATTRIBUTE.") from error
    lacking = [method for method in ("noun_phrases", "keep") if not callable(getattr(made, method, None))]
    if lacking:
        raise PromptError(f"{name!r} is no agent: it has no {' and no '.join(lacking)}.")
    return made


def _samples(arguments: argparse.Namespace) -> tuple[Loaded, Sequence[Sample]]:
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.data.saco import is_saco, load_saco

    path = Path(arguments.data)
    if path.is_file() and is_saco(path):
        loaded = load_saco(path, images=arguments.images, on_problem=arguments.on_problem)
    else:
        loaded = load_samples(path, arguments.split, images=arguments.images, on_problem=arguments.on_problem)
    for problem in loaded.problems:
        print(f"sam3i-edge: left out: {problem}", file=sys.stderr)
    return loaded, spread(loaded.samples, arguments.limit)


def _origin(arguments: argparse.Namespace, segmenter: Segmenter, loaded: Loaded) -> dict[str, Any]:
    source = segmenter.manifest.source
    return {
        "model": {
            "path": arguments.model,
            "checkpoint": source.checkpoint,
            "sha256": source.sha256,
            "runs on": f"{segmenter.manifest.target.runtime}, {segmenter.device}",
            "precision": segmenter.manifest.precision,
            "threshold": arguments.threshold,
        },
        "data": {
            "path": arguments.data,
            "split": arguments.split,
            "limit": arguments.limit,
            "left_out": len(loaded.problems),
        },
    }


def _bar(step: str) -> Progress:
    """A progress bar on a terminal; nothing where the output goes elsewhere."""
    from tqdm import tqdm

    bar = tqdm(desc=step, unit=" images", disable=None)

    def show(done: int, count: int) -> None:
        bar.total = count
        bar.update(done - bar.n)
        if done == count:
            bar.close()

    return show
