"""What the commands that train have in common."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sam3i_edge.errors import ConfigError

if TYPE_CHECKING:
    from sam3i_edge.data.reading import Loaded


def add_data(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The arguments that say what to learn from."""
    parser.add_argument("--data", required=required, metavar="DIR", help="a dataset's folder, or a folder of datasets")
    parser.add_argument(
        "--images", metavar="DIR", help="where the images lie; none: in images beside the annotations, or right there"
    )
    parser.add_argument("--on-problem", default="refuse", metavar="WHAT", help="refuse or skip bad data (%(default)s)")


def load_data(arguments: argparse.Namespace, split: str) -> Loaded:
    """The dataset; what was left out goes to stderr."""
    from sam3i_edge.data.hmpl import load_samples

    loaded = load_samples(arguments.data, split, images=arguments.images, on_problem=arguments.on_problem)
    for problem in loaded.problems:
        print(f"sam3i-edge: left out: {problem}", file=sys.stderr)
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
    import tomllib

    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r} is not of the form KEY=VALUE.")
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = value
    return values


def stop_after_this_step() -> list[int]:
    """Let Ctrl-C and SIGTERM end the run after the step at hand, with a checkpoint; a second one ends it at once."""
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        print("\nsam3i-edge: stopping after this step; once more to stop at once", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, receive)
    return received
