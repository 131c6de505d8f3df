"""``export``: a checkpoint goes in, a verified bundle comes out, or nothing does."""

from __future__ import annotations

import dataclasses
import gc
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir

from sam3i_edge import demo_model
from sam3i_edge.bundle import list_files, sha256_of
from sam3i_edge.clip_tokenizer import VOCABULARY_SIZE, clip_tokenizer, make_tokenizer_file
from sam3i_edge.config import default_limits
from sam3i_edge.data.texts import read_texts
from sam3i_edge.domain import Domain
from sam3i_edge.errors import ConfigError, ExportError, RuntimeUnavailableError, packages_for, unknown_name
from sam3i_edge.evaluate.torch_engine import segmenter_of
from sam3i_edge.exporter.attention import write_out_softmax
from sam3i_edge.exporter.convert import convert
from sam3i_edge.exporter.fp16_export import export_fp16
from sam3i_edge.exporter.golden_cases import make_golden
from sam3i_edge.exporter.quantized import Int8Options, QuantizationPlan, make_plan, measured, record, scores
from sam3i_edge.exporter.staging import staged
from sam3i_edge.exporter.tensorrt_lint import lint
from sam3i_edge.exporter.trtexec import FILE as TRTEXEC_FILE
from sam3i_edge.exporter.trtexec import trtexec_commands
from sam3i_edge.exporter.vocabulary import keep_rows, merges_of
from sam3i_edge.golden import checked_outputs, read_golden, write_golden
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GraphSpec, Limits, graph_specs
from sam3i_edge.manifest import ATTENTION, ROUTE_FILE, TOKENIZER_FILE, Manifest, RuntimeSection, write_manifest
from sam3i_edge.model import ModelConfig, Sam3i, load
from sam3i_edge.model.vision import VisionAttention, VisionBackbone
from sam3i_edge.postprocessing import Postprocessing
from sam3i_edge.prebuilt_engines import builder_problem, judge
from sam3i_edge.precision import is_int8
from sam3i_edge.provenance import Provenance, Source, TensorRtRecord
from sam3i_edge.quantize.calibration import MOST_IMAGES, CalibrationData, load_calibration
from sam3i_edge.quantize.lowering import lowering
from sam3i_edge.quantize.pipeline import QuantizedModel, check_blocks, quantize_model
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.quantize.recipe import RECIPE_FILE
from sam3i_edge.route import RouteClassifier
from sam3i_edge.runtimes import is_nvidia, is_typed_half
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, GraphRefusedError, check_capabilities
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.targets import Target, check_precision, get_target
from sam3i_edge.tokenizer import Merge, Tokenizer
from sam3i_edge.tolerance_rules import resolve
from sam3i_edge.tolerances import Difference
from sam3i_edge.verification import Verdict, verify

BASE_NOTE = "base SAM 3 without trained adapters: the routes simple and complex answer as concept does"
KEPT_NOTE = "it has the token rows of {} texts alone: other words are read in pieces, which it never learned"

STAND_IN = "onnxruntime"

TOO_ROUGH = (
    f" Calibrate on some {MOST_IMAGES} pictures like those that it will see (--calibration); let --precision auto look "
    "for the layers that need floating point, or name them in a --recipe; or teach the model to bear integers with "
    "sam3i-edge quantize qat (docs/quantization.md)."
)
"""What to do where integers are the reason."""

AUTO = "auto"

TOOLS = ("sam3i-edge", "torch", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow", "ftfy", "open_clip_torch")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    """What an export was asked for, read and checked before any work is done."""

    target: Target
    precision: str
    tool_versions: dict[str, str]
    plan: QuantizationPlan | None
    """How to quantize, if at all."""
    half_data: CalibrationData | None
    """What typed FP16 graphs are measured on, if they are to be made."""
    merges: set[Merge] | None
    """Of a smaller vocabulary."""
    postprocessing: Postprocessing
    domain: Domain | None
    """The checkpoint's own, both."""


def export(
    checkpoint: str | Path | None = None,
    config: ModelConfig | str | Path | None = None,
    output: str | Path = "bundle",
    *,
    target: str = "x86-cpu",
    precision: str | None = None,
    attention: str | None = None,
    int8: Int8Options | None = None,
    vocabulary: str | Path | None = None,
    check: bool = True,
    progress: Progress = lambda message: None,
) -> Manifest:
    """Export a checkpoint as a bundle for one target.

    The graphs are replayed on a photograph in the target's runtime (in ONNX Runtime, where that or its device is not
    here) and compared with the float model before the bundle appears under its name. If anything fails, or the user
    interrupts, nothing is left behind.

    Args:
        checkpoint: see ``sam3i_edge.model.load``. Of the files beside it ``route.json`` becomes the bundle's auto
            route, ``postprocessing.json`` its thresholds and NMS; ``domain.json`` says what it was trained on. None:
            the demo model.
        config: the model's sizes: a ``ModelConfig``, a preset's name or a JSON file. None: ``config.json`` beside the
            checkpoint, or else the published full size.
        output: the bundle's folder; it must be empty or not exist.
        target: a name of ``sam3i_edge.targets.TARGETS``, or the path of a target of your own.
        precision: one of the target's; None for its default; ``auto`` for its int8 with a recipe that is searched for.
        attention: ``unfused`` or ``fused``, of FP16 graphs for TensorRT; None: as the target says.
        int8: how it is calibrated and what it may cost; None: the demo scenes, and no limit. Of FP16 graphs for
            TensorRT the calibration data shows what must stay in FP32.
        vocabulary: a file of texts, one a line, or a dataset, whose ``train`` split counts: only the token rows that
            these use are kept, and those that spell other words in pieces. None: all of CLIP's.
        check: compare it with the float model. False is for random weights, of which only times are of interest: with
            all their answers near a threshold, some instance comes or goes in the last digit.
        progress: called with a line at each step.

    Returns:
        The manifest of the written bundle.

    Raises:
        ExportError: unknown target or precision, an output that cannot be written, or a graph that differs from the
            float model.
        CheckpointError, ConfigError: see ``sam3i_edge.model.load``; or ``postprocessing.json`` or ``domain.json`` is
            damaged.
        DataError: the calibration data, or the texts of the vocabulary, cannot be used.
        BundleError: the ``route.json`` beside the checkpoint is damaged.
        RuntimeUnavailableError: a package that exporting needs, or the demo model, is not installed.
    """
    chosen = get_target(target)
    chosen_precision = check_precision(chosen, auto_precision(chosen) if precision == AUTO else precision)
    chosen = _with_attention(chosen, chosen_precision, attention)
    if chosen.compute_capabilities and not builder_problem():
        check_capabilities(TENSORRT_RTX, chosen.compute_capabilities)
    if checkpoint is None and config is not None:
        raise ConfigError("A config describes a checkpoint: give both, or neither for the demo model.")
    if precision is None:
        others = ", ".join(one for one in chosen.precisions if one != chosen_precision)
        progress(f"precision {chosen_precision}, the default of the target {chosen.name}; it also takes {others}")
    checkpoint = Path(checkpoint or demo_model.require(demo_model.CHECKPOINT, "give a checkpoint of your own"))
    sizes = _sizes(checkpoint, config)
    with packages_for("Exporting", "export"):
        versions = {tool: importlib.metadata.version(tool) for tool in TOOLS}
    texts = read_texts(vocabulary) if vocabulary else []
    merges = merges_of(texts, clip_tokenizer(sizes.text.context_length)) if texts else None
    plan, half_data = _plan(chosen, chosen_precision, int8 or Int8Options(), search=precision == AUTO)
    own = Postprocessing.of_checkpoint(checkpoint), Domain.of_checkpoint(checkpoint)
    job = _Job(chosen, chosen_precision, versions, plan, half_data, merges, *own)
    classifier = RouteClassifier.of_checkpoint(checkpoint)
    with staged(Path(output)) as stage:
        classifier.save(stage / ROUTE_FILE)
        model, source = _load_model(checkpoint, sizes, progress)
        notes = [
            job.domain.note if job.domain else "",
            "" if model.has_trained_adapters else BASE_NOTE,
            KEPT_NOTE.format(len(texts)) if texts else "",
        ]
        note = "; ".join(filter(None, notes))
        manifest = _write_bundle(stage, model, source, note, job, progress)
        # The runtime is about to load the same weights once more; the exporter left cycles that hold the model's.
        del model
        gc.collect()
        if is_nvidia(chosen.runtime):
            manifest = _judged(stage, manifest, chosen, progress)
        if check:
            manifest = _checked(stage, manifest, job, progress)
        write_manifest(stage, manifest)
        progress(f"putting the bundle in place: {output}")
    return manifest


def _checked(stage: Path, manifest: Manifest, job: _Job, progress: Progress) -> Manifest:
    """With what the bundle's outputs differ by, and its scores. Raises ExportError if that is too much."""
    progress("verifying the bundle against the float model")
    made = Provenance.of(manifest.provenance)
    with _open_here(stage, job.target, progress) as segmenter:
        verdict = verify(segmenter.engine, read_golden(stage))
        made = dataclasses.replace(made, accuracy=_accuracy(verdict), checked_on=verdict.device)
        if job.plan and made.quantization and job.plan.samples:
            progress(f"scoring the bundle on {len(job.plan.samples)} images")
            made = dataclasses.replace(made, quantization=measured(job.plan, made.quantization, segmenter))
    tolerances = resolve(job.precision, checked_outputs(manifest.runtime.limits), made.accuracy)
    runtime = dataclasses.replace(manifest.runtime, tolerances=tolerances)
    return dataclasses.replace(manifest, runtime=runtime, provenance=made.plain())


def _plan(
    target: Target, precision: str, options: Int8Options, search: bool
) -> tuple[QuantizationPlan | None, CalibrationData | None]:
    """How to quantize, and what typed FP16 graphs are measured on; None for what is not asked for."""
    half_data = None
    if is_typed_half(target.runtime, precision) and not is_int8(precision):
        half_data, options = load_calibration(options.calibration), dataclasses.replace(options, calibration=None)
    plan = make_plan(precision, target, options, search)
    return plan, plan.data if plan and is_typed_half(target.runtime, precision) else half_data


def auto_precision(target: Target) -> str:
    """The int8 precision of a target, for ``auto``. Raises ExportError if it has none."""
    found = [precision for precision in target.precisions if is_int8(precision)]
    if not found:
        raise ExportError(f"The target {target.name} has no int8; its precisions are {', '.join(target.precisions)}.")
    return found[0]


def _sizes(checkpoint: Path, config: ModelConfig | str | Path | None) -> ModelConfig:
    sizes = ModelConfig.of_checkpoint(checkpoint, config)
    if sizes.text.vocab_size != VOCABULARY_SIZE:
        raise ConfigError(
            f"text.vocab_size is {sizes.text.vocab_size}; the CLIP tokenizer has {VOCABULARY_SIZE} tokens."
        )
    return sizes


def _load_model(checkpoint: Path, sizes: ModelConfig, progress: Progress) -> tuple[Sam3i, Source]:
    progress(f"loading {checkpoint}")
    model = load(checkpoint, sizes)
    if not model.has_trained_adapters:
        progress(BASE_NOTE)
    return model, Source(checkpoint.name, sha256_of(checkpoint))


def _write_bundle(stage: Path, model: Sam3i, source: Source, note: str, job: _Job, progress: Progress) -> Manifest:
    config, target = model.config, job.target
    limits = default_limits(config, target.max_prompts, target.attention_mb)
    graphs = graph_specs(config.sizes, limits)
    if job.plan:
        check_blocks(model, job.plan.recipe)
    (stage / TOKENIZER_FILE).write_bytes(make_tokenizer_file(job.merges))
    progress("running the float model on the golden cases")
    tokenizer = Tokenizer.from_file(stage / TOKENIZER_FILE, config.text.context_length)
    golden = make_golden(graph_modules(model, limits), config, limits, tokenizer)
    tolerances = resolve(job.precision, checked_outputs(limits), {})
    runtime = RuntimeSection.of(
        target.on_device,
        job.precision,
        config.sizes,
        limits,
        golden_steps=golden.steps,
        tolerances=tolerances,
        note=note,
        postprocessing=job.postprocessing,
        domain=job.domain,
    )
    write_golden(stage, golden)

    before = _float_scores(job, model, progress)
    if job.merges is not None:  # what the smaller tokenizer asks for is there as before
        rows = keep_rows(model, job.merges)
        progress(f"kept {rows} of {VOCABULARY_SIZE} token rows")
    for module in list(model.modules()):
        if isinstance(module, VisionAttention):
            module.halve_heads()
        elif isinstance(module, VisionBackbone):
            module.shuffle_pixels()
    modules = graph_modules(model, limits)
    quantized, quantization = None, None
    if job.plan:
        quantized = _quantize(stage, model, graphs, limits, tokenizer, source, job, progress)
        quantization = record(job.plan, quantized.recipe, before)
    lower = _lowering(job, is_quantized=quantized is not None)
    if job.half_data:
        modules = export_fp16(
            stage, modules, graphs, limits, tokenizer, config.image_size, job.half_data, progress, quantized
        )
    elif quantized:
        modules = quantized.modules
    (stage / "graphs").mkdir()
    for name, module in modules.items():
        progress(f"exporting the {name} graph")
        convert(module, graphs[name], target, stage, lower)
    if is_nvidia(target.runtime):
        _lint(stage, graphs)
    if target.runtime == "tensorrt":
        (stage / TRTEXEC_FILE).write_text(trtexec_commands(graphs, limits, target), encoding="utf-8")
    provenance = Provenance(source, config, target, job.tool_versions, quantization=quantization)
    manifest = Manifest.of(runtime, provenance.plain(), list_files(stage))
    write_manifest(stage, manifest)
    return manifest


def _float_scores(job: _Job, model: Sam3i, progress: Progress) -> dict[str, float]:
    if job.plan is None or not job.plan.samples:
        return {}
    progress(f"scoring the float model on {len(job.plan.samples)} images")
    return scores(segmenter_of(model, job.postprocessing), job.plan.samples)


def _quantize(
    stage: Path,
    model: Sam3i,
    graphs: Mapping[str, GraphSpec],
    limits: Limits,
    tokenizer: Tokenizer,
    source: Source,
    job: _Job,
    progress: Progress,
) -> QuantizedModel:
    """The graphs with integers, and what each block computes in; the recipe goes into the bundle."""
    plan, aim = job.plan, QuantTarget(job.target, job.precision)
    assert plan
    budget = plan.budget(source, sha256_of(stage / TOKENIZER_FILE), aim)
    made = quantize_model(model, graphs, limits, tokenizer, plan.recipe, aim, plan.data, budget, progress)
    (stage / RECIPE_FILE).write_text(made.recipe.to_toml(made.note, made.remarks, job.precision), encoding="utf-8")
    return made


def _with_attention(target: Target, precision: str, attention: str | None) -> Target:
    """``target`` with another choice of its attention. Raises ExportError if it has no such choice."""
    if attention is None:
        return target
    if not is_nvidia(target.runtime):
        raise ExportError(f"attention is for TensorRT, and {target.name} runs in {target.runtime}: leave it out.")
    if not is_typed_half(target.runtime, precision):
        half = " or ".join(one for one in target.precisions if is_typed_half(target.runtime, one))
        raise ExportError(
            f"attention is for half precision, and the precision is {precision}: add --precision {half}, or leave it "
            f"out."
        )
    if attention not in ATTENTION:
        raise ExportError(unknown_name("attention", attention, ATTENTION))
    return dataclasses.replace(target, attention=attention)


def _lowering(job: _Job, is_quantized: bool) -> Callable[[onnx_ir.Model], None]:
    """All that is done to a graph between the exporter and its file."""
    steps = [lowering(job.target.runtime)] if is_quantized else []
    if is_typed_half(job.target.runtime, job.precision) and job.target.attention != "fused":
        steps.append(write_out_softmax)

    def lower(model: onnx_ir.Model) -> None:
        for step in steps:
            step(model)

    return lower


def _judged(stage: Path, manifest: Manifest, target: Target, progress: Progress) -> Manifest:
    """With what NVIDIA's parser and builder say, and the engines. Raises ExportError if they refuse a graph."""
    try:
        checked_by, engines = judge(stage, manifest.runtime, target.compute_capabilities, progress)
    except GraphRefusedError as error:
        problem = str(error).replace(f"{stage}/", "")
        raise ExportError(f"NVIDIA's parser or builder refuses a graph: {problem}. No bundle was written.") from error
    made = dataclasses.replace(Provenance.of(manifest.provenance), tensorrt=TensorRtRecord(checked_by))
    runtime = dataclasses.replace(manifest.runtime, engines=engines)
    manifest = Manifest.of(runtime, made.plain(), list_files(stage))
    write_manifest(stage, manifest)
    return manifest


def _lint(stage: Path, graphs: Mapping[str, GraphSpec]) -> None:
    """Refuse what TensorRT's parsers would, the older ones included. Raises ExportError."""
    problems = [f"{spec.file}: {problem}" for spec in graphs.values() for problem in lint(stage / spec.file)]
    if problems:
        shown = "; ".join(problems[:5])
        raise ExportError(
            f"TensorRT would refuse the graphs, in {len(problems)} places: {shown}. No bundle was written."
        )


def _open_here(bundle: Path, target: Target, progress: Progress) -> Segmenter:
    """The bundle on its target's device, if that is here; or else in ONNX Runtime, so that its graphs are checked."""
    try:
        return Segmenter.load(bundle)
    except RuntimeUnavailableError:  # what it says to install belongs on the device
        progress(
            f"the graphs are checked in ONNX Runtime: {target.runtime} for {target.name} is not on this machine, which "
            f"need not have it. On the device, sam3i-edge doctor says what is missing, sam3i-edge verify checks it"
        )
        return Segmenter.load(bundle, runtime=STAND_IN)


def _accuracy(verdict: Verdict) -> dict[str, Difference]:
    """The measured differences. Raises ExportError if one is beyond its tolerance."""
    if not verdict.passed:
        hint = TOO_ROUGH if is_int8(verdict.precision) else ""
        raise ExportError(
            f"The exported graphs differ from the float model: {verdict.problem}. No bundle was written.{hint}"
        )
    return {check.name: check.difference for check in verdict.checks}
