"""Where commands write: asked before the work that it would be lost with. The rules are in docs/output.md."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sam3i_edge import files
from sam3i_edge.errors import ConfigError
from sam3i_edge.terminal import json_text


def add_force(parser: argparse.ArgumentParser) -> None:
    """The argument that lets a command replace what exists."""
    parser.add_argument("--force", action="store_true", help="replace an output that exists")


def check_output(file: str | None, force: bool = False) -> None:
    """Nothing, if ``file`` can be written and does not exist, may be replaced, or is not given. Raises ConfigError."""
    if not file:
        return
    path = Path(file)
    if path.is_dir():
        raise ConfigError(f"Cannot write {path}: it is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"Cannot write {path}: no permission.")
    if path.is_file() and not force and not _is_stream(path):
        raise ConfigError(f"{path} exists. Name another file, or replace it with --force.")


def _is_stream(path: Path) -> bool:
    """/dev/stdout and the like, also where a shell has sent them to a file."""
    return path.parent in (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


@contextmanager
def output_folder(folder: str, force: bool | None = None) -> Iterator[Path]:
    """``folder``, made if need be; if it and its parents stay empty, those that were made go again.

    ``force``: whether it may hold something; None: it may not, and the command has no ``--force``.

    Raises:
        ConfigError: it holds something that may not be replaced, cannot be made, or cannot be written to.
    """
    path = Path(folder)
    made = [one for one in (path, *path.parents) if not one.exists()]
    try:
        _make_folder(path)
        if any(path.iterdir()) and not force:
            advice = "." if force is None else ", or replace what is of the same name: --force."
            raise ConfigError(f"{path} is not empty. Name a new folder{advice}")
        yield path
    finally:
        with suppress(OSError):  # not empty: the result is there
            for one in made:
                one.rmdir()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"Cannot write to {path}: it or its parent is a file. Name another folder.") from error
    except OSError as error:
        raise ConfigError(f"Cannot make the folder {path}: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write to {path}: no permission.")


def write_output(file: str | None, values: Any) -> None:
    """Write ``values``, where a file is named. JSON has no infinity and no NaN: they become null."""
    if not file:
        return
    plain = json.loads(json.dumps(values), parse_constant=lambda name: None)
    if _is_stream(Path(file)):
        files.write_whole(Path(file), f"{json_text(plain, indent=1)}\n".encode())
    else:
        files.write_json(Path(file), plain)
