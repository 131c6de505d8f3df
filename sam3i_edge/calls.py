"""Calls that run while the process forks, or ends: neither may hang it, or crash it in a runtime's threads."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sam3i_edge.errors import RuntimeUnavailableError

LONGEST_WAIT_S = 60
"""Of the end of the process for calls on other threads; one that takes longer is taken to hang."""


class _Call:
    """One that runs on a thread, and what others that it forks away from may find locked."""

    def __init__(self, holds: bool, opens: str) -> None:
        self.holds, self.opens = holds, opens


_inside: set[_Call] = set()
"""Calls that run. To add and to remove one is a single step of Python's, so that no lock is needed."""
_here = threading.local()
_kept: weakref.WeakSet[Any] = weakref.WeakSet()
_torn = 0
"""How many forks happened during a call, in this process and those that it comes from."""
_stuck: set[str] = set()
"""Runtimes in which such a fork found a thread that opened something, or idle threads."""
_has_idle_threads: dict[str, Callable[[], bool]] = {}
_ending: int | None = None
"""The thread that ends the process."""


class Opened:
    """The moment when something was opened."""

    def __init__(self) -> None:
        self._torn = _torn

    def check(self) -> None:
        """Raises RuntimeUnavailableError where a fork tore it: what other threads had locked, stays so in the child."""
        if self._torn != _torn:
            raise RuntimeUnavailableError(
                "This Segmenter was loaded before this process was forked, and another thread was inside it just then. "
                "Load the bundle again in this process, or start it with multiprocessing's spawn."
            )


class _Holder(Protocol):
    @property
    def opened(self) -> Opened: ...


Method = TypeVar("Method", bound=Callable[..., Any])


def counted(method: Method) -> Method:
    """A method of an object with ``opened`` that is ``counting`` while it runs. Raises as ``Opened.check``, too."""

    @functools.wraps(method)
    def call(self: _Holder, *args: Any, **kwargs: Any) -> Any:
        self.opened.check()
        with counting():
            return method(self, *args, **kwargs)

    return call  # type: ignore[return-value]  # of the same signature


@contextmanager
def counting(*, holds: bool = True, opens: str = "") -> Iterator[None]:
    """Let the end of the process wait for the block, and a fork take note of it.

    Once the process ends, other threads wait here: the interpreter would end them within code of C++, which ends the
    process. So whatever lets other threads of Python run while it is in such code is counted.

    Args:
        holds: whether it may lock what segmenters share. Reading an image does not.
        opens: the runtime that it opens something in; see ``opening``.
    """
    call: _Call | None = getattr(_here, "call", None)
    if call is not None:  # within another one
        before = call.holds, call.opens
        call.holds, call.opens = holds or call.holds, opens or call.opens
        try:
            yield
        finally:
            call.holds, call.opens = before
        return
    _here.call = call = _Call(holds, opens)
    _inside.add(call)
    try:
        if _ending not in (None, threading.get_ident()):
            _inside.discard(call)
            threading.Event().wait()
        yield
    finally:
        _inside.discard(call)
        _here.call = None


@contextmanager
def opening(runtime: str) -> Iterator[None]:
    """``counting`` of what opens something in a runtime, or closes it: all of the process share what that locks.

    Raises:
        RuntimeUnavailableError: it would wait for ever, as the process was forked while another thread did, or while
            there were idle threads; see ``watch_idle_threads``.
    """
    if runtime in _stuck:
        raise RuntimeUnavailableError(
            f"This process was forked while another thread was loading a bundle with {runtime}, or after one was "
            "closed: it would wait here for threads of its parent's. Start workers with multiprocessing's spawn (in "
            "C++: fork and exec), or keep what is loaded open until the fork."
        )
    with counting(opens=runtime):
        yield


def keep_in_children(opened: Any) -> None:
    """Never destroy ``opened`` in a forked child: its destructor would wait for threads that the child lacks."""
    _kept.add(opened)


def watch_idle_threads(runtime: str, has_some: Callable[[], bool]) -> None:
    """Refuse ``opening`` in children that were forked while a runtime kept threads that nothing used: they lack these,
    and what they open would be given them."""
    _has_idle_threads[runtime] = has_some


def _after_fork_in_child() -> None:
    global _torn
    own = getattr(_here, "call", None)
    others = [call for call in _inside if call is not own]
    _torn += any(call.holds for call in others)
    _stuck.update(call.opens for call in others if call.opens)
    _stuck.update(runtime for runtime, has_some in _has_idle_threads.items() if has_some())
    _inside.difference_update(others)
    for one in _kept:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))


def _wait_for_calls() -> None:
    global _ending
    _ending = threading.get_ident()
    until = time.monotonic() + LONGEST_WAIT_S
    while _inside and time.monotonic() < until:
        time.sleep(0.001)


atexit.register(_wait_for_calls)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
