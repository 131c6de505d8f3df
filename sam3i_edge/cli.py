"""The command ``sam3i-edge``."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence

import sam3i_edge
from sam3i_edge.commands import (
    benchmark,
    build,
    data,
    demo,
    distill,
    doctor,
    evaluate,
    export,
    inspect,
    quantize,
    report,
    segment,
    targets,
    train,
    verify,
)
from sam3i_edge.errors import Sam3iEdgeError

COMMANDS = (
    demo,
    export,
    targets,
    build,
    verify,
    segment,
    inspect,
    doctor,
    data,
    train,
    distill,
    quantize,
    evaluate,
    benchmark,
    report,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted, 141 nobody read the output.
    """
    logging.basicConfig(format="sam3i-edge: %(message)s", level=logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    parser = _parser()
    parsed = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    _refuse_empty(parser, parsed)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        status = command(parsed)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it, such as head, has enough; what a gate had to say may be lost
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Sam3iEdgeError, OSError) as error:
        print(f"sam3i-edge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sam3i-edge: interrupted.", file=sys.stderr)
        return 130


def _refuse_empty(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """``--checkpoint "$UNSET"`` is no wish for the default. Texts and lists of names have words of their own for it."""
    for name, value in vars(parsed).items():
        if value == "" and name not in ("text", "stages", "for"):
            parser.error(f"{name.replace('_', '-')} is empty: leave it out, or give a value.")


def _joined(arguments: Sequence[str]) -> list[str]:
    """``--box=V`` for ``--box V``: argparse takes a box that begins with a minus for an option."""
    words = iter(arguments)
    return [f"{word}={next(words, '')}" if word in ("--box", "--negative-box") else word for word in words]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sam3i-edge", description="SAM3-I on the device at hand.")
    parser.add_argument("--version", action="version", version=f"sam3i-edge {sam3i_edge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
