"""Where this package keeps what it made for this device: compiled graphs, engines, verdicts."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs

from sam3i_edge.bundle import sha256_of
from sam3i_edge.files import write_whole

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("sam3i_edge")

VARIABLE = "SAM3I_EDGE_CACHE"


def cache_folder(name: str) -> Path | None:
    """A folder of that name in the user's cache, or in ``$SAM3I_EDGE_CACHE``; everything in it can be made anew.

    Returns:
        The folder, made if need be; None if the variable is empty, or with a warning if it cannot be written or the
        user has no home.
    """
    if os.environ.get(VARIABLE) == "":
        return None
    root = cache_root()
    if root is None:
        logger.warning(
            "There is no home folder for a cache: loading takes longer. Set %s to a folder, or to nothing.", VARIABLE
        )
        return None
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "no permission to write")
    except OSError as error:
        logger.warning(
            "The cache %s cannot be used (%s): loading takes longer. Set %s to another folder, or to nothing.",
            folder,
            error.strerror,
            VARIABLE,
        )
        return None
    return folder


def cache_root() -> Path | None:
    """``$SAM3I_EDGE_CACHE``, or this package's folder in the user's cache; None where neither says a place."""
    if own := os.environ.get(VARIABLE):
        return Path(own)
    if os.environ.get(VARIABLE) == "":
        return None
    try:
        found = platformdirs.user_cache_path("sam3i-edge")
    except RuntimeError:  # neither a variable nor the system knows the user's home, as in many containers
        return None
    return found if found.is_absolute() else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else, in this process or another, Python or C++, has ``folder``, made if need be, meanwhile.

    Where folders cannot be locked it does nothing.
    """
    with contextlib.ExitStack() as stack:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                handle = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def vouch_for(folder: Path, pattern: str) -> None:
    """Write the SHA-256 of every file that is newer than the one beside it, in ``NAME.sha256``, as C++ does."""
    for file in folder.glob(pattern):
        beside = _sum_of(file)
        with contextlib.suppress(OSError):  # then it is made anew the next time
            if not beside.is_file() or beside.stat().st_mtime_ns < file.stat().st_mtime_ns:
                write_whole(beside, _sha256(file).encode())


def drop_damaged(folder: Path, pattern: str) -> None:
    """Remove every file that is not as it was vouched for: a runtime would run what a bad disk made of it."""
    for file in folder.glob(pattern):
        beside = _sum_of(file)
        with contextlib.suppress(OSError):  # another process replaces it just now
            wanted = beside.read_text(encoding="ascii").strip() if beside.is_file() else None
            if wanted != _sha256(file):
                if wanted is not None:
                    logger.warning("The cached %s is damaged; it is made anew.", file)
                file.unlink()
                beside.unlink(missing_ok=True)


def _sha256(file: Path) -> str:
    found = file.stat()
    return _sha256_at(file, found.st_mtime_ns, found.st_size)


@cache
def _sha256_at(file: Path, mtime_ns: int, size: int) -> str:
    """Of a file as it is since then: the graphs of a bundle share a folder, and each would hash those of all."""
    return sha256_of(file)


def _sum_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")
