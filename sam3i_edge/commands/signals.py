"""How a long command is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

stopped = threading.Event()
"""Whether the command at hand was interrupted."""


def stop_on_signals() -> threading.Event:
    """Let SIGTERM end the command as Ctrl-C does, cleaning up. The event tells that either was received.

    The exception alone is not enough: Python drops it where it happens to hit a finalizer, and some packages turn it
    into one of theirs.
    """
    stopped.clear()

    def stop(*_: object) -> None:
        if not stopped.is_set():  # a second signal must not interrupt the cleaning up
            stopped.set()
            raise KeyboardInterrupt

    on_signals(stop)
    return stopped


def on_signals(receive: Callable[[int, FrameType | None], None], *, hangup: bool = False) -> None:
    """Call ``receive`` on Ctrl-C and SIGTERM. In another thread than the main one they stay its program's.

    With ``hangup`` also when the terminal is lost; under ``nohup`` that is none of its business.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, receive)
