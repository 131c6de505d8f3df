"""Reading annotation files: what is wrong with one is named by file, place and field, then refused or skipped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3i_edge import text_files
from sam3i_edge.data.samples import Sample
from sam3i_edge.errors import DataError, unknown_name

ON_PROBLEM = ("refuse", "skip")
MAX_LISTED = 10


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an annotation file."""

    file: Path
    where: str
    """"annotation 12", "image 3", "line 4, column 7" or "" for the file as a whole."""
    field: str
    what: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.where, self.field) if part)
        return f"{self.file}: {place}: {self.what}" if place else f"{self.file}: {self.what}"


@dataclass(frozen=True)
class Loaded:
    """A dataset, and what had to be left out of it."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]


class Problems:
    """Collects the problems of one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, where: str, field: str, what: str) -> None:
        self.found.append(Problem(self.file, where, field, what))


def check_on_problem(on_problem: str) -> None:
    """Raise DataError unless ``on_problem`` is "refuse" or "skip"."""
    if on_problem not in ON_PROBLEM:
        raise DataError(unknown_name("on_problem", on_problem, ON_PROBLEM))


def settle(source: Path, samples: list[Sample], problems: list[Problem], on_problem: str) -> Loaded:
    """What was read, unless it is to be refused.

    Raises:
        DataError: there are problems and ``on_problem`` is "refuse"; or nothing usable is left.
    """
    if problems and (on_problem == "refuse" or not samples):
        shown = [f"  {problem}" for problem in problems[:MAX_LISTED]]
        shown += [f"  ... and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        advice = (
            "Correct the data" if not samples else "Correct the data, or leave what they touch out: --on-problem skip"
        )
        left = "" if samples else ", and nothing usable is left"
        raise DataError(f"{source} has {count}{left}:", *shown, f"{advice}.")
    if not samples:
        raise DataError(f"{source} holds no image with a text. Give annotations in the HMPL-Instruct or SA-Co layout.")
    return Loaded(tuple(samples), tuple(problems))


def read_json(file: Path, problems: Problems) -> Any:
    """The content of a JSON file, or None and a problem."""
    try:
        return text_files.read_json(file)
    except json.JSONDecodeError as error:
        problems.add(f"line {error.lineno}, column {error.colno}", "", f"broken JSON: {error.msg}.")
    except text_files.NotUtf8Error as error:
        problems.add(f"byte {error.start}", "", "the file is not UTF-8 text.")
    except (OSError, ValueError) as error:
        problems.add("", "", f"cannot be read: {getattr(error, 'strerror', None) or error}.")
    return None


def read_tables(file: Path, problems: Problems) -> tuple[list[Any], list[Any]]:
    """The lists ``images`` and ``annotations`` of a COCO-like file; empty, with a problem, where they are not there."""
    content = read_json(file, problems)
    if content is None:
        if not problems.found:  # the file says "null"
            problems.add("", "top level", "is null; expected an object with images and annotations.")
        return [], []
    if not isinstance(content, dict):
        problems.add("", "top level", f"is {json_type(content)}; expected an object with images and annotations.")
        return [], []
    for name in ("images", "annotations"):
        if name not in content:
            problems.add("", name, "is missing; expected a list of objects.")
        elif not isinstance(content[name], list):
            problems.add("", name, f"is {json_type(content[name])}; expected a list of objects.")
    if problems.found:
        return [], []
    return content["images"], content["annotations"]


def json_type(value: Any) -> str:
    """What JSON calls a ``value`` of this type, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def shown(value: Any) -> str:
    """``value``, shortened for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
