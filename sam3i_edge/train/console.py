"""Where a run prints to: it may be gone before the run is, with the terminal or with ``tee`` on Ctrl-C."""

from __future__ import annotations

import contextlib
from typing import Any, TextIO


class Unbroken:
    """A text stream, or none, to which nothing is written once that fails: the run goes on, its log has it all."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Returns the length of ``text``, as streams do."""
        with contextlib.suppress(OSError, ValueError):
            if self._stream:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As far as there is somebody to read it."""
        with contextlib.suppress(OSError, ValueError):
            if self._stream:
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
