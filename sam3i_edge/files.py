"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also on a full disk or when two processes write it. Raises OSError.

    Others may read it, as far as the umask lets them. Into a pipe, or where a link such as /dev/stdout leads, the
    content goes as it comes.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)
        return
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, values: Any) -> None:
    """Write plain ``values`` as ``write_whole`` does; what is no text in UTF-8, such as some file names, is escaped."""
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "backslashreplace"))
