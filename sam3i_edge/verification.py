"""The gate: does this bundle, on this device and runtime, still say what the float model said?"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sam3i_edge import schema
from sam3i_edge.cache import cache_folder
from sam3i_edge.engine import Engine, Outputs
from sam3i_edge.errors import BundleError, unknown_name
from sam3i_edge.files import write_json
from sam3i_edge.golden import Golden, full_stage, pixels_inside, read_golden
from sam3i_edge.graphs import FEATURES
from sam3i_edge.instances import sigmoid
from sam3i_edge.manifest import Manifest
from sam3i_edge.runtimes import is_typed_half
from sam3i_edge.runtimes.nvidia_build import TENSORRT
from sam3i_edge.tolerances import Difference, InstanceTolerance, Tolerances, measure
from sam3i_edge.version import __version__

logger = logging.getLogger("sam3i_edge")

FUSED_ATTENTION = (
    "Fused attention in half precision is wrong on some GPUs: export again with --attention unfused, and run verify"
)


@dataclass(frozen=True)
class Check:
    """One output of one stage against the golden one."""

    name: str
    difference: Difference
    passed: bool


@dataclass(frozen=True)
class AnswerCheck:
    """What a prompt's best instances came to: the least mask IoU and the largest change of a score."""

    prompt: str
    route: str
    mask_iou: float
    score_change: float
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """All that was compared, in the order of the stages."""

    device: str
    precision: str
    checks: tuple[Check, ...]
    answers: tuple[AnswerCheck, ...]
    remedy: str = ""
    """What to try if vision or grounding are beyond their tolerance."""

    @property
    def passed(self) -> bool:
        """Whether everything is within its tolerance."""
        return all(check.passed for check in self.checks) and all(answer.passed for answer in self.answers)

    @property
    def problem(self) -> str:
        """The first stage that left its tolerance, the worst output, and what to try; empty if none did."""
        text, suspected = self._finding()
        return f"{text}. {self.remedy}" if suspected and self.remedy else text

    def _finding(self) -> tuple[str, bool]:
        """What is wrong, and whether it is in the graphs whose fused attention is known to fail."""
        failed = [check for check in self.checks if not check.passed]
        if failed:
            worst = min(failed, key=lambda check: check.difference.sqnr_db)
            text = f"first at {failed[0].name}, worst {worst.name} (SQNR {worst.difference.sqnr_db:.1f} dB)"
            text = f"{text}; {len(failed)} of {len(self.checks)} outputs are beyond their tolerance"
            return text, any(check.name.startswith(("vision/", "grounding")) for check in failed)
        wrong = next((answer for answer in self.answers if not answer.passed), None)
        if wrong is None:
            return "", False
        changes = f"mask IoU {wrong.mask_iou:.3f}, score changed by {wrong.score_change:.2g}"
        return f"the outputs are within their tolerance, but not the instances of {wrong.prompt!r}: {changes}", True


def verify(engine: Engine, golden: Golden) -> Verdict:
    """Replay the golden cases stage by stage, each stage on the outputs of the one before.

    Every prompt runs alone, as it did in the float model, and in calls as full as the bundle allows.

    Raises:
        BundleError: the golden cases do not fit the bundle, a graph fails to run, or the bundle has no tolerances for
            what it is computed in here.
    """
    runtime, precision = engine.manifest.runtime, engine.precision
    if precision not in runtime.tolerances:
        problem = unknown_name("precision", precision, runtime.tolerances)
        raise BundleError(f"The manifest has no tolerances: {problem} Export the bundle again.")
    tolerances = runtime.tolerances[precision]
    height, width = golden.image.shape[:2]
    features = engine.encode(golden.image)
    checks = [_check(golden, "preprocess/image", engine.preprocess(golden.image), tolerances)]
    checks += [_check(golden, f"vision/{name}", np.asarray(features[name]), tolerances) for name in FEATURES]
    texts, _ = engine.encode_texts([(prompt.text, engine.route_of(prompt)) for prompt in golden.prompts])
    checks.append(_check(golden, "text/text", texts, tolerances))

    count, most = len(golden.prompts), runtime.limits.max_prompts
    rows = [engine.ground(features, [prompt], width, height) for prompt in golden.prompts]
    alone = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    runs = {"grounding": alone}
    if most > 1:
        full = engine.ground(features, golden.prompts * -(-most // count), width, height)
        runs[full_stage(runtime.limits)] = {name: values[-count:] for name, values in full.items()}
    order = golden.expected["grounding/query_index"]
    answers: list[AnswerCheck] = []
    for stage, outputs in runs.items():
        found, missing = align(outputs, order)
        displaced = missing & _may_give_way(golden, outputs, tolerances.instances)
        for name, values in found.items():
            if name == "presence":
                checks.append(_check(golden, f"{stage}/{name}", values, tolerances))
            else:
                values[missing] = np.nan  # which no tolerance allows
                checks.append(_check(golden, f"{stage}/{name}", values, tolerances, displaced))
        answers = answers or list(_check_answers(golden, found, displaced, tolerances.instances))
    return Verdict(engine.device, precision, tuple(checks), tuple(answers), remedy_of(engine.manifest, engine.device))


def remedy_of(manifest: Manifest, device: str) -> str:
    """What to try where a device may be wrong in a known way; empty if nothing is known."""
    target = manifest.runtime.target
    is_fused = is_typed_half(target.runtime, manifest.runtime.precision) and target.attention == "fused"
    return FUSED_ATTENTION if is_fused and device.startswith(TENSORRT.name) else ""


def verify_once(engine: Engine, bundle: Path) -> Verdict:
    """``verify``, unless this bundle passed it before with this engine, device, runtime and package.

    Raises:
        BundleError: it did not pass.
    """
    made_of = [engine.fingerprint, type(engine).__name__, engine.device, engine.precision]
    made_of += [platform.node(), platform.machine(), __version__]
    folder = cache_folder("verdicts")
    kept = folder / f"{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()}.json" if folder else None
    verdict = None
    if kept and kept.is_file():
        try:
            known = schema.parse(Verdict, json.loads(kept.read_text(encoding="utf-8")))
            verdict = known if known.checks and known.passed else None
        except (OSError, ValueError, RecursionError):
            logger.warning("The kept verdict %s cannot be read; verifying again.", kept)
    if verdict is None:
        verdict = verify(engine, read_golden(bundle))
        if kept and verdict.passed:
            try:
                write_json(kept, schema.plain(verdict))
            except OSError as error:
                logger.warning("The verdict could not be kept (%s): the next load verifies again.", error)
    if not verdict.passed:
        raise BundleError(
            f"{bundle} on {verdict.device}, {verdict.precision}: {verdict.problem}. Do not use it here; "
            f"sam3i-edge verify {bundle} shows every output."
        )
    return verdict


def _check(
    golden: Golden, name: str, actual: np.ndarray, tolerances: Tolerances, displaced: np.ndarray | None = None
) -> Check:
    """Compare one output; of an output of instances the ``displaced`` (N, K) are left out."""
    stage, output = name.split("/")
    recorded = f"{stage.partition(' ')[0]}/{output}"
    expected, step = golden.expected[recorded], golden.steps[recorded]
    found = actual.reshape(-1)[::step]
    if name not in tolerances.outputs:
        raise BundleError(f"The manifest has no tolerance for {name}. Export the bundle again.")
    if found.size != expected.size:
        raise BundleError(
            f"The golden cases have {expected.size} values of {stage}/{output}, the bundle gives {found.size}. Export "
            f"it again."
        )
    if displaced is not None:
        instance = np.arange(0, actual.size, step) // (actual.size // displaced.size)
        found = np.where(displaced.reshape(-1)[instance], expected, found)
    difference = measure(found, expected)
    return Check(name, difference, tolerances.outputs[name].allows(difference, float(np.abs(expected).max())))


def _expected_scores(golden: Golden) -> np.ndarray:
    """(N, K)"""
    count = len(golden.prompts)
    logits, presence = (golden.expected[f"grounding/{name}"].reshape(count, -1) for name in ("logits", "presence"))
    return _scores(logits, presence)


def _may_give_way(golden: Golden, outputs: Outputs, tolerance: InstanceTolerance) -> np.ndarray:
    """(N, K): the expected instances that the graph may leave for others.

    The last of them stand at the edge of what it chooses: those of the worse half that score like its last do.
    """
    expected = _expected_scores(golden)
    worse = np.arange(expected.shape[1]) >= (expected.shape[1] + 1) // 2
    last = _scores(outputs["logits"], outputs["presence"]).min(axis=1, keepdims=True)
    may: np.ndarray = worse & (expected - last <= tolerance.max_score_change)
    return may


def _check_answers(
    golden: Golden, found: Outputs, displaced: np.ndarray, tolerance: InstanceTolerance
) -> Iterator[AnswerCheck]:
    count, most = found["logits"].shape
    expected_scores = _expected_scores(golden)
    changes = np.abs(_scores(found["logits"], found["presence"]) - expected_scores)
    changes = np.where(displaced, 0, np.nan_to_num(changes, nan=1))  # no score can change more; JSON has no NaN
    ious = _mask_ious(pixels_inside(found["masks"]), golden.inside, tolerance.min_pixels).reshape(count, most)
    ious = np.where(displaced | (expected_scores < tolerance.min_score), np.nan, ious)
    best = np.argsort(-expected_scores, axis=1)[:, : tolerance.best]
    for prompt, iou, change, chosen in zip(golden.prompts, ious, changes, best, strict=True):
        worst_iou, worst_change = float(np.nanmin([1.0, *iou[chosen]])), float(change[chosen].max())
        passed = tolerance.allows(worst_iou, worst_change)
        yield AnswerCheck(prompt.text, prompt.route, worst_iou, worst_change, passed)


def _scores(logits: np.ndarray, presence: np.ndarray) -> np.ndarray:
    scores: np.ndarray = sigmoid(logits) * sigmoid(presence)
    return scores


def _mask_ious(found: np.ndarray, expected: np.ndarray, min_pixels: int) -> np.ndarray:
    """IoU of each mask with the expected one, both as ``pixels_inside`` gives them; NaN for smaller ones."""
    if found.shape != expected.shape:
        return np.zeros(len(found))
    both, either = (np.unpackbits(bits, axis=1).sum(axis=1) for bits in (found & expected, found | expected))
    return np.where(either >= min_pixels, both / np.maximum(either, 1), np.nan)


class Aligned(NamedTuple):
    """Grounding outputs in the order of the expected ones."""

    outputs: Outputs
    missing: np.ndarray
    """(N, K) bool: the expected instances that were not found; their places hold zeros."""


def align(outputs: Outputs, query_index: np.ndarray) -> Aligned:
    """Grounding outputs with the instances in the order of the expected ``query_index`` (N x K, flat or not).

    Two queries that score alike may come in either order on another device; that is no error.
    """
    found = outputs["query_index"]
    if query_index.size != found.size:
        raise BundleError(f"The golden cases name {query_index.size} instances, the bundle finds {found.size}.")
    expected = query_index.reshape(found.shape)
    matches = expected[:, :, None] == found[:, None, :]
    place, known = matches.argmax(-1), matches.any(-1)
    aligned = {"presence": outputs["presence"]}
    for name in ("logits", "boxes", "masks"):
        values = outputs[name]
        rest = (1,) * (values.ndim - 2)
        picked = np.take_along_axis(values, place.reshape(*place.shape, *rest), axis=1)
        aligned[name] = picked * known.reshape(*known.shape, *rest)
    return Aligned(aligned, ~known)
