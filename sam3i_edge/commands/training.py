"""What the commands that train have in common."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sam3i_edge.commands.signals import on_signals
from sam3i_edge.errors import ConfigError
from sam3i_edge.terminal import show
from sam3i_edge.text_files import parse_toml

if TYPE_CHECKING:
    from sam3i_edge.data.reading import Loaded


AT_ONCE = 1.0

IMAGES_HELP = "where the images lie; none: in images beside the annotations, or right there"


def add_data(parser: argparse.ArgumentParser, about: str = "a dataset's folder, or a folder of datasets") -> None:
    """The arguments that say what to read."""
    parser.add_argument("--data", required=True, metavar="DIR", help=about)
    parser.add_argument("--images", metavar="DIR", help=IMAGES_HELP)
    parser.add_argument("--on-problem", default="refuse", metavar="WHAT", help="refuse or skip bad data (%(default)s)")


def load_data(arguments: argparse.Namespace, split: str, load: Callable[..., Loaded] | None = None) -> Loaded:
    """The dataset, as ``load_samples`` or another reader has it; what was left out goes to stderr."""
    from sam3i_edge.data.hmpl import load_samples

    loaded = (load or load_samples)(arguments.data, split, images=arguments.images, on_problem=arguments.on_problem)
    for problem in loaded.problems:
        show(f"sam3i-edge: left out: {problem}", error=True)
    return loaded


@contextmanager
def processes() -> Iterator[None]:
    """Leave the group of processes in the end: its threads could abort a process that ends before them."""
    from accelerate import PartialState

    try:
        yield
    finally:
        if PartialState._shared_state:  # or there was no time to join one
            PartialState().destroy_process_group()


def overrides(pairs: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs, the values as TOML has them; bare words are strings. Raises ConfigError."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r} is not of the form KEY=VALUE.")
        try:
            values[key] = parse_toml(f"value = {value}")["value"]
        except ValueError:
            values[key] = value
    return values


def stop_after_this_step() -> list[int]:
    """Let Ctrl-C, SIGTERM and a lost terminal end the run after the step at hand, with a checkpoint.

    A later signal ends it at once. One within ``AT_ONCE`` seconds is the same request: ``timeout`` and launchers send
    it to the process and to its group. Under ``nohup`` a lost terminal is none of its business.
    """
    received: list[int] = []
    first = 0.0

    def receive(number: int, _: object) -> None:
        nonlocal first
        if received:
            if time.monotonic() - first > AT_ONCE:
                raise KeyboardInterrupt
            return
        received.append(number)
        first = time.monotonic()
        _say_at_once("\nsam3i-edge: stopping after this step; once more to stop at once\n")

    on_signals(receive, hangup=True)
    return received


def _say_at_once(text: str) -> None:
    """Within a handler of signals a stream may be in the middle of a write, and the terminal may be gone."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr:
            os.write(sys.stderr.fileno(), text.encode())
