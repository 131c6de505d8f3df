"""The part of an export that quantizes: calibration data and recipe in, integer graphs and what they cost out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sam3i_edge
from sam3i_edge.bundle import Quantization, Source
from sam3i_edge.cache import cache_folder
from sam3i_edge.data.hmpl import annotation_files, load_samples
from sam3i_edge.data.samples import Sample
from sam3i_edge.errors import DataError, ExportError
from sam3i_edge.evaluate import evaluate
from sam3i_edge.evaluate.eager import segmenter_of
from sam3i_edge.model import Sam3i
from sam3i_edge.quantize.auto import Budget
from sam3i_edge.quantize.calibration import CalibrationData, load_calibration
from sam3i_edge.quantize.recipe import Recipe, read_recipe
from sam3i_edge.segmenter import Segmenter

SCORED_SPLIT = "val"


@dataclass(frozen=True)
class Plan:
    """What to quantize by, read and checked before any work is done."""

    recipe: Recipe
    data: CalibrationData
    scored_on: str
    samples: tuple[Sample, ...]
    """What accuracy is measured on, before and after; empty: it is not."""
    max_drop: float | None
    searched_on: tuple[Sample, ...] = ()
    """What trials of a search are scored on; empty: the recipe is as it is."""

    def budget(self, source: Source, scheme: str) -> Budget | None:
        """For the search, if there is to be one; what it measures is kept by all that it depends on."""
        if not self.searched_on or self.max_drop is None:
            return None
        settings = dataclasses.replace(self.recipe, vision={}, text={}, grounding={})
        made_of = [source.sha256, scheme, repr(settings), self.data.sha256(), [str(s.path) for s in self.searched_on]]
        name = hashlib.sha256(json.dumps([*made_of, sam3i_edge.__version__]).encode()).hexdigest()
        folder = cache_folder("searches")
        return Budget(self.max_drop, self.searched_on, folder / f"{name}.json" if folder else None)


def plan(
    calibration: str | Path | None,
    recipe: str | Path | None,
    scored_images: int,
    max_drop: float | None = None,
    search: bool = False,
    runtime: str = "",
) -> Plan:
    """Read recipe and data.

    Accuracy is measured on ``scored_images`` pictures of the data's ``val`` split, which calibration does not see; on
    the calibration pictures themselves where there is no such split. A search is scored on as many others.

    Raises:
        ConfigError: the recipe cannot be read.
        DataError: see ``load_calibration``.
        ExportError: a budget is given, and nothing to measure it on.
    """
    if max_drop is not None and not max_drop >= 0:
        raise ExportError(f"max_drop is {max_drop}; it must be 0 or more points.")
    # TensorRT takes an int8 tensor only between a quantize and a dequantize, so its token table stays as it is.
    chosen = read_recipe(recipe) if recipe else Recipe(embedding="fp32" if runtime == "tensorrt" else "int8")
    data = load_calibration(calibration)
    held_out = _held_out(calibration) if scored_images else ()
    if search and len(held_out) < 2:
        raise ExportError(
            f"A search needs pictures that calibration does not see: give --calibration a dataset with a "
            f"{SCORED_SPLIT} split, and --scored-images greater than 0."
        )
    if max_drop is not None and not (scored_images and data.samples):
        raise ExportError(
            "A drop can only be measured on data that says what its texts mean: give --calibration a dataset, and "
            "--scored-images greater than 0."
        )
    if not scored_images or not data.samples:
        return Plan(chosen, data, "", (), None)
    if not held_out:
        return Plan(chosen, data, data.name, data.samples[:scored_images], max_drop)
    half = min(scored_images, len(held_out) // 2) if search else scored_images
    samples, others = tuple(held_out[:half]), tuple(held_out[half : 2 * half])
    return Plan(chosen, data, f"{calibration}, {SCORED_SPLIT}", samples, max_drop, others if search else ())


def check_budget(measured: Quantization, max_drop: float | None, force: bool) -> None:
    """Raises ExportError if a bundle lost more than ``max_drop`` points, unless forced."""
    if max_drop is None or force:
        return
    promised = [name for name in measured.float_scores if name.endswith((" gIoU", " cgF1"))]
    drops = {name: measured.float_scores[name] - measured.scores[name] for name in promised}
    worst = max(drops, key=lambda name: drops[name])
    if drops[worst] > max_drop:
        raise ExportError(
            f"The int8 graphs lose {drops[worst]:.2f} points of {worst} on {measured.scored_images} images of "
            f"{measured.scored_on}, and --max-drop allows {max_drop}. No bundle was written. Use --precision auto, a "
            f"recipe with more fp32, a larger --max-drop, or --force."
        )


def _held_out(calibration: str | Path | None) -> Sequence[Sample]:
    if calibration is None:
        return ()
    try:
        annotation_files(Path(calibration), SCORED_SPLIT)
    except DataError:
        return ()
    return load_samples(calibration, SCORED_SPLIT).samples


def float_scores(plan: Plan, model: Sam3i) -> dict[str, float]:
    """The scores of the float model; empty if there is nothing to measure them on."""
    return scores(segmenter_of(model), plan.samples)


def scores(segmenter: Segmenter, samples: Sequence[Sample]) -> dict[str, float]:
    """The scores that a bundle promises, in percent, by name; those that the data has no texts for are left out."""
    if not samples:
        return {}
    found = evaluate(segmenter, samples)
    values = {f"{route} gIoU": result.giou for route, result in found.routes.items()}
    values |= {f"{route} P@0.5": result.p50 for route, result in found.routes.items()}
    values["concept cgF1"] = found.cgf1["cgF1"] if found.cgf1 else None
    values["false alarms"] = found.no_target_fpr
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def record(plan: Plan, recipe: Recipe, before: dict[str, float]) -> Quantization:
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
