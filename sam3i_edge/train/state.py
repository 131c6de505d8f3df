"""What a run goes on from: a folder with all of its state, which is loaded as it was written or refused."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.utils.other import load
from safetensors import SafetensorError
from torch.optim.swa_utils import AveragedModel

from sam3i_edge import schema
from sam3i_edge.bundle import sha256_of
from sam3i_edge.errors import TrainingError
from sam3i_edge.files import remove_left_behind, sync_folder, write_json, write_whole
from sam3i_edge.train.distributed import any_process

STATE, PARTIAL = "state-{:08d}", "state.partial"
STATES = "state-*"
AVERAGE_FILE, PROGRESS_FILE = "average.safetensors", "progress.json"
SUMS_FILE = "sha256.json"
"""The SHA-256 of every other file of a state, written last."""


@dataclass
class TrainProgress:
    """Where a run stands; written with every checkpoint."""

    step: int = 0
    best: float = -1.0
    best_step: int = 0


def save_state(
    accelerator: Accelerator,
    output: Path,
    average: AveragedModel | None,
    progress: TrainProgress,
    publish: Callable[[], None],
) -> None:
    """Write a state beside the last one, then drop that: a kill at any time leaves one that is whole.

    Args:
        accelerator: holds the model, the optimizers and the random state.
        output: the run's folder.
        average: of the weights, if the run has one.
        progress: of the run.
        publish: called when the state is written, before it counts: a run whose last state is there is finished.

    Raises:
        TrainingError: the disk is full, or gone.
    """
    partial = output / PARTIAL
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    _together(output, partial, lambda: accelerator.save_state(str(partial)))
    finish = (lambda: _finish(partial, output, average, progress, publish)) if accelerator.is_main_process else None
    _together(output, partial, finish)


def _together(output: Path, partial: Path, write: Callable[[], object] | None) -> None:
    """Call ``write`` in the processes that have one, and go on in all or in none. Raises TrainingError."""
    problem: Exception | None = None
    try:
        if write:
            write()
    except (OSError, RuntimeError, SafetensorError) as error:  # by whom a full disk is noticed
        problem = error
    if any_process(problem is not None):
        shutil.rmtree(partial, ignore_errors=True)
        said = str(problem or "another process says why").partition("\n")[0]
        raise TrainingError(
            f"The checkpoint could not be written to {output} ({said}). The one before is still there: make room "
            f"on the disk, and go on with --resume."
        ) from problem


def _finish(
    partial: Path,
    output: Path,
    average: AveragedModel | None,
    progress: TrainProgress,
    publish: Callable[[], None],
) -> None:
    if average is not None:
        values = {name: value.detach().cpu().clone() for name, value in average.state_dict().items()}
        write_whole(partial / AVERAGE_FILE, safetensors.torch.save(values))
    write_json(partial / PROGRESS_FILE, dataclasses.asdict(progress))
    write_json(partial / SUMS_FILE, {file.name: sha256_of(file) for file in sorted(partial.iterdir())})
    sync_folder(partial)
    publish()
    state = output / STATE.format(progress.step)
    earlier = [folder for folder in output.glob(STATES) if folder != state]
    partial.rename(state)
    sync_folder(output)
    for folder in earlier:
        shutil.rmtree(folder)


def load_state(
    accelerator: Accelerator, output: Path, optimizers: Sequence[Any], average: AveragedModel | None
) -> TrainProgress:
    """Go on from the last state in ``output``; from the beginning, if there is none.

    Raises:
        TrainingError: a file of it is missing, damaged, or of another run.
    """
    states = sorted(output.glob(STATES))
    if accelerator.is_main_process:
        shutil.rmtree(output / PARTIAL, ignore_errors=True)
        remove_left_behind(output, "*.partial-*")
    if not states:
        return TrainProgress()  # interrupted before the first checkpoint
    state = states[-1]
    problem = _damage(state) if accelerator.is_main_process else ""
    if any_process(bool(problem)):
        raise TrainingError(f"{problem or f'{state} is damaged'}: {_remedy(output, states)}")
    try:
        accelerator.load_state(str(state))
        _check_random_state(state / f"random_states_{accelerator.process_index}.pkl")
        _check_optimizers(optimizers)
        if average is not None:
            average.load_state_dict(safetensors.torch.load_file(state / AVERAGE_FILE))
        return schema.parse(TrainProgress, json.loads((state / PROGRESS_FILE).read_text(encoding="utf-8")))
    except Exception as error:  # what a file raises that is not what it was is anything
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainingError(f"{state} cannot be loaded ({said}): {_remedy(output, states)}") from error


def _damage(state: Path) -> str:
    """Which file is not as it was written, and how; nothing, if all are. Nothing of them is unpickled before."""
    sums = state / SUMS_FILE
    try:
        known = json.loads(sums.read_text(encoding="utf-8"))
        if not isinstance(known, dict) or PROGRESS_FILE not in known:
            raise ValueError("it names no files")
    except (OSError, ValueError, RecursionError) as error:
        return f"{sums} is missing or damaged ({str(error).partition(chr(10))[0]})"
    for name, digest in known.items():
        file = state / Path(name).name
        try:
            if sha256_of(file) != digest:
                return f"{file} is damaged: it does not have the checksum that it was written with"
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"
    return ""


def _remedy(output: Path, states: Sequence[Path]) -> str:
    if len(states) > 1:
        return f"the run cannot go on from there. Remove {states[-1]} to go on from {states[-2].name}."
    return (
        f"the run cannot go on from there. Remove {output}, or give another folder, and begin the run again; "
        f"last.safetensors has the weights of that step, to begin with (--checkpoint)."
    )


def _check_random_state(file: Path) -> None:
    """``accelerate`` goes on without a word where it cannot restore it. Raises ValueError or what the file leads to."""
    wanted = load(file)
    found = {"torch_manual_seed": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["torch_cuda_manual_seed"] = torch.stack(torch.cuda.get_rng_state_all())
        wanted["torch_cuda_manual_seed"] = torch.stack(list(wanted["torch_cuda_manual_seed"]))
    is_restored = all(torch.equal(wanted[name], value) for name, value in found.items())
    numbers = np.random.get_state(legacy=False)
    assert isinstance(numbers, dict)
    is_restored &= np.array_equal(numbers["state"]["key"], wanted["numpy_random_seed"][1])
    if not is_restored or random.getstate() != wanted["random_state"]:
        raise ValueError(f"the random state of {file.name} is not restored")


def _check_optimizers(optimizers: Sequence[Any]) -> None:
    """What they hold of a parameter is as large as it, or one value. Raises ValueError."""
    for optimizer in optimizers:
        for parameter, kept in optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, torch.Tensor) and value.numel() not in (parameter.numel(), 1):
                    raise ValueError(f"an optimizer's {name} does not fit its parameter")
