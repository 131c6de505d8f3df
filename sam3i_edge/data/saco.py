"""SA-Co files: (image, phrase) pairs, each an entry of ``images`` with its ``text_input``, and predictions for them.

A pair's annotations are all instances of its phrase; a pair without any is a phrase that means nothing in the image.
Boxes are fractions of the image.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge.data.masks import MaskError, read_segmentation
from sam3i_edge.data.reading import (
    Folder,
    Loaded,
    Problems,
    check_on_problem,
    json_type,
    read_json,
    read_tables,
    settle,
    shown,
)
from sam3i_edge.data.records import ImageRecord, is_text, place, read_image_record, read_instance
from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.errors import DataError

ROUTE = "concept"
"""SA-Co's phrases are short noun phrases."""


@dataclass
class _Pair:
    record: ImageRecord
    text: str
    instances: list[Instance] = field(default_factory=list)
    is_spoiled: bool = False
    """One of its annotations was left out: what is left would be wrong."""


@dataclass(frozen=True)
class Found:
    """One predicted instance."""

    rle: dict[str, Any]
    """Compressed run lengths at the image's size."""
    score: float


def load_saco(path: str | Path, *, images: str | Path | None = None, on_problem: str = "refuse") -> Loaded:
    """Load a ground-truth file of SA-Co. Pairs on the same image file become one sample with several texts.

    Pairs that are marked as not exhaustively annotated (``is_instance_exhaustive`` false or 0) are left out, as Meta's
    evaluator does.

    Args:
        path: the JSON file.
        images: the folder that ``file_name`` is relative to; None: as for ``load_samples``.
        on_problem: "refuse" or "skip"; see ``load_samples``. A pair with a bad annotation is left out whole.

    Raises:
        DataError: as ``load_samples``.
    """
    path = Path(path)
    check_on_problem(on_problem)
    beside = path.parent / "images"
    folder = Folder(Path(images) if images is not None else beside if beside.is_dir() else path.parent)
    problems = Problems(path)
    image_values, annotation_values = read_tables(path, problems)
    pairs = _read_pairs(image_values, folder, problems)
    left_out = {values["id"] for values in image_values if _has_id(values) and values["id"] not in pairs}
    seen: set[int] = set()
    for index, values in enumerate(annotation_values):
        _read_annotation(values, index, pairs, left_out, seen, problems)
    return settle(path, _samples(pairs, folder), problems.found, on_problem)


def is_saco(path: str | Path) -> bool:
    """Whether a JSON file's first image has a ``text_input``. Of a file that cannot be read: False."""
    content = read_json(Path(path), Problems(Path(path)))
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and bool(images) and isinstance(images[0], dict) and "text_input" in images[0]


def load_predictions(path: str | Path) -> dict[int, list[Found]]:
    """Read predictions in COCO's result format, by the id of their pair, best first.

    Raises:
        DataError: anything is wrong with any of them.
    """
    path = Path(path)
    problems = Problems(path)
    content = read_json(path, problems)
    if not isinstance(content, list):
        problems.add("", "top level", f"is {json_type(content)}; expected a list of predictions.")
        content = []
    found: dict[int, list[Found]] = defaultdict(list)
    for index, values in enumerate(content):
        prediction = _read_prediction(values, f"prediction {index}", problems)
        if prediction is not None:
            found[values["image_id"]].append(prediction)
    if problems.found:
        raise DataError("\n".join(str(problem) for problem in problems.found[:10]))
    return {pair: sorted(each, key=lambda one: -one.score) for pair, each in found.items()}


def _read_pairs(listed: list[Any], folder: Folder, problems: Problems) -> dict[int, _Pair]:
    pairs: dict[int, _Pair] = {}
    for index, values in enumerate(listed):
        if isinstance(values, dict) and not values.get("is_instance_exhaustive", True):
            continue
        record = read_image_record(values, index, folder, problems)
        if record is None:
            continue
        where = f"image {record.id}"
        if record.id in pairs:
            problems.add(where, "id", "is that of an earlier image; ids must be unique.")
        elif is_text(values.get("text_input"), where, "text_input", problems):
            pairs[record.id] = _Pair(record, values["text_input"])
    return pairs


def _read_annotation(
    values: Any, index: int, pairs: dict[int, _Pair], left_out: set[int], seen: set[int], problems: Problems
) -> None:
    where = place("annotation", values, index, problems)
    if where is None:
        return
    image_id = values.get("image_id") if type(values.get("image_id")) is int else None
    pair = pairs.get(image_id) if image_id is not None else None
    if pair is None:
        if image_id not in left_out:
            said = f"is {shown(values['image_id'])}; there is no such image." if "image_id" in values else "is missing."
            problems.add(where, "image_id", said)
        return
    if values["id"] in seen:
        problems.add(where, "id", "is that of an earlier annotation; ids must be unique.")
        pair.is_spoiled = True
        return
    seen.add(values["id"])
    if values.get("iscrowd"):
        return  # neither a target nor wrong to find, in Meta's evaluator; here not a target
    instance = read_instance(values, where, pair.record, problems, normalized=True)
    if instance is None:
        pair.is_spoiled = True
    else:
        pair.instances.append(instance)


def _samples(pairs: dict[int, _Pair], folder: Folder) -> list[Sample]:
    by_file: dict[tuple[str, int, int], list[_Pair]] = defaultdict(list)
    for pair in pairs.values():
        if not pair.is_spoiled:
            by_file[pair.record.file_name, pair.record.width, pair.record.height].append(pair)
    samples = []
    for (name, width, height), group in by_file.items():
        instances: list[Instance] = []
        queries = []
        for pair in group:
            first = len(instances)
            instances += pair.instances
            queries.append(Query(pair.text, ROUTE, tuple(range(first, len(instances)))))
        samples.append(Sample(group[0].record.id, folder.path / name, width, height, tuple(instances), tuple(queries)))
    return samples


def _read_prediction(values: Any, where: str, problems: Problems) -> Found | None:
    if not isinstance(values, dict):
        problems.add(where, "", f"is {json_type(values)}; expected an object.")
        return None
    score, segmentation = values.get("score"), values.get("segmentation")
    if type(values.get("image_id")) is not int:
        problems.add(where, "image_id", f"is {shown(values.get('image_id'))}; expected a whole number.")
    elif isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        problems.add(where, "score", f"is {shown(score)}; expected a number between 0 and 1.")
    else:
        size = segmentation.get("size") if isinstance(segmentation, dict) else None
        try:
            if not isinstance(size, list) or len(size) != 2 or any(type(side) is not int for side in size):
                raise MaskError("is no run-length mask with a size.")
            return Found(read_segmentation(segmentation, size[1], size[0])[0], float(score))
        except MaskError as error:
            problems.add(where, "segmentation", str(error))
    return None


def _has_id(values: Any) -> bool:
    return isinstance(values, dict) and type(values.get("id")) is int
