"""The processes that prepare batches: they leave signals to the trainer, and their end does not hang or hide it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset, Sampler

from sam3i_edge.errors import Sam3iEdgeError, TrainingError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What Ctrl-C, a service manager or a lost terminal sends to every process of a run: the trainer alone decides."""
SHARED_MEMORY = Path("/dev/shm")
AHEAD = 4
"""Batches that each process prepares before they are asked for."""

logger = logging.getLogger("sam3i_edge")


@dataclasses.dataclass(frozen=True)
class Failed:
    """What a worker sends in place of a batch: an error raised on purpose, without the worker's traceback."""

    error: Sam3iEdgeError


@dataclasses.dataclass(frozen=True)
class Copied:
    """A batch that goes through a pipe, because shared memory has no room for it."""

    content: bytes
    problem: str


class Prepared(Dataset[Any]):
    """Whole batches by their (sample, seed) pairs, collated; of a worker, they lie in shared memory.

    The loader would move them there in a thread, where a full /dev/shm loses the batch: the trainer waits for ever.
    """

    def __init__(self, dataset: Any, collate: Callable[[list[Any]], Any]) -> None:
        self._dataset, self._collate = dataset, collate
        self._problem = ""

    def __getitems__(self, pairs: Sequence[tuple[int, int]]) -> Any:
        try:
            batch = self._collate([self._dataset[pair] for pair in pairs])
        except Sam3iEdgeError as error:
            return Failed(error)
        if multiprocessing.parent_process() is None:
            return batch
        if not self._problem:
            self._problem = _share(batch)
        return Copied(pickle.dumps(batch), self._problem) if self._problem else batch


def _share(batch: Any) -> str:
    """Move the tensors of a batch to shared memory; why that cannot be, or nothing."""
    try:
        for tensor in tree_leaves(batch):
            if isinstance(tensor, Tensor) and tensor.numel():
                tensor.share_memory_()
    except RuntimeError as error:
        for left in SHARED_MEMORY.glob(f"torch_{os.getpid()}_*"):  # torch does not remove the one that failed
            left.unlink(missing_ok=True)
        return str(error)
    return ""


def prepared_batches(
    dataset: Any,
    collate: Callable[[list[Any]], Any],
    sampler: Sampler[list[tuple[int, int]]],
    workers: int,
    pin_memory: bool,
) -> Generator[Any, None, None]:
    """The batches that ``sampler`` names, prepared by ``workers`` processes, or by this one.

    Where shared memory is too small or missing, the batches go through a pipe or are prepared here, with a warning.

    Raises:
        Sam3iEdgeError: what ``dataset`` or ``collate`` raised on purpose.
        TrainingError: a worker died, or its batches could not be received.
    """
    # A generator of its own: the loader must not draw from the one that dropout uses, which a resumed run restores.
    loader = DataLoader(
        Prepared(dataset, collate),
        batch_sampler=sampler,
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals,
        generator=torch.Generator(),
    )
    before = {*multiprocessing.active_children()}
    try:
        _see_that_queues_can_be(workers)
        with _started_quietly():
            received = iter(loader)
    except OSError as error:
        logger.warning(
            "No process can be started to prepare batches (%s): the training process prepares them itself, which takes "
            "longer. In a container, give it shared memory: --shm-size=1g",
            error,
        )
        yield from prepared_batches(dataset, collate, sampler, 0, pin_memory)
        return
    started = {*multiprocessing.active_children()} - before
    try:
        yield from _received(received, started)
    finally:
        _end(received, started)


def _received(batches: Iterator[Any], workers: set[BaseProcess]) -> Iterator[Any]:
    is_told = False
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (RuntimeError, OSError) as error:
            if not workers:
                raise
            raise TrainingError(_why_it_ended(workers, error)) from error
        if isinstance(batch, Failed):
            raise batch.error
        if isinstance(batch, Copied):
            if not is_told:
                logger.warning(
                    "Shared memory is too small for the batches (%s): they go through a pipe, which takes longer. In "
                    "a container, give it more: --shm-size=1g",
                    batch.problem,
                )
            batch, is_told = pickle.loads(batch.content), True  # noqa: S301  # of a worker of ours
        yield batch


def _end(batches: Any, workers: set[BaseProcess]) -> None:
    """Let the workers end after the batch at hand. What then is left would, deaf to SIGTERM, hold up Python's exit."""
    if workers:
        batches._shutdown_workers()  # torch has no public name for it: it waits until nobody holds the iterator
    for worker in workers:
        if worker.is_alive():
            worker.kill()


def _see_that_queues_can_be(workers: int) -> None:
    """Raises OSError where /dev/shm has no room for those of the loader, which half made prints a traceback."""
    if workers:
        _: list[Any] = [multiprocessing.Queue() for _ in range(workers + 3)]  # an event takes as much as two


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals(_: int) -> None:
    """The trainer, which gets them, too, lets the workers end when it has no more use for them."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


@contextlib.contextmanager
def _started_quietly() -> Iterator[None]:
    """Workers that start within are born with signals blocked, and torch's handler of dying workers is taken away.

    That one raises wherever the trainer happens to be, in the middle of a step: it could not save what it has then.
    Without it the death is noticed when the next batch is waited for.
    """
    before = signal.getsignal(signal.SIGCHLD)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGCHLD) is not before:  # set in the main thread alone
            signal.signal(signal.SIGCHLD, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _why_it_ended(workers: set[BaseProcess], error: Exception) -> str:
    for worker in workers:
        if code := worker.exitcode:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            why = "memory may have run out" if code == -signal.SIGKILL else "its own message may stand above"
            return f"Process {worker.pid}, which prepared batches, {how}: {why}. Use fewer: --set workers=0 for none."
    return f"Batches could not be received ({str(error).partition(chr(10))[0]}). Use --set workers=0 for no processes."
