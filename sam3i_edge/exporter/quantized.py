"""The part of an export that quantizes: calibration data and recipe in, integer graphs and what they cost out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from sam3i_edge.bundle import sha256_of
from sam3i_edge.cache import cache_folder
from sam3i_edge.data.hmpl import annotation_files, load_samples
from sam3i_edge.data.samples import Sample, spread
from sam3i_edge.errors import DataError, ExportError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.graphs import GRAPHS
from sam3i_edge.precision import is_int8
from sam3i_edge.provenance import Quantization, Source, title
from sam3i_edge.quantize.auto import Budget
from sam3i_edge.quantize.calibration import CalibrationData, load_calibration
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.recipe import QuantRecipe, read_recipe
from sam3i_edge.runtimes import is_nvidia, is_typed_half
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.targets import Target
from sam3i_edge.version import __version__

SCORED_SPLIT = "val"
DEFAULT_MAX_DROP = 1.0
"""Of a search that is given none."""


@dataclass(frozen=True)
class Int8Options:
    """How an int8 export is calibrated, and what it may cost."""

    calibration: str | Path | None = None
    """See ``quantize.calibration.load_calibration``."""
    recipe: str | Path | None = None
    """A ``recipe.toml``; None: int8 wherever it is known to be safe."""
    scored_images: int = 50
    """Accuracy is measured on so many pictures, before and after; 0: not at all."""
    max_drop: float | None = None
    """Points of gIoU on every route, and of cgF1 on concepts, that may be lost there; a search goes by it."""
    force: bool = False
    """Write the bundle even if it loses more."""

    def __post_init__(self) -> None:
        if self.max_drop is not None and not self.max_drop >= 0:
            raise ExportError(f"max_drop is {self.max_drop}; it must be 0 or more points.")
        if self.scored_images < 0:
            raise ExportError(f"scored_images is {self.scored_images}; it must be 0 or more.")


@dataclass(frozen=True)
class QuantizationPlan:
    """What to quantize by, read and checked before any work is done."""

    recipe: QuantRecipe
    data: CalibrationData
    scored_on: str = ""
    samples: tuple[Sample, ...] = ()
    """What accuracy is measured on, before and after; empty: it is not."""
    max_drop: float | None = None
    force: bool = False
    searched_on: tuple[Sample, ...] = ()
    """What trials of a search are scored on; empty: the recipe is as it is."""

    def budget(self, source: Source, tokenizer_sha256: str, aim: QuantTarget) -> Budget | None:
        """For the search, if there is to be one; what it measures is kept by all that it depends on."""
        if not self.searched_on or self.max_drop is None:
            return None
        made_of = [source.sha256, tokenizer_sha256, repr(aim), repr(self.recipe), self.data.sha256()]
        for sample in self.searched_on:
            made_of += [sha256_of(sample.path), repr(sample)]
        name = hashlib.sha256(json.dumps([*made_of, __version__]).encode()).hexdigest()
        folder = cache_folder("searches")
        return Budget(self.max_drop, self.searched_on, folder / f"{name}.json" if folder else None, self.force)


def make_plan(precision: str, target: Target, options: Int8Options, search: bool) -> QuantizationPlan | None:
    """Read recipe and data, if ``precision`` has integers; None if it has not.

    Accuracy is measured on pictures of the data's ``val`` split, which calibration does not see; on the calibration
    pictures themselves where there is no such split. A search is scored on as many others.

    Raises:
        ConfigError: the recipe cannot be read.
        DataError: see ``load_calibration``.
        ExportError: a budget is given, and nothing to measure it on; options for int8, and another precision; or a
            recipe that the target cannot have.
    """
    if not is_int8(precision):
        given = [field.name for field in fields(options) if getattr(options, field.name) != field.default]
        if given:
            raise ExportError(
                f"{' and '.join(given)} is for int8, and the precision is {precision}: add --precision int8. "
                "An existing bundle is never replaced."
            )
        return None
    # TensorRT takes an int8 tensor only between a quantize and a dequantize, so its token table stays as it is.
    default = QuantRecipe(embedding="fp32" if is_nvidia(target.runtime) else "int8")
    recipe = read_recipe(options.recipe) if options.recipe else default
    check_recipe(recipe, target, options.recipe, precision)
    if search and any("int4" in recipe.of(graph).values() for graph in GRAPHS):
        raise ExportError(
            f"{options.recipe} has blocks in int4, and a search chooses between int8 and fp32 for every block. Take "
            f"these lines out, or give --precision int8."
        )
    plan = QuantizationPlan(
        recipe,
        load_calibration(options.calibration),
        max_drop=DEFAULT_MAX_DROP if search and options.max_drop is None else options.max_drop,
        force=options.force,
    )
    return _with_samples(plan, options, search)


def check_recipe(recipe: QuantRecipe, target: Target, name: object, precision: str | None = None) -> None:
    """Raises ExportError if ``target`` cannot have a recipe, which messages call ``name``.

    Without a ``precision`` it is enough that the target has one for the recipe.
    """
    asked = (precision,) if precision else target.precisions
    if recipe.has("fp16") and not any(is_typed_half(target.runtime, one) for one in asked):
        raise ExportError(
            f"{name} has blocks in fp16, which is for graphs whose own types say so: --precision int8-fp16 of a "
            f"TensorRT target. Elsewhere write fp32: it means what the precision has beside int8."
        )
    if not is_nvidia(target.runtime):
        return
    if recipe.has("int4"):
        raise ExportError(f"{name} has int4, and for TensorRT there are no 4-bit weights here. Use int8 or fp32 there.")
    if recipe.embedding != "fp32":
        raise ExportError(f'{name} has the token table in {recipe.embedding}. For TensorRT write embedding = "fp32".')


def _with_samples(plan: QuantizationPlan, options: Int8Options, search: bool) -> QuantizationPlan:
    """``plan`` with the pictures that accuracy is measured on."""
    count = options.scored_images
    held_out = _held_out(options.calibration) if count else ()
    if search and len(held_out) < 2:
        raise ExportError(
            f"A search needs pictures that calibration does not see: give --calibration a dataset with a "
            f"{SCORED_SPLIT} split, and --scored-images greater than 0."
        )
    if not count or not plan.data.samples:
        if plan.max_drop is not None:
            raise ExportError(
                "A drop can only be measured on data that says what its texts mean: give --calibration a dataset, and "
                "--scored-images greater than 0."
            )
        return plan
    if not held_out:
        if plan.max_drop is not None:
            raise ExportError(
                f"--max-drop is a promise about pictures that calibration does not see: give --calibration a dataset "
                f"with a {SCORED_SPLIT} split."
            )
        return dataclasses.replace(plan, scored_on=plan.data.name, samples=plan.data.samples[:count])
    both = spread(held_out, min(2 * count, len(held_out)) if search else count)
    return dataclasses.replace(
        plan,
        scored_on=f"{options.calibration}, {SCORED_SPLIT}",
        samples=tuple(both[::2] if search else both),
        searched_on=tuple(both[1::2]) if search else (),
    )


def measured(plan: QuantizationPlan, quantization: Quantization, segmenter: Segmenter) -> Quantization:
    """``quantization`` with the bundle's scores. Raises ExportError if it lost more than the plan allows."""
    found = dataclasses.replace(quantization, scores=scores(segmenter, plan.samples))
    if plan.max_drop is None or plan.force:
        return found
    promised = [name for name in found.float_scores if name.startswith(("giou/", "cgf1"))]
    drops = {name: found.float_scores[name] - found.scores[name] for name in promised}
    worst = max(drops, key=lambda name: drops[name])
    if drops[worst] > plan.max_drop:
        raise ExportError(
            f"The int8 graphs lose {drops[worst]:.2f} points of {title(worst)} on {found.scored_images} images of "
            f"{found.scored_on}, and --max-drop allows {plan.max_drop}. No bundle was written. Use --precision auto, "
            f"a recipe with more fp32, a larger --max-drop, or --force."
        )
    return found


def _held_out(calibration: str | Path | None) -> Sequence[Sample]:
    if calibration is None:
        return ()
    try:
        annotation_files(Path(calibration), SCORED_SPLIT)
    except DataError:
        return ()
    return load_samples(calibration, SCORED_SPLIT).samples


def scores(segmenter: Segmenter, samples: Sequence[Sample]) -> dict[str, float]:
    """The scores that a bundle promises, in percent, by name; those that the data has no texts for are left out."""
    if not samples:
        return {}
    found = evaluate(segmenter, samples)
    names, routes = ("giou", "p50", "count_accuracy"), found.routes.items()
    values = {f"{name}/{route}": getattr(result, name) for name in names for route, result in routes}
    values["cgf1"] = found.cgf1["cgF1"] if found.cgf1 else None
    values["false_positive_rate"] = found.false_positive_rate
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def record(plan: QuantizationPlan, recipe: QuantRecipe, before: dict[str, float]) -> Quantization:
    """What the manifest says of it; ``scores`` come when the bundle runs."""
    return Quantization(
        recipe=recipe,
        calibration=plan.data.name,
        calibration_sha256=plan.data.sha256(),
        calibration_images=len(plan.data),
        calibration_prompts=plan.data.counts(),
        scored_on=plan.scored_on,
        scored_images=len(plan.samples),
        float_scores=before,
        scores={},
    )
