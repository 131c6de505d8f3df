"""Calibration data: pictures and prompts of all three routes, streamed to the graphs one picture at a time."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam3i_edge import demo_model
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.samples import Query, Sample, spread
from sam3i_edge.errors import DataError, PromptError
from sam3i_edge.image import read_image
from sam3i_edge.prompt import ROUTES, Box, Prompt
from sam3i_edge.text_files import read_text

logger = logging.getLogger("sam3i_edge")

PROMPTS_FILE = "prompts.txt"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MOST_IMAGES = 32
PROMPTS_PER_ROUTE = 3
"""Of each picture."""
FEW_IMAGES = 16
"""Fewer images are warned about."""
BOXED = 4
"""Every so many prompts with a target come with its box, so that the geometry encoder sees some."""
SEED = 0


@dataclass(frozen=True)
class CalibrationItem:
    """One picture and what is asked of it."""

    path: Path
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True)
class CalibrationData:
    """What quantization looks at: its ranges and its corrections come from here and nowhere else."""

    name: str
    asked: tuple[CalibrationItem, ...]
    samples: tuple[Sample, ...] = ()
    """The same pictures with what their texts mean, where that is known: then accuracy can be measured."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, tuple[Prompt, ...]]]:
        """Each picture, (H, W, 3) uint8 RGB, with its prompts; one picture is held at a time."""
        for item in self.asked:
            yield read_image(item.path), item.prompts

    def __len__(self) -> int:
        return len(self.asked)

    def counts(self) -> dict[str, int]:
        """Prompts by route."""
        count = Counter(prompt.route for item in self.asked for prompt in item.prompts)
        return {route: count[route] for route in ROUTES}

    def sha256(self) -> str:
        """Of all pictures and prompts, in order."""
        digest = hashlib.sha256()
        for item in self.asked:
            digest.update(hashlib.sha256(item.path.read_bytes()).digest())
            for prompt in item.prompts:
                digest.update(repr((prompt.route, prompt.text, prompt.boxes)).encode())
        return digest.hexdigest()


def load_calibration(path: str | Path | None) -> CalibrationData:
    """Read calibration data, of which ``MOST_IMAGES`` pictures are used, spread evenly.

    Args:
        path: a dataset of the HMPL-Instruct layout (its ``train`` split); or a folder of pictures with a
            ``prompts.txt``, a line ``route: text`` for each prompt, three of each route asked of each picture, in turn.
            None: the six demo scenes.

    Raises:
        DataError: there is nothing to be read, or a route has no prompt.
        ImageError: a picture is unreadable.
        RuntimeUnavailableError: the demo scenes are not installed.
    """
    if path is None:
        scenes = demo_model.require(demo_model.SCENES, "give calibration data of your own")
        data = _from_samples("the demo scenes", load_samples(scenes, "demo").samples)
    elif (Path(path) / PROMPTS_FILE).is_file():
        data = _from_folder(Path(path))
    elif _pictures(Path(path)) and not any(Path(path).glob("*.json")):
        raise DataError(
            f"{path} holds pictures but no {PROMPTS_FILE}. Write one, a line ROUTE: TEXT for each prompt, such as "
            f"'concept: mug'; every route ({', '.join(ROUTES)}) needs some."
        )
    else:
        data = _from_samples(str(path), load_samples(path, "train").samples)
    for item in data.asked:
        read_image(item.path)  # an unreadable one is named before hours of work
    return _checked(data)


def _checked(data: CalibrationData) -> CalibrationData:
    if not data.asked:
        raise DataError(f"The calibration data {data.name} is empty: give a dataset, or pictures and {PROMPTS_FILE}.")
    missing = [route for route, count in data.counts().items() if not count]
    if missing:
        raise DataError(
            f"The calibration data {data.name} has no prompt on {' and '.join(missing)}; every route has weights of "
            f"its own, so each needs some."
        )
    if len(data) < FEW_IMAGES:
        logger.warning(
            "Only %d calibration images in %s: ranges may be too narrow. Some %d of your own camera are better.",
            len(data),
            data.name,
            MOST_IMAGES,
        )
    return data


def _from_samples(name: str, samples: tuple[Sample, ...]) -> CalibrationData:
    rng = np.random.default_rng(SEED)
    chosen = spread([sample for sample in samples if sample.queries], MOST_IMAGES)
    asked = tuple(CalibrationItem(sample.path, _prompts_of(sample, rng)) for sample in chosen)
    return CalibrationData(name, asked, tuple(chosen))


def _prompts_of(sample: Sample, rng: np.random.Generator) -> tuple[Prompt, ...]:
    """As many prompts of each route as there are, up to ``PROMPTS_PER_ROUTE``; some with a box."""
    prompts = []
    for query in some_queries(sample, PROMPTS_PER_ROUTE, rng):
        boxes = []
        if query.targets and rng.integers(BOXED) == 0:
            boxes = [Box(*sample.instances[query.targets[0]].box)]
        prompts.append(Prompt(query.text, query.route, boxes))
    return tuple(prompts)


def some_queries(sample: Sample, per_route: int, rng: np.random.Generator) -> Iterator[Query]:
    """At most ``per_route`` of a sample's texts of each route, drawn by ``rng``."""
    for route in ROUTES:
        queries = [query for query in sample.queries if query.route == route]
        for i in sorted(rng.permutation(len(queries))[:per_route]):
            yield queries[i]


def _pictures(folder: Path) -> list[Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in IMAGE_SUFFIXES)


def _from_folder(folder: Path) -> CalibrationData:
    prompts = tuple(_read_prompts(folder / PROMPTS_FILE))
    by_route = [[prompt for prompt in prompts if prompt.route == route] for route in ROUTES]
    asked = []
    for turn, picture in enumerate(spread(_pictures(folder), MOST_IMAGES)):
        asked.append(CalibrationItem(picture, tuple(prompt for some in by_route for prompt in _in_turn(some, turn))))
    return CalibrationData(str(folder), tuple(asked))


def _in_turn(prompts: list[Prompt], turn: int) -> list[Prompt]:
    """The next ``PROMPTS_PER_ROUTE``, from the beginning again at the end; none twice."""
    first = turn * PROMPTS_PER_ROUTE % max(len(prompts), 1)
    return (prompts[first:] + prompts[:first])[:PROMPTS_PER_ROUTE]


def _read_prompts(file: Path) -> Iterator[Prompt]:
    try:
        lines = read_text(file).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {file}: {getattr(error, 'strerror', None) or error}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        route, colon, text = line.partition(":")
        if not colon or route.strip() not in ROUTES or not text.strip():
            raise DataError(
                f"{file}, line {number}: {line!r} is not of the form ROUTE: TEXT with a route of {', '.join(ROUTES)}."
            )
        try:
            yield Prompt(text.strip(), route.strip())
        except PromptError as error:
            raise DataError(f"{file}, line {number}: {error}") from error
