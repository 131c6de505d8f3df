"""Writes what the C++ tests replay: inputs, and what the Python side makes of them.

    python -m tests.runtimes.cpp.golden FOLDER [BUNDLE ...]

A file is JSON, or the bare bytes of an array whose shape the JSON tells.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from sam3i_edge import Box, Instances, Prompt, Segmenter, demo_model
from sam3i_edge.bundle import sha256_of
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.samples import read_sample
from sam3i_edge.errors import Sam3iEdgeError, unknown_name
from sam3i_edge.manifest import TOKENIZER_FILE, read_manifest
from sam3i_edge.postprocessing import without_duplicates
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier
from sam3i_edge.schema import plain
from sam3i_edge.tokenizer import Tokenizer
from tests.conftest import CASES, DATA, instances_of
from tests.damages import DAMAGES
from tests.odd_texts import lines, long_texts

SIZES = [(1, 1), (1, 7), (5, 1), (2, 3), (16, 16), (17, 31), (224, 224), (224, 100), (300, 224), (333, 517), (640, 480)]
LARGE = [(1920, 1080), (1080, 1920), (20000, 40), (7, 3001), (448, 673), (448, 672)]
SIDES = [1, 3, 37, 224, 256, 1008]
NMS = 0.5


def main(arguments: Sequence[str]) -> None:
    """Write everything: texts, pictures, words; the answers of every bundle given."""
    folder = Path(arguments[0]).resolve()  # messages name it, and C++ runs elsewhere
    bundles = [Path(name) for name in arguments[1:]]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "words.json", words(folder))
    write_json(folder / "resize.json", resized(folder))
    write_json(folder / "masks.json", rle_cases(folder))
    write_json(folder / "duplicates.json", duplicates(folder))
    for bundle in bundles:
        target = folder / bundle.name
        target.mkdir(exist_ok=True)
        write_json(target / "texts.json", texts(bundle))
        write_json(target / "answers.json", answers(bundle, target))
        distinct = target / "distinct"
        distinct.mkdir(exist_ok=True)
        write_json(distinct / "answers.json", answers(bundle, distinct, nms=NMS, most=2))
        write_json(target / "refusals.json", refusals(bundle, target))
    write_json(folder / "bundles.json", [{"name": path.name, "path": str(path.resolve())} for path in bundles])


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_array(folder: Path, name: str, values: np.ndarray) -> dict[str, Any]:
    np.ascontiguousarray(values).tofile(folder / name)
    return {"file": name, "shape": list(values.shape)}


def words(folder: Path) -> dict[str, Any]:
    """Small things: hashes, numbers as text, names that are near."""
    numbers = [0.0, 1.0, -2.5, 80.0, 0.1, 1e-4, 1e-5, 123456789.125, 1e15, 1e16, 1.5e300, 2**53 + 0.0, 1 / 3]
    names = ["simpel", "concep", "", "x", "COMPLEX", "auto ", "complex" * 30, "it's", 'a "b"', "tab\there", "ünïcode"]
    contents = ["", "abc", "a" * 55, "b" * 56, "c" * 63, "d" * 64, "e" * 65, "f" * 100_000]
    hashes = []
    for i, content in enumerate(contents):
        (folder / f"hash{i}").write_text(content)
        hashes.append(sha256_of(folder / f"hash{i}"))
    return {
        "numbers": [[number, repr(number)] for number in numbers],
        "names": [[name, unknown_name("route", name, (*ROUTES, "auto"))] for name in names],
        "hashes": hashes,
        "tensors": tensors(folder),
    }


def tensors(folder: Path) -> dict[str, Any]:
    """A file of safetensors, by its own library, and what it holds; but for one of a type that no bundle has."""
    rng = np.random.default_rng(2)
    arrays = {
        "few": np.arange(6, dtype=np.int32).reshape(2, 3) - 3,
        "one": np.array(1.5, np.float32),
        "none": np.zeros((0, 4), np.float32),
        "flags": rng.random((5, 7)) > 0.5,
        "noise": rng.integers(0, 256, 7000).astype(np.uint8),
    }
    save_file({**arrays, "double": np.zeros(3)}, folder / "tensors.safetensors")
    return {
        name: {"shape": list(a.shape), "values": a.reshape(-1).astype(float).tolist()} for name, a in arrays.items()
    }


def resized(folder: Path) -> list[dict[str, Any]]:
    """Pillow's answers, from noise and from a picture with edges, to sides of all kinds."""
    rng = np.random.default_rng(0)
    cases = []
    for width, height in SIZES + LARGE:
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if (width, height) == SIZES[-1]:
            noise = np.where(noise > 127, 255, 0).astype(np.uint8)  # edges: nothing may overflow
        name = f"resize_{width}x{height}"
        image = write_array(folder, f"{name}.raw", noise)
        for side in SIDES if (width, height) in SIZES else (224,):
            pixels = Image.fromarray(noise).resize((side, side), Image.Resampling.BILINEAR)
            cases.append(
                {"image": image, "side": side, "pixels": write_array(folder, f"{name}_{side}.raw", np.asarray(pixels))}
            )
    return cases


def rle_cases(folder: Path) -> list[dict[str, Any]]:
    """Masks of all kinds with the run lengths that pycocotools makes of them."""
    rng = np.random.default_rng(1)
    masks = [np.zeros((5, 7), bool), np.ones((5, 7), bool), rng.random((33, 65)) > 0.5, np.eye(40, 90, dtype=bool)]
    disc = np.hypot(*np.ogrid[-200:200, -300:300]) < 150
    cases = []
    sizes = rng.integers(1, 70, (60, 2))
    random_ones = [rng.random(size) < share for size, share in zip(sizes, rng.random(60) ** 2, strict=True)]
    for i, mask in enumerate([*masks, disc, *random_ones]):
        none = np.zeros((1, 4), np.float32)
        (found,) = instances_of(mask[None], none, np.ones(1), Prompt("mug")).rle()
        values = {"counts": found["counts"], "area": int(mask.sum())}
        cases.append(values | {"mask": write_array(folder, f"mask{i}.raw", mask)})
    return cases


def duplicates(folder: Path) -> list[dict[str, Any]]:
    """Logits of masks that overlap, and what is left of them."""
    rng = np.random.default_rng(3)
    cases = []
    for count, side in [(1, 1), (20, 5), (40, 16), (24, 64), (3, 288)]:
        rows, columns = np.ogrid[:side, :side]
        centres, radii = rng.integers(0, side, (count, 2)), rng.random(count) * side
        far = [np.hypot(rows - y, columns - x) for y, x in centres // (side // 4 + 1) * (side // 4 + 1)]
        masks = (radii[:, None, None] - np.stack(far)).astype(np.float32)
        masks[::7] = -1  # nothing is inside
        kept = [[nms, without_duplicates(masks, nms).tolist()] for nms in (0.05, 0.3, 0.5, 2 / 3, 0.9, 1)]
        cases.append({"masks": write_array(folder, f"overlaps{side}.raw", masks), "kept": kept})
    return cases


def texts(bundle: Path) -> dict[str, Any]:
    """Token ids and routes. What ftfy's repair of mojibake changes is left out: the C++ side has no such repair."""
    tokenizer = Tokenizer.from_file(bundle / TOKENIZER_FILE, read_manifest(bundle).runtime.model.context_length)
    classifier = RouteClassifier.load(bundle / "route.json")
    recorded = [line["text"] for line in json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))]
    asked = [query.text for sample in load_samples(demo_model.SCENES, "demo").samples for query in sample.queries]
    natural = json.loads((DATA / "route/natural.json").read_text(encoding="utf-8"))
    asked += [text for group in natural.values() for text in group] if isinstance(natural, dict) else []
    kept, repaired = [], 0
    for text in [*recorded, *asked, *lines(8000), *long_texts(1500).values()]:
        if ftfy.fix_text(text) != ftfy.fix_text(text, fix_encoding=False):
            repaired += 1
            continue
        ids = tokenizer.encode(text)
        kept.append({"text": text, "ids": ids.tolist(), "route": classifier.route(ids)})
    return {"lines": kept, "left_out": repaired}


def prompt_sets(width: int, height: int, asked: Sequence[Prompt]) -> list[list[Prompt]]:
    """What an image is asked: each text alone would take long, so in batches of all kinds."""
    box = Box(width * 0.2, height * 0.25, width * 0.7, height * 0.8)
    small = Box(0, 0, width * 0.3, height * 0.3)
    first = asked[0].text
    boxed = [
        Prompt(first, "concept", [box]),
        Prompt(first, "simple", [box, small], [Box(width * 0.5, height * 0.5, width, height)]),
        Prompt("visual", "complex", [], [small]),
    ]
    automatic = [Prompt(prompt.text) for prompt in asked]
    every_route = [Prompt(first, route) for route in ROUTES]
    many = [Prompt(f"{first} {number}", ROUTES[number % 3]) for number in range(19)]  # more than one call takes
    return [list(asked), boxed, automatic, every_route, many, [asked[-1]]]


def answers(bundle: Path, folder: Path, nms: float = 1, most: int | None = None) -> list[dict[str, Any]]:
    """All instances of every prompt, whatever they score, on scenes or on the recorded images: ``most`` of them."""
    written = []
    with Segmenter.load(bundle, threshold=0.0, nms=nms) as segmenter:
        for name, image, sets in islice(pictures(bundle), most):
            frame = segmenter.encode(image)
            case = {"image": write_array(folder, f"{name}.raw", image), "sets": []}
            for number, prompts in enumerate(sets):
                pairs = enumerate(zip(prompts, frame.segment(prompts), strict=True))
                case["sets"].append([answer(folder, f"{name}_{number}_{i}", *pair) for i, pair in pairs])
            written.append(case)
    return written


def pictures(bundle: Path) -> Iterable[tuple[str, np.ndarray, list[list[Prompt]]]]:
    if read_manifest(bundle).provenance["source"]["checkpoint"].startswith("tabletop"):
        for number, sample in enumerate(load_samples(demo_model.SCENES, "demo").samples):
            image = read_sample(sample)
            asked = [Prompt(query.text, query.route) for query in sample.queries]
            sets = prompt_sets(image.shape[1], image.shape[0], asked)
            yield f"scene{number}", image, sets if number < 2 else sets[:3]
    else:
        images = {case.image_name: case.image for case in CASES}
        for name, image in images.items():
            yield name, image, [[case.prompt for case in CASES if case.image_name == name]]


def answer(folder: Path, name: str, prompt: Prompt, found: Instances) -> dict[str, Any]:
    masks = write_array(folder, f"{name}.raw", np.packbits(found.masks, axis=-1))
    values = {"route": found.route, "scores": found.scores.tolist(), "boxes": found.boxes.tolist(), "masks": masks}
    return {"prompt": plain(prompt), **values}


def refusals(bundle: Path, folder: Path) -> list[dict[str, Any]]:
    """Damaged copies of the bundle, and Python's words for them."""
    cases = []
    for number, damage in enumerate(damage for damages in DAMAGES.values() for damage in damages):
        copy = folder / f"bad{number}"
        shutil.rmtree(copy, ignore_errors=True)
        copy.unlink(missing_ok=True)
        shutil.copytree(bundle, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
        damage(copy)
        try:
            Segmenter.load(copy)
        except Sam3iEdgeError as error:
            cases.append({"path": str(copy.resolve()), "error": type(error).__name__, "message": str(error)})
        else:
            raise AssertionError(f"damage {number} was not noticed")
    return cases


if __name__ == "__main__":
    main(sys.argv[1:])
