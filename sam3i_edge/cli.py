"""The command ``sam3i-edge``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Container, Sequence
from typing import Any, NoReturn

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
from sam3i_edge.commands.signals import stopped
from sam3i_edge.errors import Sam3iEdgeError, unknown_name
from sam3i_edge.terminal import NOBODY_READS, flushed, printable, set_up, show, show_error, write
from sam3i_edge.version import __version__

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
    _open_missing_streams()
    set_up()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    stopped.clear()
    try:
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        command: Callable[[argparse.Namespace], int] = parsed.command
        return flushed(command(parsed), _in_files(parsed))
    except BrokenPipeError:  # whoever read it, such as head, has enough; what a gate had to say may be lost
        return flushed(NOBODY_READS)
    except SystemExit as end:  # --help and --version print, too
        sys.exit(flushed(int(end.code or 0)))
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, Sam3iEdgeError | OSError | KeyboardInterrupt) and not stopped.is_set():
            raise
        return _failed(error)


def _failed(error: BaseException) -> int:
    flushed(1)
    if stopped.is_set() or isinstance(error, KeyboardInterrupt):
        show("sam3i-edge: interrupted.", error=True)
        return 130
    show_error(error)
    return 1


def _in_files(parsed: argparse.Namespace) -> bool:
    """Whether the command writes what it was asked for to files."""
    return bool(vars(parsed).get("output") or vars(parsed).get("in_files")) or isinstance(vars(parsed).get("json"), str)


def _open_missing_streams() -> None:
    """A service may have closed them: then ``sys.stdout`` is None, and the next file opened becomes standard output.

    To stdout nothing can be written then, so that what is printed is known to be lost.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free, which is this one
    for name, mode, how in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            stream = open(os.open(os.devnull, mode), how, encoding="utf-8")  # noqa: PTH123, SIM115  # open to the end
            setattr(sys, name, stream)


class Parser(argparse.ArgumentParser):
    """As argparse has it, but for what an argument, such as a file's name, does to a terminal."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and the usage."""
        super().error(printable(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Newer versions of argparse do not tell what could not be written."""
        write(message, error=file is not sys.stdout)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse does; of commands it names the closest."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            raise argparse.ArgumentError(
                None, unknown_name(str(action.metavar or "command").lower(), value, action.choices)
            )
        super()._check_value(action, value)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for; its ``command`` does it. Exits with status 2 and the usage, if that cannot be read."""
    parser = Parser(
        prog="sam3i-edge", description="SAM3-I on the device at hand: export a checkpoint as a bundle, and run it."
    )
    parser.add_argument("--version", action="version", version=f"sam3i-edge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(2, "\nsam3i-edge: error: name a command; sam3i-edge COMMAND --help tells of it.\n")
    words = _joined(arguments, commands.choices)
    parsed, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse_unknown(commands.choices[words[0]], parsed, unknown[0])
    _refuse_empty(parser, parsed)
    return parsed


def _refuse_unknown(command: argparse.ArgumentParser, parsed: argparse.Namespace, word: str) -> None:
    if word.startswith("-"):
        command.error(unknown_name("option", word, list(command._option_string_actions)))
    advice = " Put a text of several words in quotes." if hasattr(parsed, "text") else ""
    command.error(f"{word!r} is one argument too many.{advice}")


def _refuse_empty(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """``--checkpoint "$UNSET"`` is no wish for the default. Texts and lists of names have words of their own for it."""
    for name, value in vars(parsed).items():
        if value == "" and name not in ("text", "stages", "for"):
            parser.error(f"{name.replace('_', '-')} is empty: leave it out, or give a value.")


def _joined(arguments: Sequence[str], commands: Container[str]) -> list[str]:
    """Make one word of what argparse would take for two.

    A command beside another one, ``evaluate claims``; and ``--box=V``, as a box that begins with a minus looks like an
    option.
    """
    first = " ".join(arguments[:2])
    words = iter([first, *arguments[2:]] if first in commands else arguments)
    return [f"{word}={next(words, '')}" if word in ("--box", "--negative-box") else word for word in words]
