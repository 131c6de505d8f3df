"""SA-Co files: (image, phrase) pairs, each an entry of ``images`` with its ``text_input``.

A pair's annotations are all instances of its phrase; a pair without any is a phrase that means nothing in the image.
Boxes are fractions of the image.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge.data.folder import Folder
from sam3i_edge.data.hmpl import image_folder, load_samples
from sam3i_edge.data.reading import (
    Loaded,
    Problems,
    check_on_problem,
    read_json,
    read_tables,
    settle,
)
from sam3i_edge.data.records import ImageRecord, ids_of, image_of, is_text, read_images, read_instance
from sam3i_edge.data.samples import Instance, Query, Sample

ROUTE = "concept"
"""SA-Co's phrases are short noun phrases."""


@dataclass
class _Pair:
    record: ImageRecord
    text: str
    instances: list[Instance] = field(default_factory=list)
    is_spoiled: bool = False
    """One of its annotations was left out: what is left would be wrong."""


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
    folder = Folder(Path(images) if images is not None else image_folder(path, None), path.parent)
    problems = Problems(path)
    image_values, annotation_values = read_tables(path, problems)
    pairs = _read_pairs(image_values, folder, problems)
    ids = ids_of(image_values)
    seen: set[int] = set()
    for index, values in enumerate(annotation_values):
        _read_annotation(values, index, pairs, ids, seen, problems)
    return settle(path, _samples(pairs, folder), problems.found, on_problem)


def load_dataset(
    path: str | Path, split: str, *, images: str | Path | None = None, on_problem: str = "refuse"
) -> Loaded:
    """``load_saco`` for a file of SA-Co, ``load_samples`` for all else."""
    if Path(path).is_file() and is_saco(path):
        return load_saco(path, images=images, on_problem=on_problem)
    return load_samples(path, split, images=images, on_problem=on_problem)


def is_saco(path: str | Path) -> bool:
    """Whether a JSON file's first image has a ``text_input``. Of a file that cannot be read: False."""
    content = read_json(Path(path), Problems(Path(path)))
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and bool(images) and isinstance(images[0], dict) and "text_input" in images[0]


def _read_pairs(listed: list[Any], folder: Folder, problems: Problems) -> dict[int, _Pair]:
    exhaustive = (
        (index, values)
        for index, values in enumerate(listed)
        if not isinstance(values, dict) or values.get("is_instance_exhaustive", True)
    )
    return {
        record.id: _Pair(record, values["text_input"])
        for record, values in read_images(exhaustive, folder, problems)
        if is_text(values.get("text_input"), f"image {record.id}", "text_input", problems)
    }


def _read_annotation(
    values: Any, index: int, pairs: dict[int, _Pair], ids: set[int], seen: set[int], problems: Problems
) -> None:
    pair = image_of(values, index, pairs, ids, problems)
    if pair is None:
        return
    where = f"annotation {values['id']}"
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
