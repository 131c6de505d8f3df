"""``distill``: a student from its teacher, stage by stage, to go on with at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

from sam3i_edge import schema
from sam3i_edge.bundle import sha256_of
from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.config import CONFIG_FILE, ModelConfig
from sam3i_edge.data.samples import Sample
from sam3i_edge.distill import cache as feature_cache
from sam3i_edge.distill.importance import choose_layers, choose_queries
from sam3i_edge.distill.stages import STAGES, Int8, asked_of, check_scale, stage_of
from sam3i_edge.distill.students import Preset, build, depths, plan, query_count
from sam3i_edge.distill.teacher import Teacher
from sam3i_edge.errors import ConfigError, TrainingError
from sam3i_edge.files import write_json
from sam3i_edge.model import Sam3i, load
from sam3i_edge.model.companions import copy_companions
from sam3i_edge.model.lite import LiteBackbone
from sam3i_edge.quantize.pipeline import check_blocks
from sam3i_edge.train.batches import Batch, Collate, TrainingSet, ask_each
from sam3i_edge.train.distributed import any_process
from sam3i_edge.train.loop import LAST, RUN_FILE, begin_in, finished, read_run, save_model, train
from sam3i_edge.train.recipe import TrainRecipe

START, STUDENT = "start.safetensors", "student.safetensors"
PLAN_FILE = "plan.json"
MEASURED_IMAGES, MEASURED_BATCH = 32, 4
"""Images on which the layers' importance is measured."""
SEED = 0
LONGEST_WAIT = timedelta(days=2)
"""Of processes for one another: the first one may have layers to choose and a cache to fill."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class DistillJob:
    """What to distil, and how."""

    teacher: Path
    """The checkpoint."""
    config: ModelConfig
    """The teacher's sizes."""
    student: Preset | Path
    """A preset; or the checkpoint of a student, to go on teaching it: of a teacher that has learned more, say."""
    samples: Sequence[Sample]
    recipes: Mapping[str, TrainRecipe]
    """The stages to run, by name."""
    data: str
    """Where the samples came from, for the record."""
    cache: Path | None = None
    """Where the teacher's pyramids are kept, or to be kept; None: computed anew for every batch."""
    int8: Int8 = field(default_factory=Int8)
    """Of the stage ``int8``."""
    pretrained: bool = False
    """A backbone of timm begins with timm's weights."""
    with_teacher: bool = True
    """False: labels alone teach the same student from the same start. What the teacher is worth."""

    def __post_init__(self) -> None:
        if self.cache and "vision" in self.recipes:
            check_scale(self.recipes["vision"])
        if self.pretrained:
            if isinstance(self.student, Path):
                raise ConfigError("--pretrained is for presets: the student goes on with the weights that it has.")
            if not self.student.backbone:  # one that the student has of its teacher was taught
                raise ConfigError("--pretrained is for presets with a backbone of timm, such as lite.")


def distill(job: DistillJob, output: Path, *, resume: bool = False, stop: Callable[[], bool], say: Say) -> Path | None:
    """Make the student, teach it in the job's stages, and leave it in ``output`` with its sizes.

    Args:
        job: what.
        output: a new or empty folder; with ``resume``, that of an interrupted run of the same job.
        resume: go on where it was.
        stop: asked after every step; True keeps what there is and ends.
        say: told what happens.

    Returns:
        The student's checkpoint; None if the run was stopped.

    Raises:
        TrainingError: the folder is in use or of another run, or a stage that is asked for comes too late in it.
        KeyboardInterrupt: stopped while layers were chosen; nothing is left.
        CheckpointError: the teacher, or the student to go on with, cannot be read.
        ConfigError: the answers of such a student have other sizes than the teacher's.
    """
    # As Accelerator will do: made without the flag, the processes of a CPU run would not know of one another.
    PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=LONGEST_WAIT)
    teacher = load(job.teacher, job.config).to(PartialState().device)
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            _begin(job, teacher, output, resume, _ending(say, stop))
    _check_order(job, output)
    start = output / START
    if "int8" in job.recipes:
        check_blocks(load(start, output / CONFIG_FILE), job.int8.recipe)
    helper = Teacher(teacher) if job.with_teacher else None
    for stage in STAGES:
        folder = output / stage
        if stage not in job.recipes:
            start = _made_before(folder, start)
            continue
        student = load(start, output / CONFIG_FILE)
        reads_cache = job.cache and stage == "vision" and not finished(folder)
        known = _known(job, teacher, stop, say) if reads_cache else None
        if any_process(stop()):
            return None
        recipe = job.recipes[stage]
        train(
            student,
            stage_of(student, helper, stage, job.samples, recipe, known, job.int8),
            recipe,
            folder,
            about={"data": job.data, "checkpoint": str(job.teacher), "with_teacher": job.with_teacher}
            | {"begins_with": sha256_of(start)}
            | ({"int8": schema.plain(job.int8)} if stage == "int8" else {}),
            resume=(folder / RUN_FILE).is_file(),
            stop=stop,
        )
        if any_process(stop()):
            return None
        start = folder / LAST  # the average of its weights, where the recipe has one
    student = load(start, output / CONFIG_FILE)
    if PartialState().is_main_process:
        save_model(student, output / STUDENT)
        copy_companions(job.teacher, output)
    PartialState().wait_for_everyone()
    return output / STUDENT


def _ending(say: Say, stop: Callable[[], bool]) -> Say:
    """``say`` that ends a long preparation, which has nothing to keep, when it is asked to stop."""

    def step(message: str) -> None:
        if stop():
            raise KeyboardInterrupt
        say(message)

    return step


def _check_order(job: DistillJob, output: Path) -> None:
    """A stage builds on what those before it left. Raises TrainingError if one exists that would not."""
    for number, stage in enumerate(STAGES):
        if stage not in job.recipes or finished(output / stage):
            continue
        for later in STAGES[number + 1 :]:
            if (output / later / RUN_FILE).is_file():
                raise TrainingError(
                    f"{output / later} was taught without the stage {stage}. Remove that folder and name both in "
                    f"--stages, or run them in a new one."
                )


def _made_before(folder: Path, start: Path) -> Path:
    """Where a stage that is not asked for leaves the student: as it was, or as an earlier call taught it there."""
    if not (folder / RUN_FILE).is_file():
        return start
    if not finished(folder):
        raise TrainingError(f"The stage in {folder} was interrupted. Name it in --stages, too: it goes on.")
    return folder / LAST


def _begin(job: DistillJob, teacher: Sam3i, output: Path, resume: bool, say: Say) -> None:
    """Choose the student's layers and write it as it begins; or check that this was done, for the same job."""
    student = sha256_of(job.student) if isinstance(job.student, Path) else schema.plain(job.student)
    asked = {"teacher": sha256_of(job.teacher), "student": student, "data": job.data, "pretrained": job.pretrained}
    described = output / PLAN_FILE
    if resume:
        known = read_run(described) if described.is_file() else {}
        changed = [key for key, value in asked.items() if known.get(key, False) != value]
        if changed:
            raise TrainingError(
                f"The run in {output} {'was started with other ' + ', '.join(changed) if known else 'is not there'}. "
                f"Resume with the same arguments, or start without --resume in a new folder."
            )
        return
    if isinstance(job.student, Path):
        start, kept = _known_student(job.student, teacher.config), dict[str, Sequence[int]]()
        begin_in(output)
    else:
        plan(job.student, teacher.config)  # what does not fit leaves no folder behind
        begin_in(output)  # choosing layers takes a while: first see that there is a place for the student
        start, kept = _new_student(job, job.student, teacher, say)
    about: dict[str, Any] = asked | {"kept": {stack: list(layers) for stack, layers in kept.items()}}
    try:
        save_model(start, output / START)
        start.config.write_beside(output / START)
        write_json(described, about)
    except BaseException:
        for file in output.iterdir():  # it was empty; half a beginning could be neither resumed nor begun anew
            file.unlink()
        raise


def _new_student(job: DistillJob, preset: Preset, teacher: Sam3i, say: Say) -> tuple[Sam3i, dict[str, Sequence[int]]]:
    """It, and which of the teacher's layers it keeps."""
    say("choosing the layers that stay")
    batches = measured_batches(job.samples, teacher.config)
    kept = choose_layers(teacher, batches, depths(preset, teacher.config), say)
    queries = choose_queries(teacher, batches, query_count(preset, teacher.config))
    torch.manual_seed(SEED)
    student = build(teacher, plan(preset, teacher.config, kept, queries))
    vision = student.backbone.vision_backbone
    if job.pretrained:
        assert isinstance(vision, LiteBackbone)  # or there would be no such job
        vision.load_pretrained()
    return student, dict(kept)


def _known_student(checkpoint: Path, teacher: ModelConfig) -> Sam3i:
    config = ModelConfig.of_checkpoint(checkpoint, None)
    for name in ("hidden_size", "text.context_length"):
        own, wanted = map(attrgetter(name), (config, teacher))
        if own != wanted:
            raise ConfigError(
                f"The student {checkpoint} has {name} {own} and its teacher {wanted}: their answers cannot be "
                f"compared. Give a preset, or a student of this teacher's sizes."
            )
    return load(checkpoint, config)


def measured_batches(samples: Sequence[Sample], config: ModelConfig) -> list[Batch]:
    """The first images of ``samples`` that have texts, with some of these, all levels.

    Raises:
        TrainingError: none has.
    """
    recipe = TrainRecipe(prompts=6, least_scale=1.0, mask_size=8)
    asked = asked_of(samples)
    data = TrainingSet(asked[:MEASURED_IMAGES], ask_each, recipe, config.image_size)
    collate = Collate(clip_tokenizer(config.text.context_length))
    starts = range(0, len(data), MEASURED_BATCH)
    return [collate([data[i, i] for i in range(start, min(start + MEASURED_BATCH, len(data)))]) for start in starts]


def _known(job: DistillJob, teacher: Sam3i, stop: Callable[[], bool], say: Say) -> feature_cache.FeatureCache | None:
    """The teacher's pyramids; None if the filling was stopped."""
    assert job.cache
    about = feature_cache.identity(job.teacher, job.samples, job.config.image_size)
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            say(f"filling the feature cache {job.cache}")
            feature_cache.fill(
                job.cache, teacher, job.samples, about, lambda done, total: say(f"{done} of {total} images"), stop
            )
    return None if any_process(stop()) else feature_cache.FeatureCache(job.cache, about)
