"""How a long command is interrupted."""

from __future__ import annotations

import signal
import threading


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
