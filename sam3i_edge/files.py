"""Files and folders that are whole or not there, and what a kill left of them."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

if sys.platform != "win32":
    import fcntl


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: on a full disk, when two processes write it, or when the power goes.

    Others may read it, as far as the umask lets them. Into a pipe, or where a link such as /dev/stdout leads, the
    content goes as it comes.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)
        return
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with _open_locked(partial) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        _sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _open_locked(partial: Path) -> BinaryIO:
    while True:
        file = partial.open("wb")
        _lock(file.fileno())
        if partial.exists():  # another process may have taken it for left behind before it was locked
            return file
        file.close()


@contextlib.contextmanager
def partial_folder(output: Path) -> Iterator[Path]:
    """A new folder beside ``output``, for what is to become it; it is removed in the end, if it is still there.

    Folders of the same output whose process was killed are removed first. Raises OSError.
    """
    prefix = f".{output.name}.partial-"
    remove_left_behind(output.parent, f"{glob.escape(prefix)}*")
    with contextlib.ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=output.parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if sys.platform == "win32":
                break
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            _lock(handle)
            if folder.is_dir():  # as above
                break
        yield folder


def remove_left_behind(folder: Path, pattern: str) -> None:
    """Remove the partial files and folders of a kill. What a living process writes it has locked: that stays.

    Where nothing can be locked, nothing is removed.
    """
    for left in folder.glob(pattern) if sys.platform != "win32" else ():
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:  # OSError: locked, or of another user
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def sync_folder(folder: Path) -> None:
    """See that all files in a folder are on the disk, before its new name is. Raises OSError."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
            raise
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Until it is closed, or the process ends in whatever way; where the file system has no locks, not at all."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)


def write_json(path: Path, values: Any) -> None:
    """Write plain ``values`` as ``write_whole`` does; what is no text in UTF-8, such as some file names, is escaped."""
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "backslashreplace"))
