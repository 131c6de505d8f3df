"""Text for the terminal. All output of the commands goes through here.

What a file says, its name included, is text to be shown: it must not move the cursor, set colours or the clipboard,
begin a line of its own, or turn the direction of what stands beside it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
import traceback
import unicodedata
import warnings
from types import TracebackType
from typing import Any, TextIO

from sam3i_edge.errors import Sam3iEdgeError

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what acts instead of being seen: control and format characters, lone surrogates, breaks."""

NOBODY_READS = 141
"""As of a program that SIGPIPE ends."""

_lost: list[OSError] = []  # why something on stdout was not written, as C's ferror tells it


def printable(value: object) -> str:
    r"""``value`` as one line of text, in which characters that act rather than show stand as Python's escapes.

    >>> printable("red\x1b[2J\nmug")
    'red\\x1b[2J\\nmug'
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in UNSEEN else c for c in text)


def show(*lines: object, error: bool = False) -> None:
    """Print each of ``lines`` as one line, to stdout or as an ``error`` to stderr; see ``write``."""
    write("".join(f"{printable(line)}\n" for line in lines), error=error)


def write(text: str, error: bool = False) -> None:
    """Print ``text``, which nothing in it may spoil, to stdout or, of an ``error``, to stderr; nowhere if it is closed.

    What cannot be written is lost, and the work goes on; ``flushed`` tells of what stdout lost.

    Raises:
        BrokenPipeError: nobody reads stdout any more.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:
        return
    try:
        stream.write(text)
        if error:
            stream.flush()
    except OSError as problem:
        _discard(stream)
        if error:
            return
        _lost.append(problem)
        if isinstance(problem, BrokenPipeError):
            raise


def flushed(status: int, in_files: bool = False) -> int:
    """The exit status, when all is printed: ``status``, if it has arrived.

    Args:
        status: of the command.
        in_files: what it was asked for is in files, so that nothing is lost with a stdout that was closed on purpose.

    Returns:
        Or 141 if nobody reads it any more, and else at least 1, with the reason on stderr.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as problem:
        _discard(sys.stdout)
        _lost.append(problem)
    problems = _lost.copy()
    _lost.clear()
    if not problems or (in_files and problems[0].errno == errno.EBADF):
        return status
    if any(isinstance(problem, BrokenPipeError) for problem in problems):
        return NOBODY_READS
    show(f"sam3i-edge: The output could not be written: {problems[0].strerror}.", error=True)
    return status or 1


def _discard(stream: TextIO) -> None:
    """Or the end of the process fails with what is still buffered."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def json_text(values: Any, indent: int | None = None) -> str:
    """``values`` as JSON, in ASCII: what acts stands as escapes, which JSON has of its own."""
    return json.dumps(values, indent=indent).replace("\x7f", "\\u007f")


def show_json(values: Any, indent: int | None = None) -> None:
    """Print ``values`` as JSON."""
    show(*json_text(values, indent).split("\n"))


def show_error(error: BaseException) -> None:
    """Print to stderr what an exception says. Those of this package have a line in each argument."""
    first, *others = error.args if isinstance(error, Sam3iEdgeError) and error.args else [str(error)]
    show(f"sam3i-edge: {first}", *others, error=True)


class LogFormatter(logging.Formatter):
    """Log records as lines of the terminal; those of a traceback, too."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The record without its traceback."""
        return printable(f"sam3i-edge: {record.message}")

    def formatException(self, ei: object) -> str:  # noqa: N802
        """The traceback."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(map(printable, text.split("\n")))


def set_up() -> None:
    """Show as text what comes around the commands, too: logged and other warnings, and the traceback of a fault.

    Logging stays as it is where it was set up before.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    warnings.formatwarning = _warning
    sys.excepthook = _traceback


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"{printable(f'sam3i-edge: {filename}:{lineno}: {category.__name__}: {message}')}\n"


def _traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    show(*"".join(traceback.format_exception(kind, error, trace)).rstrip("\n").split("\n"), error=True)
