"""How a long command says what it does, and is interrupted."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable


def steps() -> Callable[[str], None]:
    """A function that prints each step with the time it began, and ends the command there if it was interrupted."""
    start = time.monotonic()
    stopped = stop_on_signals()

    def step(message: str) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        print(f"[{time.monotonic() - start:6.1f} s] {message}", file=sys.stderr, flush=True)

    return step


def stop_on_signals() -> threading.Event:
    """Let SIGTERM end the command as Ctrl-C does, cleaning up. The event tells that either was received.

    The exception alone is not enough: Python drops it where it happens to hit a finalizer.
    """
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if not stopped.is_set():  # a second signal must not interrupt the cleaning up
            stopped.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopped
