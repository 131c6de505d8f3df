"""The other side of ``worker``: starts a measured process, and asks it for one thing at a time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from sam3i_edge import errors, schema
from sam3i_edge.benchmarks.candidates import Candidate
from sam3i_edge.benchmarks.worker import ItemFile
from sam3i_edge.errors import BenchmarkError

GRACE_S = 10
WORKER = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
from sam3i_edge.benchmarks.worker import main
sys.exit(main())
"""
"""As ``python -m``, but files that happen to lie in the current folder are not taken for modules."""


class Process:
    """A worker with its candidate loaded.

    >>> with Process(candidate, items) as process:
    ...     process.ask("frame", turn=0)
    """

    def __init__(self, candidate: Candidate, items: Sequence[ItemFile]) -> None:
        """Start it and wait until the candidate is loaded. Raises what loading raises."""
        self.candidate = candidate
        self.started = time.monotonic()
        # A session of its own: Ctrl-C is for the one who asks, who still wants what was measured.
        self._child = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            self._send("open", {"candidate": schema.plain(candidate), "items": schema.plain(list(items))})
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to a request. Raises the worker's errors, and BenchmarkError if it failed or is gone."""
        return self._send(do, arguments)

    def close(self) -> None:
        """Let it end; kill it if it does not."""
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
        try:
            self._child.wait(0 if self._child.poll() is not None else GRACE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._child.kill()
        self.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    def _send(self, do: str, arguments: Any) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, "arguments": arguments}) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchmarkError(
                f"The process of {self.candidate.label} ended with status {self._child.wait()} (-9: out of memory, "
                f"perhaps) when asked for {do}. Leave it out, or measure it alone."
            )
        try:
            content = json.loads(line)
        except ValueError as error:
            raise BenchmarkError(
                f"The process of {self.candidate.label} printed {line[:80]!r} instead of JSON."
            ) from error
        if "error" not in content:
            return content["answer"]
        kind = getattr(errors, content["error"], None) if content["error"] else None
        if kind is None:
            raise BenchmarkError(f"The process of {self.candidate.label} failed in {do}:", *content["message"])
        raise kind(*content["message"])
