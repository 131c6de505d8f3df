"""The training loop: steps, log, checkpoints, validation, exact resume. ``accelerate`` spreads it over processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sam3i_edge import schema
from sam3i_edge.errors import Sam3iEdgeError, TrainingError
from sam3i_edge.files import write_json, write_whole
from sam3i_edge.model import Sam3i
from sam3i_edge.terminal import printable
from sam3i_edge.train.batches import StepSampler
from sam3i_edge.train.console import Unbroken
from sam3i_edge.train.distributed import any_process
from sam3i_edge.train.recipe import TrainRecipe
from sam3i_edge.train.schedule import make_optimizers, set_rates
from sam3i_edge.train.state import STATE, TrainProgress, load_state, save_state
from sam3i_edge.train.training_stage import TrainingStage
from sam3i_edge.train.workers import prepared_batches

RUN_FILE, LAST, BEST = "run.json", "last.safetensors", "best.safetensors"
LOG_EVERY = 20
LOG_EARLY = (1, 5, 10)
"""Steps whose losses are shown before the first of those: a step may take minutes."""

logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
"""At every checkpoint it warns that the projection goes by three names, which is as it should be."""

Validate = Callable[[Sam3i], Mapping[str, float]]
"""Scores of a model by name; the one called ``giou`` chooses the best checkpoint."""


def train(
    model: Sam3i,
    task: TrainingStage,
    recipe: TrainRecipe,
    output: Path,
    *,
    about: Mapping[str, Any],
    validate: Validate | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> TrainProgress:
    """Train ``model`` on a task, and leave ``last.safetensors`` and ``best.safetensors`` in ``output``.

    Args:
        model: it is changed in place; ``requires_grad`` of its parameters says what learns.
        task: data and loss.
        recipe: how.
        output: a new or empty folder; with ``resume``, that of an interrupted run.
        about: what else the run is made from (data, checkpoint), plain values; a resumed run must have the same.
        validate: scores the model now and then.
        resume: go on from the last checkpoint in ``output``; the result is that of a run never interrupted.
        stop: asked after every step; True saves a checkpoint and ends the run.

    Raises:
        TrainingError: the folder is in use or of another run, or the loss or its gradient is not finite.
    """
    AcceleratorState._reset_state()  # a run before this one, in the same process, may have had another precision
    accelerator = Accelerator(
        mixed_precision=recipe.precision,
        gradient_accumulation_steps=recipe.accumulate,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    set_seed(recipe.seed, device_specific=True)
    set_dropout(model, recipe.dropout)
    if recipe.images < accelerator.num_processes:
        raise TrainingError(
            f"images is {recipe.images}, for {accelerator.num_processes} processes together: each needs one at least."
        )
    images = len(task.dataset)
    total = recipe.total_steps(images)
    run = {"stage": task.name, "recipe": schema.plain(recipe), "images": images, "steps": total}
    run |= {"processes": accelerator.num_processes, **about}
    learner = task.learner(model)  # it may refuse what it is made from: before there is a run
    if accelerator.is_main_process:
        _claim(output, run, model, resume)
    accelerator.wait_for_everyone()

    optimizers = make_optimizers(model, recipe, model.config.vision.num_layers)
    learner, *optimizers = accelerator.prepare(learner, *optimizers)
    average = _average(model, recipe.ema)
    kept = model if average is None else average.module
    assert isinstance(kept, Sam3i)
    progress = load_state(accelerator, output, optimizers, average) if resume else TrainProgress()
    steps = _Run(accelerator, model, kept, learner, optimizers, average, recipe, output, progress, total)
    with contextlib.closing(_batches(task, recipe, accelerator, progress.step, total)) as batches:
        steps.go(batches, task.name, validate, stop)
    return progress


@dataclass(frozen=True)
class _Run:
    """What takes part in a run's steps."""

    accelerator: Accelerator
    model: Sam3i
    kept: Sam3i
    """What checkpoints and validation hold: the model, or the average of its weights."""
    learner: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    average: AveragedModel | None
    recipe: TrainRecipe
    output: Path
    progress: TrainProgress
    total: int

    def go(self, prepared: Iterator[Any], stage: str, validate: Validate | None, stop: Callable[[], bool]) -> None:
        """Make the steps that are left. What goes wrong with the batches ends the run, with a checkpoint."""
        accelerator, recipe, progress, total = self.accelerator, self.recipe, self.progress, self.total
        first = progress.step
        writer = SummaryWriter(str(self.output), purge_step=first) if accelerator.is_main_process else None
        bar = tqdm(
            total=total,
            initial=first,
            desc=printable(f"stage {stage}"),
            file=Unbroken(sys.stderr),
            disable=not accelerator.is_main_process,
            mininterval=0.5 if sys.stderr and sys.stderr.isatty() else 30,  # a line each half minute, into a file
        )
        _set_training(self.learner)
        clock, parts = Clock(), Mean()
        batches = clock.timed(prepared)
        ahead = _fetch(batches, recipe.accumulate)
        stopping = any_process(isinstance(ahead, Sam3iEdgeError))
        while progress.step < total and not stopping:
            assert isinstance(ahead, list)
            share = set_rates(self.optimizers, recipe, progress.step, total)
            parts.add(_step(accelerator, self.learner, self.optimizers, ahead, recipe))
            progress.step += 1
            if self.average:
                self.average.update_parameters(self.model)
            bar.update()
            if progress.step % LOG_EVERY == 0 or progress.step in (*LOG_EARLY, total):
                _log(writer, bar, progress.step, parts.read(), {"rate": share, **clock.read()})
            asked_to_stop, last = stop(), progress.step == total
            ahead = [] if last or asked_to_stop else _fetch(batches, recipe.accumulate)
            stopping = any_process(asked_to_stop or isinstance(ahead, Sam3iEdgeError))
            if validate and (last or (recipe.validate_every and progress.step % recipe.validate_every == 0)):
                _validate(accelerator, self.kept, validate, progress, self.output, writer)
                _set_training(self.learner)
            if stopping or last or progress.step % recipe.save_every == 0:
                save_state(accelerator, self.output, self.average, progress, self._publish)
        bar.close()
        if writer:
            writer.close()
        if isinstance(ahead, Sam3iEdgeError):
            if progress.step == first:
                raise ahead
            raise TrainingError(f"{ahead} Step {progress.step} is saved: go on with --resume.") from ahead

    def _publish(self) -> None:
        save_model(self.kept, self.output / LAST)


def _set_training(learner: nn.Module) -> None:
    """Training mode, but for frozen batch norms: in it they would go on averaging what they see."""
    learner.train()
    for module in learner.modules():
        if isinstance(module, nn.BatchNorm2d) and not any(value.requires_grad for value in module.parameters()):
            module.eval()


def set_dropout(model: Sam3i, share: float) -> None:
    """Drop ``share`` of the values in the transformers' residual branches while training."""
    for transformer in (model.transformer, model.geometry_encoder):  # a backbone of timm has dropouts of other kinds
        for module in transformer.modules():
            if isinstance(module, nn.Dropout):
                module.p = share


class Mean:
    """The mean of named values since the last reading."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Count one set of ``values`` in."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        self._count += 1

    def read(self) -> dict[str, float]:
        """The means, and begin anew."""
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


class Clock:
    """How much of the time the trainer waits for its data."""

    def __init__(self) -> None:
        self._since, self._waited = time.perf_counter(), 0.0

    def timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """``batches``, with the waiting for each counted."""
        while True:
            start = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += time.perf_counter() - start
            yield batch

    def read(self) -> dict[str, float]:
        """Share of the time spent waiting, and seconds, since the last reading."""
        seconds = time.perf_counter() - self._since
        values = {"waiting": self._waited / seconds, "seconds": seconds}
        self._since, self._waited = time.perf_counter(), 0.0
        return values


def _average(model: Sam3i, decay: float) -> AveragedModel | None:
    """The moving average of the weights that checkpoints and validation then hold; part of a run's state."""
    if not decay:
        return None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average


def _batches(
    task: TrainingStage, recipe: TrainRecipe, accelerator: Accelerator, step: int, total: int
) -> Generator[Any, None, None]:
    sampler = StepSampler(
        samples=len(task.dataset),
        images=recipe.images,
        seed=recipe.seed,
        first=step * recipe.accumulate,
        last=total * recipe.accumulate,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )
    is_cuda = accelerator.device.type == "cuda"
    return prepared_batches(task.dataset, task.collate, sampler, recipe.workers, pin_memory=is_cuda)


def _fetch(batches: Iterator[Any], count: int) -> list[Any] | Sam3iEdgeError:
    """The batches of a step, or why there are none. All of them: between two steps a run can still be saved."""
    try:
        return list(itertools.islice(batches, count))
    except Sam3iEdgeError as error:
        return error


def _step(
    accelerator: Accelerator,
    learner: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    batches: Sequence[Any],
    recipe: TrainRecipe,
) -> dict[str, float]:
    """One update of the weights; returns the loss and its parts."""
    sums: dict[str, float] = {}
    for batch in batches:
        with accelerator.accumulate(learner):
            loss, parts = learner(batch.to(accelerator.device))
            accelerator.backward(loss)
            for name, value in {"loss": loss.detach(), **parts}.items():
                sums[name] = sums.get(name, 0.0) + float(value) / recipe.accumulate
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(learner.parameters(), recipe.clip_norm)
                # A scaler, which fp16 has, skips steps whose gradients are not finite, and scales the next ones less.
                _check_finite(sums if accelerator.scaler else sums | {"gradient": float(norm)})
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    return sums


def _check_finite(values: Mapping[str, float]) -> None:
    """Before a step that would spoil the weights, and then the checkpoint. Raises TrainingError."""
    if not all(map(math.isfinite, values.values())):
        shown = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
        raise TrainingError(f"The loss is not finite ({shown}). Lower rate_scale, or use precision 'no'.")


def _log(
    writer: SummaryWriter | None, bar: Any, step: int, parts: Mapping[str, float], values: Mapping[str, float]
) -> None:
    if writer:
        for name, value in parts.items():
            writer.add_scalar(f"loss/{name}", value, step)
        for name, value in values.items():
            writer.add_scalar(f"train/{name}", value, step)
    bar.set_postfix({name: f"{value:.3g}" for name, value in parts.items()} | {"waiting": f"{values['waiting']:.1%}"})


def _validate(
    accelerator: Accelerator,
    model: Sam3i,
    validate: Validate,
    progress: TrainProgress,
    output: Path,
    writer: SummaryWriter | None,
) -> None:
    if writer:
        scores = validate(model.eval())
        for name, value in scores.items():
            writer.add_scalar(f"validation/{name}", value, progress.step)
        shown = ", ".join(f"{name} {value:.1f}" for name, value in scores.items())
        tqdm.write(printable(f"step {progress.step}: {shown}"), file=Unbroken(sys.stdout))
        if scores["giou"] > progress.best:
            progress.best, progress.best_step = scores["giou"], progress.step
            save_model(model, output / BEST)
    accelerator.wait_for_everyone()


def _claim(output: Path, run: dict[str, Any], model: Sam3i, resume: bool) -> None:
    """Make ``output`` this run's, or check that it is. Raises TrainingError."""
    described = output / RUN_FILE
    if resume:
        if not described.is_file():
            raise TrainingError(f"There is no run to resume in {output}. Start it without --resume.")
        known = read_run(described)
        asked, begun = (_that_decides(values) for values in (json.loads(json.dumps(run)), known))
        changed = [key for key in {*asked, *begun} if asked.get(key) != begun.get(key)]
        if changed:
            raise TrainingError(
                f"The run in {output} was started with other {', '.join(sorted(changed))}. Resume it with the same "
                f"arguments ({described} has them), or start a new one elsewhere."
            )
    else:
        begin_in(output)
        write_json(described, run)
    model.config.write_beside(output / LAST)


def _that_decides(run: dict[str, Any]) -> dict[str, Any]:
    """What of a run's description its result depends on: not on how many processes prepare batches."""
    recipe = run.get("recipe")
    return run | {"recipe": recipe | {"workers": None}} if isinstance(recipe, dict) else run


def read_run(described: Path) -> dict[str, Any]:
    """What a run wrote of itself when it began. Raises TrainingError."""
    try:
        known: dict[str, Any] = json.loads(described.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{described} is damaged ({error}). Begin anew in another folder.") from error
    return known


def finished(output: Path) -> bool:
    """Whether there is a run in ``output`` that has made all of its steps."""
    described = output / RUN_FILE
    steps = read_run(described).get("steps") if described.is_file() else None
    return isinstance(steps, int) and (output / STATE.format(steps)).is_dir()


def begin_in(output: Path) -> None:
    """Make the folder of a new run. Raises TrainingError if something is in it."""
    if output.exists() and any(output.iterdir()):
        raise TrainingError(f"{output} is not empty. Continue its run with --resume, or give a new folder.")
    output.mkdir(parents=True, exist_ok=True)


def save_model(model: Sam3i, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the weights as safetensors, whole or not at all."""
    # One projection goes by three names; safetensors wants each tensor once per file, so they are written as copies.
    state = {
        name: value.detach().to("cpu", dtype, copy=True).contiguous() for name, value in model.state_dict().items()
    }
    write_whole(path, safetensors.torch.save(state))
