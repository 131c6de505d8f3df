"""A program that a user might write around a segmenter: ``python -m tests.host BUNDLE RUNTIME ENGINE WHAT``."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from sam3i_edge import Sam3iEdgeError, Segmenter, read_image
from sam3i_edge.overlay import write_image

IMAGE = np.full((600, 800, 3), 90, np.uint8)
MOST_FORKS = 40
"""Until one falls into the part of a load that matters."""


class Busy:
    """A thread that is inside ``segment`` until the test has forked."""

    def __init__(self) -> None:
        self.entered, self.may_leave = threading.Event(), threading.Event()
        self.is_on = False

    def observe(self, stage: str, duration: int) -> None:
        if self.is_on:
            self.entered.set()
            self.may_leave.wait()


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def child(work: Callable[[], object]) -> str:
    """How a forked child ended that did ``work``."""
    if (pid := os.fork()) == 0:
        signal.alarm(60)  # one that hangs ends by it
        work()
        sys.exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def tell(load: Callable[[], Segmenter]) -> str:
    try:
        found = load().segment(IMAGE, "mug", threshold=0)
        return f"found masks {found.masks.shape}"
    except Sam3iEdgeError as error:
        return f"{type(error).__name__}: {error}"


def tell_aloud(load: Callable[[], Segmenter]) -> str:
    say(told := tell(load))
    return told


def for_ever(work: Callable[[], object]) -> None:
    threading.Thread(target=lambda: [work() for _ in iter(int, 1)], daemon=True).start()


def main(bundle: str, runtime: str, engine: str, what: str) -> None:
    busy = Busy()
    segmenter = Segmenter.load(bundle, runtime=runtime, engine=engine, observer=busy.observe)

    def load() -> Segmenter:
        return Segmenter.load(bundle, runtime=runtime, engine=engine)

    def segment() -> None:
        say(tell(lambda: segmenter))

    segment()
    if what == "fork":
        say("did nothing:", child(lambda: None))
        say("segmented:", child(segment))
        say("closed:", child(segmenter.close))
        worker = multiprocessing.get_context("fork").Process(target=segment)
        worker.start()
        worker.join(60)
        say("worker:", worker.exitcode)
        busy.is_on = True
        other = threading.Thread(target=segment, daemon=True)
        other.start()
        busy.entered.wait()
        say("during a call:", child(segment))
        busy.is_on = False
        busy.may_leave.set()
        segment()
        other.join()
    elif what == "load":
        say("loaded beside an open one:", child(lambda: say(tell(load))))
        load().close()
        say("loaded after one was closed:", child(lambda: say(tell(load))))
        kept: list[Segmenter] = []
        for_ever(lambda: kept.append(load()))
        for _ in range(MOST_FORKS):
            threading.Event().wait(0.2)
            status = child(lambda: sys.exit(7 if tell_aloud(load).startswith("found") else 8))
            say("loaded during a load:", status)
            if status != "7":
                break
    else:
        file, number = Path(tempfile.mkdtemp()) / "image.png", count()
        write_image(file, IMAGE)
        for work in (
            lambda: tell(lambda: segmenter),
            lambda: segmenter.engine.encode(IMAGE),
            lambda: segmenter.engine.encode_texts([(f"mug {next(number)}", "concept")]),
            lambda: segmenter.route_of(f"mug {next(number)}"),
            lambda: write_image(file, IMAGE),
            lambda: read_image(file),
        ):
            for_ever(work)
        threading.Event().wait(0.3)
        say("the end")
        sys.exit(7)


if __name__ == "__main__":
    main(*sys.argv[1:])
