"""The training loop: steps, log, checkpoints, validation, exact resume. ``accelerate`` spreads it over processes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sam3i_edge import schema
from sam3i_edge.errors import TrainingError
from sam3i_edge.files import write_json, write_whole
from sam3i_edge.model import Sam3i
from sam3i_edge.train.batches import StepSampler
from sam3i_edge.train.distributed import any_process
from sam3i_edge.train.recipe import Recipe
from sam3i_edge.train.schedule import make_optimizers, set_rates
from sam3i_edge.train.task import Task

STATE = "state-{:08d}"
RUN_FILE, LAST, BEST = "run.json", "last.safetensors", "best.safetensors"
LOG_EVERY = 20

logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
"""At every checkpoint it warns that the projection goes by three names, which is as it should be."""

Validate = Callable[[Sam3i], Mapping[str, float]]
"""Scores of a model by name; the one called ``gIoU`` chooses the best checkpoint."""


@dataclass
class Progress:
    """Where a run stands; written with every checkpoint."""

    step: int = 0
    best: float = -1.0
    best_step: int = 0


def train(
    model: Sam3i,
    task: Task,
    recipe: Recipe,
    output: Path,
    *,
    about: Mapping[str, Any],
    validate: Validate | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
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
    average = _average(accelerator, model, recipe.ema)
    kept = model if average is None else average.module
    assert isinstance(kept, Sam3i)
    progress = _restore(accelerator, output) if resume else Progress()
    writer = SummaryWriter(str(output), purge_step=progress.step) if accelerator.is_main_process else None
    batches = _batches(task, recipe, accelerator, progress.step, total)
    bar = tqdm(
        total=total,
        initial=progress.step,
        desc=f"stage {task.name}",
        disable=not accelerator.is_main_process,
        mininterval=0.5 if sys.stderr.isatty() else 30,  # a line every half minute where it goes to a file
    )
    _set_training(learner)
    clock, parts = Clock(), Mean()
    while progress.step < total:
        share = set_rates(optimizers, recipe, progress.step, total)
        parts.add(_step(accelerator, learner, optimizers, clock.timed(batches), recipe))
        progress.step += 1
        if average:
            average.update_parameters(model)
        bar.update()
        if progress.step % LOG_EVERY == 0 or progress.step == total:
            _log(writer, bar, progress.step, parts.read(), {"rate": share, **clock.read()})
        stopping, last = any_process(stop()), progress.step == total
        if validate and (last or (recipe.validate_every and progress.step % recipe.validate_every == 0)):
            _validate(accelerator, kept, validate, progress, output, writer)
            _set_training(learner)
        if stopping or last or progress.step % recipe.save_every == 0:
            _save(accelerator, output, kept, progress)
        if stopping:
            break
    bar.close()
    if writer:
        writer.close()
    return progress


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


def _average(accelerator: Accelerator, model: Sam3i, decay: float) -> AveragedModel | None:
    """The moving average of the weights that checkpoints and validation then hold; part of a run's state."""
    if not decay:
        return None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    accelerator.register_for_checkpointing(average)
    return average


def _batches(task: Task, recipe: Recipe, accelerator: Accelerator, step: int, total: int) -> Iterator[Any]:
    sampler = StepSampler(
        samples=len(task.dataset),
        images=recipe.images,
        seed=recipe.seed,
        first=step * recipe.accumulate,
        last=total * recipe.accumulate,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )
    # A generator of its own: the loader must not draw from the one that dropout uses, which a resumed run restores.
    loader = DataLoader(
        task.dataset,
        batch_sampler=sampler,
        collate_fn=task.collate,
        num_workers=recipe.workers,
        prefetch_factor=4 if recipe.workers else None,
        pin_memory=accelerator.device.type == "cuda",
        generator=torch.Generator(),
    )
    return (batch.to(accelerator.device) for batch in loader)


def _step(
    accelerator: Accelerator,
    learner: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    batches: Iterator[Any],
    recipe: Recipe,
) -> dict[str, float]:
    """One update of the weights; returns the loss and its parts."""
    sums: dict[str, float] = {}
    for batch in itertools.islice(batches, recipe.accumulate):
        with accelerator.accumulate(learner):
            loss, parts = learner(batch)
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
    progress: Progress,
    output: Path,
    writer: SummaryWriter | None,
) -> None:
    if writer:
        scores = validate(model.eval())
        for name, value in scores.items():
            writer.add_scalar(f"validation/{name}", value, progress.step)
        tqdm.write(f"step {progress.step}: " + ", ".join(f"{name} {value:.1f}" for name, value in scores.items()))
        if scores["gIoU"] > progress.best:
            progress.best, progress.best_step = scores["gIoU"], progress.step
            save_model(model, output / BEST)
    accelerator.wait_for_everyone()


def _claim(output: Path, run: dict[str, Any], model: Sam3i, resume: bool) -> None:
    """Make ``output`` this run's, or check that it is. Raises TrainingError."""
    described = output / RUN_FILE
    if resume:
        if not described.is_file():
            raise TrainingError(f"There is no run to resume in {output}. Start it without --resume.")
        known = read_run(described)
        changed = [key for key in {*run, *known} if json.loads(json.dumps(run)).get(key) != known.get(key)]
        if changed:
            raise TrainingError(
                f"The run in {output} was started with other {', '.join(sorted(changed))}. Resume it with the same "
                f"arguments ({described} has them), or start a new one elsewhere."
            )
    else:
        begin_in(output)
        write_json(described, run)
    model.config.write_beside(output / LAST)


def read_run(described: Path) -> dict[str, Any]:
    """What a run wrote of itself when it began. Raises TrainingError."""
    try:
        known: dict[str, Any] = json.loads(described.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("it is no object")
    except ValueError as error:
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


def _save(accelerator: Accelerator, output: Path, model: Sam3i, progress: Progress) -> None:
    """Write a checkpoint beside the last one, then drop that: a kill at any time leaves one that is whole."""
    partial = output / "state.partial"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (partial / "progress.json").write_text(json.dumps(dataclasses.asdict(progress)), encoding="utf-8")
        save_model(model, output / LAST)  # first: a run whose last state is there is finished
        earlier = list(output.glob("state-*"))
        partial.rename(output / STATE.format(progress.step))
        for folder in earlier:
            if folder.name != STATE.format(progress.step):
                shutil.rmtree(folder)
    accelerator.wait_for_everyone()


def _restore(accelerator: Accelerator, output: Path) -> Progress:
    states = sorted(output.glob("state-*"))
    if not states:
        return Progress()  # interrupted before the first checkpoint
    accelerator.load_state(str(states[-1]))
    return Progress(**json.loads((states[-1] / "progress.json").read_text(encoding="utf-8")))


def save_model(model: Sam3i, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the weights as safetensors, whole or not at all."""
    # One projection goes by three names; safetensors wants each tensor once per file, so they are written as copies.
    state = {
        name: value.detach().to("cpu", dtype, copy=True).contiguous() for name, value in model.state_dict().items()
    }
    write_whole(path, safetensors.torch.save(state))
