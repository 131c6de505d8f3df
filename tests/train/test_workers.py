"""Processes that prepare batches: signals to a whole group, deaths, errors, and shared memory that is too small."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sam3i_edge.cli import main
from sam3i_edge.errors import ImageError, TrainingError
from sam3i_edge.train.loop import LAST, train
from sam3i_edge.train.stages import task_of
from sam3i_edge.train.workers import SHARED_MEMORY, prepared_batches
from tests.train.conftest import tiny_model, tiny_recipe
from tests.train.test_command import command, data  # noqa: F401
from tests.train.test_loop import changed, run, weights

resource = pytest.importorskip("resource")


class Numbers:
    """A dataset of tensors of 200 kB, in which something may happen at one place."""

    def __init__(self, happens=lambda: None, at=-1):
        self._happens, self._at = happens, at

    def __getitem__(self, pair):
        if pair[0] == self._at:
            self._happens()
        return torch.full((50_000,), float(pair[0]))


def received(dataset, workers=2, count=6):
    sampler = [[(number, 0)] for number in range(count)]
    return [int(batch[0, 0]) for batch in prepared_batches(dataset, torch.stack, sampler, workers, pin_memory=False)]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse():
    raise ImageError("x.png cannot be read.")


def start(data, output, *options, steps=40, **streams):  # noqa: F811
    """A run with workers, in a group of its own as a shell starts it, once it has made a step: of many, for on a busy
    machine it goes on for a while before the test does."""
    arguments = command(data, output, "--stage", "base", "--config", str(data / "tiny.json"), *options, steps=steps)
    arguments = [
        word.replace("workers=0", "workers=2").replace("validate_every=2", "validate_every=0") for word in arguments
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "sam3i_edge", *arguments],
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # under nohup it would be ignored
        **streams,
    )
    while not list(output.glob("state-0*")) and process.poll() is None:
        time.sleep(0.02)
    return process, arguments


def test_a_signal_to_the_whole_group_loses_nothing(data, tmp_path):  # noqa: F811
    """Twice, as ``timeout`` sends it: it is one request. Another number of workers may go on with the run."""
    process, arguments = start(data, tmp_path / "run", stderr=subprocess.PIPE, text=True)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopping after this step" in told and "go on with --resume" in told and "Traceback" not in told
    alone = [word.replace("workers=2", "workers=0") for word in arguments]
    assert main([*alone, "--resume"]) == 0
    assert main([word.replace(str(tmp_path / "run"), str(tmp_path / "whole")) for word in alone]) == 0
    assert (tmp_path / "run" / LAST).read_bytes() == (tmp_path / "whole" / LAST).read_bytes()


def test_a_terminal_that_is_gone_loses_nothing(data, tmp_path):  # noqa: F811
    process, _ = start(data, tmp_path / "run", steps=4000, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stderr.close()
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(timeout=60) == 130  # what stderr would have told costs nothing
    assert (tmp_path / "run" / LAST).is_file() and len(list((tmp_path / "run").glob("state-0*"))) == 1


def test_a_worker_that_dies_is_named():
    with pytest.raises(
        TrainingError, match=r"Process \d+, which prepared batches, was killed by SIGKILL: memory may have"
    ):
        received(Numbers(die, at=4))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_refused_in_a_worker_is_told_as_here(workers):
    with pytest.raises(ImageError, match=r"^x\.png cannot be read\.$"):
        received(Numbers(refuse, at=1), workers)


class Spoilt:
    """A dataset whose images cannot be read any more, after the first ``good``."""

    def __init__(self, dataset, good):
        self._dataset, self._good = dataset, good

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, pair):
        self._good -= 1
        return self._dataset[pair] if self._good >= 0 else refuse()


def test_what_goes_wrong_with_a_batch_ends_the_run_with_a_checkpoint(samples, tmp_path):
    model, recipe = tiny_model(), tiny_recipe(save_every=100)
    task = task_of(model, "base", samples, recipe)
    task = dataclasses.replace(task, dataset=Spoilt(task.dataset, good=2 * recipe.images))
    with pytest.raises(TrainingError, match=r"^x\.png cannot be read\. Step 2 is saved: go on with --resume\.$"):
        train(model, task, recipe, tmp_path / "run", about={"data": "shapes"})
    whole, again = tiny_model(), tiny_model()
    run(whole, "base", samples, tmp_path / "whole", recipe={"save_every": 100})
    run(again, "base", samples, tmp_path / "run", resume=True, recipe={"save_every": 100})
    assert changed(weights(whole), weights(again)) == set()


def test_shared_memory_that_is_too_small_is_gone_around(full_disk, caplog):
    assert received(Numbers()) == [0, 1, 2, 3, 4, 5]
    (warning,) = caplog.messages
    assert warning.startswith("Shared memory is too small for the batches (")
    assert "--shm-size=1g" in warning
    assert not [path for path in SHARED_MEMORY.glob("torch_*") if not Path(f"/proc/{path.name.split('_')[1]}").exists()]


def test_without_shared_memory_no_process_is_started(caplog):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        found = received(Numbers())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found == [0, 1, 2, 3, 4, 5]
    assert "the training process prepares them itself" in caplog.text
