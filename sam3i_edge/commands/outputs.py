"""Where commands write: asked before the work that it would be lost with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sam3i_edge import files
from sam3i_edge.errors import ConfigError


def check_output(file: str | None) -> None:
    """Nothing, if ``file`` can be written or is not given. Raises ConfigError otherwise."""
    if not file:
        return
    path = Path(file)
    if path.is_dir():
        raise ConfigError(f"Cannot write {path}: it is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"Cannot write {path}: no permission.")


def make_folder(folder: str) -> Path:
    """``folder``, made if need be. Raises ConfigError if it cannot be, or cannot be written to."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"Cannot write to {path}: it or its parent is a file. Name another folder.") from error
    except OSError as error:
        raise ConfigError(f"Cannot make the folder {path}: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write to {path}: no permission.")
    return path


def write_output(file: str | None, values: Any) -> None:
    """Write ``values``, where a file is named. JSON has no infinity and no NaN: they become null."""
    if file:
        files.write_json(Path(file), json.loads(json.dumps(values), parse_constant=lambda name: None))
