"""The commands ``evaluate``, for the scores of a model, and ``evaluate claims``, against a base model and an agent."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge import schema
from sam3i_edge.commands.io import add_force, check_output, write_output
from sam3i_edge.commands.loading import add_expect, add_postprocessing
from sam3i_edge.commands.progress import counted
from sam3i_edge.commands.training import add_data, load_data
from sam3i_edge.config import CONFIG_FILE
from sam3i_edge.data.samples import spread
from sam3i_edge.errors import PromptError, RuntimeUnavailableError, packages_for, unknown_name
from sam3i_edge.files import write_json
from sam3i_edge.postprocessing import POSTPROCESSING_FILE, Postprocessing
from sam3i_edge.prompt import AUTO, ROUTES
from sam3i_edge.segmenter import ENGINES, PYTHON
from sam3i_edge.terminal import show

if TYPE_CHECKING:
    from sam3i_edge.data.reading import Loaded
    from sam3i_edge.data.samples import Sample
    from sam3i_edge.evaluate.agent import Agent
    from sam3i_edge.segmenter import Segmenter

RULES = "rules"


def add(commands: Any) -> None:
    """Register ``evaluate``, ``evaluate claims`` and ``evaluate thresholds`` on an argparse sub-parsers object."""
    scores = commands.add_parser(
        "evaluate",
        help="score a checkpoint or a bundle on a dataset",
        description="Segment every image of a split by every text, and print how well what is found fits what is "
        "meant, by level of the texts. See also `sam3i-edge evaluate claims --help` and `sam3i-edge evaluate "
        "thresholds --help`.",
    )
    _add_common(scores, "val")
    scores.add_argument(
        "--route", action="append", metavar="NAME", help=f"{', '.join(ROUTES)}, {AUTO}; may be repeated (the three)"
    )
    scores.add_argument(
        "--against", metavar="CHECKPOINT|BUNDLE", help="compare scores and instances with those of a reference"
    )
    scores.add_argument(
        "--confidence", action="store_true", help="also measure score margins and the calibration error of presence"
    )
    scores.set_defaults(command=_evaluate, evaluation=_score)
    claims = commands.add_parser(
        "evaluate claims",
        help="compare SAM3-I with its base model and with an agent of noun phrases",
        description="Measure two claims of the SAM3-I paper on a dataset: (a) concepts are found as before the "
        "adapters were trained; (b) instructions are followed better than by an agent that turns each into noun "
        "phrases, which the base model segments.",
    )
    _add_common(claims, "compose")
    claims.add_argument("--base", metavar="CHECKPOINT|BUNDLE", help="the base model; none: switch the adapters off")
    claims.add_argument(
        "--agent",
        default=RULES,
        metavar="NAME",
        help=f"{RULES}, which takes nouns by rules, or MODULE:ATTRIBUTE, a class of your own (%(default)s)",
    )
    claims.set_defaults(command=_evaluate, evaluation=_claims)
    thresholds = commands.add_parser(
        "evaluate thresholds",
        help="choose the least score of each route on a dataset",
        description="For each route, the threshold with the best F1 of single instances among those with few enough "
        "false positives. Put the file beside the checkpoint: export takes it into the bundle.",
    )
    _add_common(thresholds, "val")
    thresholds.add_argument(
        "--max-fpr",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="most texts that mean nothing for which something may be found (%(default)s)",
    )
    thresholds.add_argument("-o", "--output", required=True, metavar="FILE", help=POSTPROCESSING_FILE)
    thresholds.set_defaults(command=_evaluate, evaluation=_thresholds)


def _add_common(parser: argparse.ArgumentParser, split: str) -> None:
    parser.add_argument("model", metavar="CHECKPOINT|BUNDLE", help=".pt or .safetensors, or a bundle's folder")
    add_data(parser, "a dataset's folder, or one annotation file")
    parser.add_argument("--split", default=split, metavar="NAME", help="of the dataset (%(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="evaluate N images, spread over the dataset")
    add_postprocessing(parser)
    parser.add_argument(
        "--config", metavar="FILE", help=f"of a checkpoint; none: {CONFIG_FILE} beside it, or full size"
    )
    parser.add_argument("--engine", default=PYTHON, metavar="NAME", help=f"of a bundle: {' or '.join(ENGINES)}")
    parser.add_argument("--runtime", metavar="NAME", help="of a bundle; none: its target's")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, ... (%(default)s)")
    add_expect(parser)
    parser.add_argument("--json", metavar="FILE", help="write the scores there, too")
    add_force(parser)


def _evaluate(arguments: argparse.Namespace) -> int:
    check_output(arguments.json, arguments.force)
    evaluation: Callable[[argparse.Namespace], int] = arguments.evaluation
    with packages_for("Evaluating", "evaluate"):
        importlib.import_module("sam3i_edge.evaluate")
    return evaluation(arguments)


def _score(arguments: argparse.Namespace) -> int:
    from sam3i_edge.evaluate import evaluate
    from sam3i_edge.evaluate.agreement import Agreement

    if arguments.confidence and arguments.against:
        raise PromptError("--confidence is measured of one model at a time. Leave --against out.")
    if arguments.against and AUTO in (arguments.route or ()):
        raise PromptError("--against compares what each route finds. Leave --route auto out.")
    routes = list(dict.fromkeys(arguments.route or ROUTES))
    for route in routes:  # before anything large is loaded
        if route not in (*ROUTES, AUTO):
            raise PromptError(unknown_name("route", route, (*ROUTES, AUTO)))
    loaded, samples = _samples(arguments)
    if arguments.against is None:
        segmenter = open_segmenter(arguments.model, arguments)
        scores = evaluate(segmenter, samples, routes, counted("evaluating", "images"))
        show(*scores.lines())
        more = _confidence(segmenter, samples) if arguments.confidence else {}
        write_output(arguments.json, scores.to_dict() | more | _origin(arguments, segmenter, loaded))
        return 0
    with open_segmenter(arguments.against, arguments) as reference:
        agreement = Agreement(reference.postprocessing.thresholds)
        before = evaluate(reference, samples, routes, counted("evaluating the reference", "images"), agreement.keep)
    segmenter = open_segmenter(arguments.model, arguments)
    scores = evaluate(segmenter, samples, routes, counted("evaluating", "images"), agreement.compare)
    show(*scores.lines(), "", *agreement.lines(before, scores))
    against = {"against": {"path": arguments.against} | agreement.to_dict(before, scores)}
    write_output(arguments.json, scores.to_dict() | _origin(arguments, segmenter, loaded) | against)
    return 0


def _confidence(segmenter: Segmenter, samples: Sequence[Sample]) -> dict[str, Any]:
    """Measured and printed; for JSON."""
    from sam3i_edge.evaluate import confidence
    from sam3i_edge.evaluate.scores import rounded

    found = confidence.measure_confidence(segmenter, samples, counted("confidence", "images"))
    show("", *confidence.lines(found))
    return {"confidence": rounded(found)}


def _claims(arguments: argparse.Namespace) -> int:
    from sam3i_edge.evaluate.ablation import compare

    agent = load_agent(arguments.agent)
    loaded, samples = _samples(arguments)
    adapted = open_segmenter(arguments.model, arguments)
    base = open_segmenter(arguments.base or arguments.model, arguments, is_base=True)
    claims = compare(adapted, base, samples, agent, arguments.agent, lambda step: counted(step, "images"))
    show(*claims.lines())
    write_output(arguments.json, claims.to_dict() | _origin(arguments, adapted, loaded))
    return 0


def _thresholds(arguments: argparse.Namespace) -> int:
    from sam3i_edge.evaluate import thresholds
    from sam3i_edge.evaluate.scores import rounded

    check_output(arguments.output, arguments.force)
    if arguments.threshold is not None:
        raise PromptError("evaluate thresholds chooses the thresholds. Leave --threshold out.")
    if not 0 <= arguments.max_fpr <= 100:
        raise PromptError(f"--max-fpr is {arguments.max_fpr:g}; it must be a percentage, 0 to 100.")
    loaded, samples = _samples(arguments)
    segmenter = open_segmenter(arguments.model, arguments)
    curves = thresholds.curves(segmenter, samples, counted("evaluating", "images"))
    chosen = {route: curve.choose(arguments.max_fpr) for route, curve in curves.items()}
    show(*thresholds.lines(curves, chosen))
    found = {route: float(thresholds.CANDIDATES[index]) for route, index in chosen.items()}
    write_json(Path(arguments.output), schema.plain(Postprocessing(found, segmenter.postprocessing.nms)))
    details = {"candidates": thresholds.CANDIDATES.tolist(), "curves": {r: c.plain() for r, c in curves.items()}}
    write_output(arguments.json, rounded(details) | _origin(arguments, segmenter, loaded))
    show(f"wrote {arguments.output}")
    return 0


def open_segmenter(model: str, arguments: argparse.Namespace, *, is_base: bool = False) -> Segmenter:
    """A segmenter of a bundle's folder, or of a checkpoint through torch.

    Args:
        model: the path.
        arguments: threshold, device, runtime and config, as parsed.
        is_base: switch a checkpoint's adapters off; a bundle must have been exported from the base model.
    """
    from sam3i_edge.segmenter import Segmenter

    Postprocessing().with_(arguments.threshold, arguments.nms)  # they are checked before anything large is loaded
    if Path(model).is_dir():
        if is_base and model == arguments.model:
            raise PromptError(
                f"{model} is a bundle, whose adapters cannot be switched off. Give a checkpoint, or as --base a bundle "
                f"of the base model."
            )
        return Segmenter.load(
            model,
            engine=arguments.engine,
            runtime=arguments.runtime,
            device=arguments.device,
            threshold=arguments.threshold,
            nms=arguments.nms,
            expect=arguments.expect if model == arguments.model else None,
        )
    if arguments.runtime not in (None, "torch"):
        raise RuntimeUnavailableError(unknown_name("runtime for a checkpoint", arguments.runtime, ["torch"]))
    with packages_for("Evaluating a checkpoint", "export"):
        from sam3i_edge.evaluate.torch_engine import segmenter_of
        from sam3i_edge.model import load
    from sam3i_edge.bundle import sha256_of
    from sam3i_edge.config import ModelConfig
    from sam3i_edge.provenance import Provenance, Source
    from sam3i_edge.route import RouteClassifier

    path = Path(model)
    detector = load(path, ModelConfig.of_checkpoint(path, arguments.config)).to(_torch_device(arguments.device))
    if is_base:
        detector.reset_adapters()
    source = Provenance(Source(path.name, sha256_of(path)))
    classifier, own = RouteClassifier.of_checkpoint(path), Postprocessing.of_checkpoint(path)
    return segmenter_of(detector, own.with_(arguments.threshold, arguments.nms), source.plain(), classifier)


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
    from sam3i_edge.data.saco import load_dataset

    loaded = load_data(arguments, arguments.split, load_dataset)
    return loaded, spread(loaded.samples, arguments.limit)


def _origin(arguments: argparse.Namespace, segmenter: Segmenter, loaded: Loaded) -> dict[str, Any]:
    from sam3i_edge.provenance import Provenance

    runtime = segmenter.manifest.runtime
    source = Provenance.of(segmenter.manifest.provenance).source
    return {
        "model": {
            "path": arguments.model,
            "checkpoint": source.checkpoint if source else "",
            "sha256": source.sha256 if source else "",
            "runs on": f"{runtime.target.runtime}, {segmenter.device}",
            "precision": runtime.precision,
            "postprocessing": schema.plain(segmenter.postprocessing),
        },
        "data": {
            "path": arguments.data,
            "split": arguments.split,
            "limit": arguments.limit,
            "left_out": len(loaded.problems),
        },
    }
