"""The HMPL-Instruct layout: COCO-like files whose annotations, or images, carry texts of three levels.

``<set>/sam3i_<split>.json`` holds ``images`` and ``annotations``. A text on an annotation means that annotation, and
with it every other annotation of the image that carries the same text on the same level. A text on an image means all
annotations of the image that carry no texts of their own; where there are none, it means nothing in this image.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge.data.folder import Folder
from sam3i_edge.data.reading import Loaded, Problem, Problems, check_on_problem, read_tables, settle, shown
from sam3i_edge.data.records import ImageRecord, Text, ids_of, image_of, read_images, read_instance, read_texts
from sam3i_edge.data.samples import Instance, Query, Sample
from sam3i_edge.errors import DataError, unknown_name

COCO_2014 = ("RefCOCO", "RefCOCOplus", "RefCOCOg", "gRefCOCO", "Ref-ZOM")
COCO_2017 = ("HMPL-Instruct_1to1", "HMPL-Instruct_1toN", "HMPL-Instruct_1toAll", "MMR")
IMAGE_GROUPS = dict.fromkeys(COCO_2014, "coco2014") | dict.fromkeys(COCO_2017, "coco2017")
"""The image folder that a set shares with others."""

SETS = (*COCO_2014, *COCO_2017, "ReasonSeg", "Tabletop-Instruct")

Images = str | Path | Mapping[str, str | Path] | None


def load_samples(path: str | Path, split: str, *, images: Images = None, on_problem: str = "refuse") -> Loaded:
    """Load a dataset of the HMPL-Instruct layout. Image files are looked for, but not opened.

    Args:
        path: a folder with ``sam3i_<split>.json``; or a folder of such folders, named as the published sets
            (``SETS``), of which those that have this split are loaded; or one such JSON file.
        split: "train", "val", ...; not looked at when ``path`` is a file.
        images: where the images lie. None: ``images`` beside the JSON file, if there is such a folder, else the
            file's own. A folder: its sub-folder named as the set or as the set's group (``IMAGE_GROUPS``), if there is
            one, else itself. A mapping from set names, or groups, to folders; sets left out of it as with None.
        on_problem: "refuse" raises if anything is wrong with the data; "skip" leaves out what is wrong and lists it
            in ``problems``. With a skipped annotation go all texts of the image that (also) meant it, since what is
            left of their targets would be wrong. Crowds (``iscrowd``) are left out in any case, as in the published
            training.

    Raises:
        DataError: there is no such file, split or set; the data has problems and they are refused; or nothing is left.
    """
    path = Path(path)
    check_on_problem(on_problem)
    if isinstance(images, Mapping):
        for name in images:
            if name not in SETS and name not in IMAGE_GROUPS.values():
                raise DataError(unknown_name("dataset", name, (*SETS, *sorted(set(IMAGE_GROUPS.values())))))
    samples: list[Sample] = []
    problems: list[Problem] = []
    for file in annotation_files(path, split):
        found, wrong = _read_file(file, Folder(image_folder(file, images), file.parent))
        samples += found
        problems += wrong
    return settle(path, samples, problems, on_problem)


def annotation_files(path: Path, split: str) -> list[Path]:
    """The annotation files that ``load_samples`` reads. Raises DataError if there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        known = {name.lower(): name for name in SETS if name != path.name and path.parent.is_dir()}
        close = difflib.get_close_matches(path.name.lower(), known, n=1, cutoff=0.7)
        hint = f"Did you mean {known[close[0]]!r}?" if close else "Give a dataset's folder or file."
        raise DataError(f"There is no folder or file {path}. {hint}")
    name = f"sam3i_{split}.json"
    if (path / name).is_file():
        return [path / name]
    sets = sorted(folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob("sam3i_*.json")))
    for folder in sets:
        if folder.name not in SETS:
            raise DataError(f"{folder}: {unknown_name('dataset', folder.name, SETS)}")
    files = [folder / name for folder in sets if (folder / name).is_file()]
    if not files:
        there = sorted(
            {file.stem.removeprefix("sam3i_") for file in (*path.glob("sam3i_*.json"), *path.glob("*/sam3i_*.json"))}
        )
        hint = unknown_name("split", split, there) if there else f"Its sub-folders may be: {', '.join(SETS)}."
        raise DataError(f"{path} holds no {name}, nor does a dataset's folder in it. {hint}")
    return files


def image_folder(file: Path, images: Images) -> Path:
    """The folder that the ``file_name`` entries of an annotation file are relative to. See ``load_samples``."""
    name = file.parent.name
    group = IMAGE_GROUPS.get(name, name)
    if isinstance(images, Mapping):
        chosen = images.get(name, images.get(group))
        if chosen is None and len(images) == 1 and name not in SETS:
            chosen = next(iter(images.values()))
        if chosen is not None:
            return Path(chosen)
    elif images is not None:
        below = [Path(images) / name, Path(images) / group]
        return next((folder for folder in below if folder.is_dir()), Path(images))
    beside = file.parent / "images"
    return beside if beside.is_dir() else file.parent


@dataclass
class _Image:
    """What was found of one image while its file is read."""

    record: ImageRecord
    own_texts: list[Text]
    """Texts on the image itself."""
    instances: list[Instance] = field(default_factory=list)
    means: dict[Text, list[int]] = field(default_factory=dict)
    """The texts on annotations, with the indices of those that carry them."""
    textless: list[int] = field(default_factory=list)
    spoiled: set[Text] = field(default_factory=set)
    """Texts that meant an annotation which was left out."""
    own_spoiled: bool = False


def _read_file(file: Path, folder: Folder) -> tuple[list[Sample], list[Problem]]:
    problems = Problems(file)
    image_values, annotation_values = read_tables(file, problems)
    images = {
        record.id: _Image(record, read_texts(values, f"image {record.id}", problems))
        for record, values in read_images(enumerate(image_values), folder, problems)
    }
    ids = ids_of(image_values)
    seen: dict[int, Any] = {}
    for index, values in enumerate(annotation_values):
        _read_annotation(values, index, images, ids, seen, problems)
    samples = []
    for image in images.values():
        queries = _queries(image)
        if not (image.own_texts or image.instances or image.spoiled or image.own_spoiled):
            problems.add(f"image {image.record.id}", "text_inst_input", "there is no text, nor an annotation with one.")
        if queries:
            record, instances = image.record, tuple(image.instances)
            path = folder.path / record.file_name
            samples.append(Sample(record.id, path, record.width, record.height, instances, queries))
    return samples, problems.found


def _read_annotation(
    values: Any, index: int, images: dict[int, _Image], ids: set[int], seen: dict[int, Any], problems: Problems
) -> None:
    image = image_of(values, index, images, ids, problems)
    if image is None:
        return
    where = f"annotation {values['id']}"
    if values == seen.get(values["id"]):
        problems.add(where, "id", "is that of an earlier annotation, all the same: it is written twice.")
        return
    before = len(problems.found)
    texts = read_texts(values, where, problems)
    bad_texts = len(problems.found) > before
    instance = _read_instance(values, where, image, values["id"] in seen, problems)
    seen.setdefault(values["id"], values)
    if instance is None or (bad_texts and not texts):
        _spoil(image, texts)
    elif texts or image.own_texts:
        for text in texts:
            image.means.setdefault(text, []).append(len(image.instances))
        if not texts:
            image.textless.append(len(image.instances))
        image.instances.append(instance)
    else:
        problems.add(where, "text_inst_input", "there is no text, neither here nor on the image.")
        _spoil(image, texts)


def _read_instance(
    values: dict[str, Any], where: str, image: _Image, is_repeated: bool, problems: Problems
) -> Instance | None:
    is_crowd = values.get("iscrowd", 0)
    if is_repeated:
        problems.add(where, "id", "is that of an earlier annotation; ids must be unique.")
    elif is_crowd not in (0, 1):
        problems.add(where, "iscrowd", f"is {shown(is_crowd)}; expected 0 or 1.")
    elif not is_crowd:
        return read_instance(values, where, image.record, problems)
    return None


def _spoil(image: _Image, texts: list[Text]) -> None:
    image.spoiled.update(texts)
    image.own_spoiled |= not texts


def _queries(image: _Image) -> tuple[Query, ...]:
    """All texts of the image whose targets are complete."""
    means = {text: set(targets) for text, targets in image.means.items() if text not in image.spoiled}
    if not image.own_spoiled:
        for text in image.own_texts:
            if text not in image.spoiled:
                means.setdefault(text, set()).update(image.textless)
    return tuple(Query(text, route, tuple(sorted(targets))) for (route, text), targets in means.items())
