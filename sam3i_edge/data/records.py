"""The images and annotations of a COCO-like file, each checked on its own."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sam3i_edge.data.folder import Folder, NameRefusedError
from sam3i_edge.data.masks import MaskError, read_segmentation
from sam3i_edge.data.reading import Problems, json_type, shown
from sam3i_edge.data.samples import Instance
from sam3i_edge.errors import unknown_name
from sam3i_edge.image_files import MAX_PIXELS
from sam3i_edge.prompt import BOXES_ALONE
from sam3i_edge.text_cleaning import cleans_to, is_blank

LEVELS = {"concept": "concept", "simple_query": "simple", "complex_query": "complex"}
"""The keys of ``text_inst_input`` and the routes of their texts."""

PLAIN_TEXT = re.compile(r"[^&]*[A-Za-z0-9][^&]*")

T = TypeVar("T")

Text = tuple[str, str]
"""Route and text."""


@dataclass(frozen=True)
class ImageRecord:
    """One checked entry of ``images``."""

    id: int
    file_name: str
    width: int
    height: int


def read_images(
    listed: Iterable[tuple[int, Any]], folder: Folder, problems: Problems
) -> Iterator[tuple[ImageRecord, dict[str, Any]]]:
    """The usable entries of ``images``, given with their places in the list; a problem for every other one."""
    seen: set[int] = set()
    for index, values in listed:
        record = _read_image(values, index, folder, problems)
        if record is not None and record.id in seen:
            problems.add(f"image {record.id}", "id", "is that of an earlier image; ids must be unique.")
        elif record is not None:
            seen.add(record.id)
            yield record, values


def ids_of(listed: Iterable[Any]) -> set[int]:
    """The ids of all entries that have one, the usable and the others."""
    return {values["id"] for values in listed if isinstance(values, dict) and type(values.get("id")) is int}


def image_of(values: Any, index: int, images: Mapping[int, T], ids: Collection[int], problems: Problems) -> T | None:
    """What ``images`` has for one entry of ``annotations``; None if there is nothing, or the entry has no id.

    That is a problem, unless the image is among the ``ids`` of the file: it was named already, or is left out.
    """
    if place("annotation", values, index, problems) is None:
        return None
    image_id = values.get("image_id")
    if type(image_id) is int and image_id in images:
        return images[image_id]
    if type(image_id) is not int or image_id not in ids:
        said = f"is {shown(image_id)}; there is no such image." if "image_id" in values else "is missing."
        problems.add(f"annotation {values['id']}", "image_id", said)
    return None


def _read_image(values: Any, index: int, folder: Folder, problems: Problems) -> ImageRecord | None:
    """Check one entry of ``images``; None, with a problem, if it cannot be used."""
    where = place("image", values, index, problems)
    if where is None:
        return None
    name, width, height = (values.get(key) for key in ("file_name", "width", "height"))
    if not isinstance(name, str) or not name:
        problems.add(where, "file_name", "is missing." if name is None else f"is {shown(name)}; expected a name.")
        return None
    if "\0" in name or name.startswith(("/", "\\")) or ".." in name.split("/"):
        problems.add(where, "file_name", f"is {shown(name)}; expected a path below the image folder.")
        return None
    for field, side in (("width", width), ("height", height)):
        if type(side) is not int or side <= 0:
            said = "is missing" if side is None else f"is {shown(side)}"
            problems.add(where, field, f"{said}; expected a whole number of pixels.")
            return None
    if width * height > MAX_PIXELS:
        problems.add(where, "width", f"makes {width} x {height} pixels; at most {MAX_PIXELS} are read.")
        return None
    try:
        return ImageRecord(values["id"], folder.find(name), width, height)
    except NameRefusedError as error:
        problems.add(where, "file_name", str(error))
        return None


def read_instance(
    values: dict[str, Any], where: str, image: ImageRecord, problems: Problems, *, normalized: bool = False
) -> Instance | None:
    """Check one annotation's mask and box; None, with a problem, if it cannot be used.

    The instance's box is that of its mask. The written one (x, y, width, height, in pixels or ``normalized`` to the
    image) is checked all the same: where it is bad, the mask is not to be trusted.
    """
    if "segmentation" not in values:
        problems.add(where, "segmentation", "is missing.")
        return None
    try:
        rle, box = read_segmentation(values["segmentation"], image.width, image.height)
    except MaskError as error:
        problems.add(where, "segmentation", str(error))
        return None
    wrong = _box_problem(values["bbox"], image, normalized) if "bbox" in values else ""
    if wrong:
        problems.add(where, "bbox", wrong)
        return None
    return Instance(values["id"], rle, box)


def place(kind: str, values: Any, index: int, problems: Problems) -> str | None:
    """What messages call this record: "annotation 12". None, with a problem, if it is no object with an id."""
    if not isinstance(values, dict):
        problems.add(f"{kind}s[{index}]", "", f"is {json_type(values)}; expected an object.")
        return None
    if type(values.get("id")) is not int:
        said = f"is {shown(values['id'])}" if "id" in values else "is missing"
        problems.add(f"{kind}s[{index}]", "id", f"{said}; expected a whole number.")
        return None
    return f"{kind} {values['id']}"


def read_texts(values: dict[str, Any], where: str, problems: Problems) -> list[Text]:
    """The texts of an image or an annotation, each once; a problem for every one that is none."""
    found = values.get("text_inst_input")
    if found is None:
        return []
    if not isinstance(found, dict):
        problems.add(where, "text_inst_input", f"is {json_type(found)}; expected an object of lists of texts.")
        return []
    texts: dict[Text, None] = {}
    for key, listed in found.items():
        field = f"text_inst_input.{key}"
        if key not in LEVELS:
            problems.add(where, "text_inst_input", unknown_name("key", key, LEVELS))
        elif not isinstance(listed, list):
            problems.add(where, field, f"is {json_type(listed)}; expected a list of texts.")
        else:
            for i, text in enumerate(listed):
                if is_text(text, where, f"{field}[{i}]", problems):
                    texts[LEVELS[key], text] = None
    return list(texts)


def is_text(text: Any, where: str, field: str, problems: Problems) -> bool:
    """Whether ``text`` is a string that says something; if not, a problem."""
    if not isinstance(text, str):
        problems.add(where, field, f"is {shown(text)}; expected a text.")
        return False
    if not PLAIN_TEXT.fullmatch(text) and is_blank(text):  # the thorough look is slow, and rarely needed
        problems.add(where, field, "is an empty text.")
        return False
    is_plain = text.isascii() and "&" not in text
    if text.strip().lower() == BOXES_ALONE if is_plain else cleans_to(text, BOXES_ALONE):
        problems.add(where, field, f"is {BOXES_ALONE!r}, which asks for what boxes show; expected what to segment.")
        return False
    return True


def _box_problem(box: Any, image: ImageRecord, normalized: bool) -> str:
    expected = "expected [x, y, width, height] " + ("as fractions of the image." if normalized else "in pixels.")
    if not isinstance(box, list) or len(box) != 4:
        return f"is {shown(box)}; {expected}"
    if any(type(value) not in (int, float) or not math.isfinite(value) for value in box):
        return f"is {shown(box)}; {expected}"
    x, y, width, height = box
    right, bottom = (1, 1) if normalized else (image.width, image.height)
    slack = 0.01 if normalized else 1  # published boxes are rounded
    if width < 0 or height < 0 or min(x, y) < -slack or x + width > right + slack or y + height > bottom + slack:
        return f"is {shown(box)}, empty, inverted or outside an image of {image.width} x {image.height}; {expected}"
    return ""
