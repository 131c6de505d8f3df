"""Text files in, and the JSON and TOML in them, whoever wrote them.

An editor under Windows begins UTF-8 with a byte order mark, which is no part of the text.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 31
"""2 GiB, as of image files."""

OTHER_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
MAX_DIGITS = 19
"""Of a whole number; those of 64 bits have no more."""


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, a device, or larger than ``MAX_BYTES``; the message begins with "it".
    """
    with Path(path).open("rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):  # pipes end, as devices may not
            raise ValueError("it is a device, not a file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return decode(content)


def decode(content: bytes) -> str:
    """Text as ``read_text`` has it, from the bytes of a file. Raises ValueError, its message as there."""
    for mark, name in OTHER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"it is {name} text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8Error(error.start) from error


class NotUtf8Error(ValueError):
    """Content that is not UTF-8.

    Attributes:
        start: its first byte that is not.
    """

    def __init__(self, start: int) -> None:
        super().__init__(f"it is not UTF-8 text (byte {start}); save it as UTF-8")
        self.start = start


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. Raises as ``read_text`` and ``parse_json``."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """The values of JSON; a whole number of more than ``MAX_DIGITS`` digits is a float, infinite if it must be.

    Raises:
        json.JSONDecodeError: it is broken, and where.
        ValueError: it nests too deep.
    """
    try:
        return json.loads(text, parse_int=_number)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file. Raises as ``read_text`` and ``parse_toml``."""
    return parse_toml(read_text(path))


def parse_toml(text: str) -> dict[str, Any]:
    """The values of TOML. Raises ValueError for what is broken, and where, or nests too deep."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # of Python's own limit, 4,300 digits
        raise ValueError("it holds a whole number of thousands of digits") from error


def _number(digits: str) -> int | float:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else float(digits)
