"""The teacher's pyramids of all images of a dataset, computed once: a folder of checked shards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from sam3i_edge.bundle import sha256_of
from sam3i_edge.data.samples import Sample
from sam3i_edge.errors import TrainingError
from sam3i_edge.files import remove_left_behind, write_json, write_whole
from sam3i_edge.model import Pyramid, Sam3i
from sam3i_edge.model.vision import normalize
from sam3i_edge.train.batches import model_image

ABOUT_FILE = "about.json"
FORMAT_VERSION = 1
SHARD_IMAGES = 64
BATCH = 8
LEVELS = ("fine", "middle", "coarse")
SHARD = re.compile(r"(\d{6})-([0-9a-f]{64})\.safetensors")
"""A shard's number and the SHA-256 of its content: one rename makes it part of the cache, or not."""

Progress = Callable[[int, int], None]
"""Called with the number of images that are there and of all."""


def identity(teacher: Path, samples: Sequence[Sample], image_size: int) -> dict[str, Any]:
    """What a cache is made from: the teacher's file, and every image's content in its order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(bytes.fromhex(sha256_of(sample.path)))
    return {
        "format_version": FORMAT_VERSION,
        "teacher": sha256_of(teacher),
        "data": digest.hexdigest(),
        "images": len(samples),
        "image_size": image_size,
    }


def fill(
    folder: Path,
    teacher: Sam3i,
    samples: Sequence[Sample],
    about: Mapping[str, Any],
    progress: Progress = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Compute what is missing of a cache. Killed at any moment, it goes on from the last whole shard.

    Args:
        folder: a new or empty folder, or a cache of the same teacher and data.
        teacher: on any device.
        samples: the dataset.
        about: its ``identity``.
        progress: called after every shard.
        stop: asked after every shard; True ends the filling, which a second one goes on with.

    Raises:
        TrainingError: the folder holds something else.
    """
    if (folder / ABOUT_FILE).is_file():
        _check(folder, about)
    elif folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder} is not empty and holds no feature cache. Give a new folder.")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / ABOUT_FILE, about)
    remove_left_behind(folder, "*.partial-*")
    found = _shards(folder)
    whole = {number for number, (file, digest) in found.items() if sha256_of(file) == digest}
    count = -(-len(samples) // SHARD_IMAGES)
    for number in range(count):
        if number not in whole:
            mine = samples[number * SHARD_IMAGES : (number + 1) * SHARD_IMAGES]
            content = safetensors.torch.save(_features(teacher, mine))
            if number in found:
                found[number][0].unlink(missing_ok=True)  # damaged
            write_whole(folder / f"{number:06d}-{hashlib.sha256(content).hexdigest()}.safetensors", content)
        progress(min((number + 1) * SHARD_IMAGES, len(samples)), len(samples))
        if stop():
            return


class FeatureCache:
    """A filled cache. Every shard's checksum is compared once, when it is first read."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Raises TrainingError if the cache is of another teacher or other data, or not whole."""
        _check(folder, about)
        self._shards = _shards(folder)
        self._open: dict[int, Any] = {}
        missing = set(range(-(-about["images"] // SHARD_IMAGES))) - set(self._shards)
        if missing:
            raise TrainingError(f"The feature cache {folder} lacks {len(missing)} shards. Fill it again: it goes on.")

    def __getitem__(self, index: int) -> Pyramid:
        """The pyramid of one image, float16, without a batch side: (D, 4g, 4g), (D, 2g, 2g), (D, g, g)."""
        number, row = divmod(index, SHARD_IMAGES)
        if number not in self._open:
            file, digest = self._shards[number]
            if sha256_of(file) != digest:
                raise TrainingError(f"{file} is damaged. Fill the cache again: it replaces what is.")
            self._open[number] = safe_open(file, "pt")
        fine, middle, coarse = (self._open[number].get_slice(level)[row] for level in LEVELS)
        return fine, middle, coarse

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}  # every process maps the files by itself


@torch.inference_mode()
def _features(teacher: Sam3i, samples: Sequence[Sample]) -> dict[str, Tensor]:
    levels: list[list[Tensor]] = []
    device = next(teacher.parameters()).device
    for start in range(0, len(samples), BATCH):
        images = [model_image(sample, teacher.config.image_size) for sample in samples[start : start + BATCH]]
        pixels = torch.stack([torch.from_numpy(image) for image in images]).to(device)
        levels.append([level.to("cpu", torch.float16) for level in teacher.encode_image(normalize(pixels))])
    return {name: torch.cat(parts).contiguous() for name, parts in zip(LEVELS, zip(*levels, strict=True), strict=True)}


def _check(folder: Path, about: Mapping[str, Any]) -> None:
    try:
        known = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError(f"{ABOUT_FILE} is damaged")
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(
            f"There is no feature cache in {folder}: {error}. Give a new folder to make one."
        ) from error
    changed = [key for key in {*about, *known} if about.get(key) != known.get(key)]
    if changed:
        raise TrainingError(
            f"The feature cache {folder} was made with other {', '.join(sorted(changed))}. Give a new folder, or "
            f"remove this one."
        )


def _shards(folder: Path) -> dict[int, tuple[Path, str]]:
    found = ((file, SHARD.fullmatch(file.name)) for file in folder.iterdir())
    return {int(name[1]): (file, name[2]) for file, name in found if name}
