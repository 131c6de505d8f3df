"""How a long command says what it is at: its steps, and how many of a number are done."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sam3i_edge.commands.signals import stop_on_signals
from sam3i_edge.terminal import printable, show

QUIET = 20.0
"""Seconds after which a step that goes on says so, and a count that goes elsewhere than to a terminal is told again."""


@contextmanager
def steps(quiet: float = QUIET) -> Iterator[Callable[[str], None]]:
    """A function that prints each step with the time it began, and ends the command there if it was interrupted.

    Until the next one, or the end of the context, a line every ``quiet`` seconds says that the step goes on.
    """
    start = told = time.monotonic()
    stopped, ended, current = stop_on_signals(), threading.Event(), ""

    def tell(message: str) -> None:
        show(f"[{time.monotonic() - start:6.1f} s] {message}", error=True)

    def step(message: str) -> None:
        nonlocal current, told
        if stopped.is_set():
            raise KeyboardInterrupt
        current, told = message, time.monotonic()
        tell(message)

    def repeat() -> None:
        nonlocal told
        while not ended.wait(max(0.01, told + quiet - time.monotonic())):
            if time.monotonic() - told >= quiet:
                told = time.monotonic()
                if current:
                    tell(f"still {current}")

    thread = threading.Thread(target=repeat, name="sam3i-edge steps", daemon=True)
    thread.start()
    try:
        yield step
    finally:
        ended.set()
        thread.join()


def counted(what: str, unit: str, quiet: float = QUIET) -> Callable[[int, int], None]:
    """A function that shows on stderr how many of how many are done, and about how long the rest takes.

    On a terminal it is one line that changes; elsewhere a line for the first, the last, and every ``quiet`` seconds.
    """
    start, last = time.monotonic(), 0.0

    def show_count(done: int, count: int) -> None:
        nonlocal last
        now = time.monotonic()
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
        if 1 < done < count and now - last < (0.2 if on_terminal else quiet):
            return
        last = now
        left = (now - start) / done * (count - done)
        text = f"{what}: {done} of {count} {unit}, {now - start:.0f} s" + (f", about {left:.0f} s left" if left else "")
        if not on_terminal:
            show(text, error=True)
        else:
            end = "\n" if done == count else ""
            sys.stderr.write(f"\r{printable(text):70}{end}")
            sys.stderr.flush()

    return show_count
