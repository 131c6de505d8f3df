"""Scenes, pictures and texts by the thousand: parallel, resumable, and the same for the same arguments."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from sam3i_edge.data.tabletop.facts import SceneFacts
from sam3i_edge.data.tabletop.holdout import check_split
from sam3i_edge.data.tabletop.render import Renderer, load_mujoco, renderer
from sam3i_edge.data.tabletop.rotations import Array
from sam3i_edge.data.tabletop.texts import Text, describe
from sam3i_edge.data.tabletop.visibility import observed_scene
from sam3i_edge.errors import DataError
from sam3i_edge.files import remove_left_behind, write_json, write_whole

VERSION = 2
"""Of the generator: another version makes other scenes of the same seed."""
SHARD = 25
"""Scenes that are written at a time; an interrupted run loses at most one shard of each worker."""
QUALITY = 95
MIN_SIZE, MAX_SIZE = 64, 512
FIELDS = {"concept": "concept", "simple": "simple_query", "complex": "complex_query"}
"""Where the layout keeps the texts of each route."""

Progress = Callable[[int, int], None]
"""Called with the scenes done and the scenes in all."""


@dataclass(frozen=True)
class GenerateJob:
    """What one run makes. Stored beside the unfinished shards and in the finished file."""

    split: str
    count: int
    seed: int
    size: int
    generator: str = "Tabletop-Instruct"
    version: int = VERSION

    def __post_init__(self) -> None:
        check_split(self.split)
        if not 1 <= self.count <= 999_999:
            raise DataError(f"count is {self.count}; it must be between 1 and 999999.")
        if not 0 <= self.seed < 1 << 63:
            raise DataError(f"seed is {self.seed}; it must be between 0 and 2**63 - 1.")
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise DataError(f"size is {self.size}; it must be between {MIN_SIZE} and {MAX_SIZE} pixels.")


def generate(
    output: str | Path,
    split: str,
    count: int,
    seed: int,
    size: int = 224,
    workers: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write ``count`` scenes: ``images/<split>/000001.jpg`` … and ``sam3i_<split>.json`` in the HMPL-Instruct layout.

    The same split, seed, index and size give the same scene, whatever the count and the number of workers. A run that
    was interrupted continues when it is called again with the same arguments.

    Args:
        output: folder; other splits may be in it already.
        split: ``train``, ``val`` or ``compose``, which alone shows the held-out combinations of kind and colour.
        count: number of scenes, up to 999,999.
        seed: another seed, other scenes.
        size: side of the square pictures, pixels.
        workers: processes; 0: one for each core.
        progress: called after each shard.

    Returns:
        The annotation file.

    Raises:
        DataError: an argument is out of range, or the folder holds this split made with other arguments.
        RuntimeUnavailableError: MuJoCo or EGL is missing.
    """
    job = GenerateJob(split, count, seed, size)
    if workers < 0:
        raise DataError(f"workers is {workers}; it must be 0 (one for each core) or more.")
    load_mujoco()
    folder = Path(output)
    file, shards = folder / f"sam3i_{split}.json", folder / f".tabletop_{split}"
    if file.exists():
        _check_same(job, _read(file).get("info"), file)
        shutil.rmtree(shards, ignore_errors=True)
        return file
    (folder / "images" / split).mkdir(parents=True, exist_ok=True)
    shards.mkdir(exist_ok=True)
    stored = shards / "job.json"
    if stored.exists():
        _check_same(job, _read(stored), stored)
    remove_left_behind(folder, f"{file.name}.partial-*")
    write_json(stored, asdict(job))
    _make_shards(job, folder, shards, workers or os.cpu_count() or 1, progress)
    write_whole(file, json.dumps(_joined(job, shards), ensure_ascii=False).encode())
    shutil.rmtree(shards)
    return file


def _check_same(job: GenerateJob, found: Any, file: Path) -> None:
    if found != asdict(job):
        raise DataError(
            f"{file} was made with other arguments: {found}, and not {asdict(job)}. "
            f"Choose another folder, or remove this file and {file.parent.name}/… of the split {job.split!r}."
        )


def _make_shards(job: GenerateJob, folder: Path, shards: Path, workers: int, progress: Progress | None) -> None:
    starts = range(0, job.count, SHARD)
    missing = [start for start in starts if not _shard(shards, start).exists()]
    done = sum(min(SHARD, job.count - start) for start in starts) - sum(
        min(SHARD, job.count - start) for start in missing
    )
    for start in _run(job, folder, shards, missing, min(workers, len(missing))):
        done += min(SHARD, job.count - start)
        if progress:
            progress(done, job.count)


def _run(job: GenerateJob, folder: Path, shards: Path, starts: list[int], workers: int) -> Iterator[int]:
    """Make the shards, here or in ``workers`` processes; yields each one's start when it is done."""
    if workers <= 1:
        for start in starts:
            yield make_shard(job, folder, shards, start)
        return
    # Spawned, not forked: an OpenGL context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        futures = [pool.submit(make_shard, job, folder, shards, start) for start in starts]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            f"A process that renders was killed: memory may have run out. What is done is kept: run the command again, "
            f"with fewer than {workers} --workers."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it does, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def watch() -> None:
            multiprocessing.connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def make_shard(job: GenerateJob, folder: Path, shards: Path, start: int) -> int:
    """Make the scenes from index ``start`` on: their pictures, and one JSON line for each. Returns ``start``."""
    lines = []
    for index in range(start, min(start + SHARD, job.count)):
        picture, record = make_scene(job, index, renderer())
        path = folder / "images" / record["image"]["file_name"]
        Image.fromarray(picture).save(path, quality=QUALITY, subsampling=0)
        lines.append(json.dumps(record, ensure_ascii=False))
    write_whole(_shard(shards, start), "\n".join(lines).encode())
    return start


def make_scene(job: GenerateJob, index: int, with_renderer: Renderer) -> tuple[Array, dict[str, Any]]:
    """One scene: its picture (size, size, 3) uint8, and its image and annotations as plain values."""
    rng = np.random.default_rng([job.seed, zlib.crc32(job.split.encode()), index])
    scene, facts, indices = observed_scene(rng, job.split, with_renderer, job.size)
    texts = describe(facts, job.split, rng)
    # In the layout, a text of the image means the annotations without one of their own: so each must have one.
    while {index for text in texts for index in text.targets} != set(range(len(facts.things))):
        scene, facts, indices = observed_scene(rng, job.split, with_renderer, job.size)
        texts = describe(facts, job.split, rng)
    picture = with_renderer.picture(scene, job.size)
    name = f"{job.split}/{index + 1:06}.jpg"
    image: dict[str, Any] = {"id": index + 1, "file_name": name, "height": job.size, "width": job.size}
    nothing = _by_field(text for text in texts if not text.targets)
    if nothing:
        image["text_inst_input"] = nothing
    return picture, {"image": image, "annotations": _annotations(facts, indices, texts, index + 1)}


def _annotations(facts: SceneFacts, indices: Array, texts: list[Text], image_id: int) -> list[dict[str, Any]]:
    masks = np.asfortranarray(indices[..., None] == np.arange(len(facts.things))).astype(np.uint8, order="F")
    annotations = []
    for index, (thing, rle) in enumerate(zip(facts.things, coco_mask.encode(masks), strict=True)):
        x0, y0, x1, y1 = thing.box
        annotations.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "iscrowd": 0,
                "area": thing.area,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                "text_inst_input": _by_field(text for text in texts if index in text.targets),
                "attributes": {name: getattr(thing, name) for name in ("kind", "colour", "material", "pattern")},
            }
        )
    return annotations


def _by_field(texts: Iterator[Text]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for text in texts:
        fields.setdefault(FIELDS[text.route], []).append(text.text)
    return fields


def _joined(job: GenerateJob, shards: Path) -> dict[str, Any]:
    images: list[Any] = []
    annotations: list[Any] = []
    for start in range(0, job.count, SHARD):
        for record in _records(_shard(shards, start)):
            images.append(record["image"])
            for annotation in record["annotations"]:
                annotations.append({"id": len(annotations) + 1, **annotation})
    categories = [{"id": 1, "name": "object"}]
    return {"info": asdict(job), "images": images, "annotations": annotations, "categories": categories}


def _shard(shards: Path, start: int) -> Path:
    return shards / f"{start:06}.jsonl"


def _records(shard: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in shard.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shard} is damaged ({error}). Remove it, and run the command again.") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {error}. Remove it, or choose another folder.") from error
    if not isinstance(values, dict):
        raise DataError(f"{file} is not a JSON object. Remove it, or choose another folder.")
    return values
