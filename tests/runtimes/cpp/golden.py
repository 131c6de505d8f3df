"""Writes what the C++ tests replay: inputs, and what the Python side makes of them.

    python -m tests.runtimes.cpp.golden FOLDER [BUNDLE ...]

A file is JSON, or the bare bytes of an array whose shape the JSON tells.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
from PIL import Image

from sam3i_edge import Box, Instances, Prompt, Segmenter, shipped
from sam3i_edge.bundle import TOKENIZER_FILE, open_bundle, read_manifest, sha256_of
from sam3i_edge.compare import ANSWER_TOLERANCES, LOSS_DB, TOLERANCES
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.samples import read_sample
from sam3i_edge.errors import Sam3iEdgeError, unknown_name
from sam3i_edge.export.clip_tokenizer import make_tokenizer_file
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier
from sam3i_edge.schema import plain
from sam3i_edge.tokenizer import Tokenizer
from tests.conftest import BAD_MERGES, CASES, DATA

SIZES = [(1, 1), (1, 7), (5, 1), (2, 3), (16, 16), (17, 31), (224, 224), (224, 100), (300, 224), (333, 517), (640, 480)]
LARGE = [(1920, 1080), (1080, 1920), (20000, 40), (7, 3001), (448, 673), (448, 672)]
SIDES = [1, 3, 37, 224, 256, 1008]


def main(arguments: Sequence[str]) -> None:
    """Write everything: texts, pictures, words; the answers of every bundle given."""
    folder = Path(arguments[0]).resolve()  # messages name it, and C++ runs elsewhere
    bundles = [Path(name) for name in arguments[1:]]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "words.json", words(folder))
    write_json(folder / "resize.json", resized(folder))
    write_json(folder / "masks.json", rle_cases(folder))
    for bundle in bundles:
        target = folder / bundle.name
        target.mkdir(exist_ok=True)
        write_json(target / "texts.json", texts(bundle))
        write_json(target / "answers.json", answers(bundle, target))
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
        "tolerances": tolerances(),
        "archives": archives(folder),
        "refused_archives": refused_archives(folder),
    }


def tolerances() -> dict[str, Any]:
    """What ``verify`` allows, by precision."""
    return {
        precision: vars(TOLERANCES[precision]) | vars(answer) | {"loss_db": LOSS_DB.get(precision)}
        for precision, answer in ANSWER_TOLERANCES.items()
    }


def archives(folder: Path) -> list[dict[str, Any]]:
    """NumPy archives: stored, and compressed so that zlib takes its fixed code, its own codes, and stored blocks."""
    rng = np.random.default_rng(2)
    arrays = {
        "few": np.arange(6, dtype=np.int32).reshape(2, 3) - 3,
        "one": np.float32(1.5).reshape(()),
        "none": np.zeros((0, 4), np.float32),
        "steps": np.repeat(np.arange(200, dtype=np.uint8), 40).reshape(80, 100),
        "words": (rng.integers(0, 9, 4000) ** 2).astype(np.int32),
        "noise": rng.integers(0, 256, 70_000).astype(np.uint8),
    }
    about = {name: {"shape": list(a.shape), "values": a.reshape(-1).tolist()} for name, a in arrays.items()}
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "compressed.npz", **arrays)
    return [{"file": f"{name}.npz", "arrays": about} for name in ("stored", "compressed")]


def refused_archives(folder: Path) -> list[str]:
    """Arrays of kinds that no bundle has."""
    kinds = {"double": np.zeros(3), "columns": np.asfortranarray(np.eye(3, 4, dtype=np.float32)), "text": np.array("a")}
    for name, array in kinds.items():
        np.savez(folder / f"{name}.npz", a=array)
    return [f"{name}.npz" for name in kinds]


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
    for i, mask in enumerate([*masks, disc]):
        none = np.zeros((1, 4), np.float32)
        found = Instances(mask[None], none, np.ones(1, np.float32), "concept").to_dict()["instances"][0]
        values = {"counts": found["segmentation"]["counts"], "area": int(mask.sum())}
        cases.append(values | {"mask": write_array(folder, f"mask{i}.raw", mask)})
    return cases


WORDS_IN_ONE = (
    "red~mug~the~left of~don't~it's~we'll~I'M~GRÜN~ΣΊΣΥΦΟΣ~ὈΔΥΣΣΕΎΣ~İSTANBUL~ﬁne~日本語の~コップ~ﾊﾝｶｸ~"
    "ＦＵＬＬ\u3000ＷＩＤＴＨ~한국어~한글~हिन्दी~ไทย~العربية~עברית~Việt~кружка~Ελληνικά~ქართული~አማርኛ~தமிழ்~e\u0301~"
    "a\u0323\u0302~\u1100\u1161\u11a8~👨\u200d👩\u200d👧~🇩🇪~👍🏽~&amp;~&lt;b&gt;~&amp;amp;lt;~&eacute;~"
    "&EACUTE;~&notit~&#39;~&#x2019;~&#128;~&#xD800;~&#0;~&#99999999;~&hellip~&SZLIG;~<b>~<start_of_text>~"
    "<END_OF_TEXT>~<|endoftext|>~“quoted”~it’s~1234~½~٣~Ⅷ~②~_~--~...~!~!!~'ſ~ſ~K~\x1b[31mred\x1b[0m~"
    "\ufeff~\x00~\x85~\u2028~\xa0~\t~\n~\r\n~\u3000~\u200b~\u0345~ǆ~Ǆungla~𝐀~\U000e0041~\ufffd"
)
WORDS = WORDS_IN_ONE.split("~")
RANGES = [
    (0x20, 0x7F),
    (0xA0, 0x250),
    (0x250, 0x600),
    (0x600, 0xE00),
    (0xE00, 0x3000),
    (0x3000, 0xA000),
    (0xA000, 0xD7FF),
]
RANGES += [(0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x323AF), (0xE0000, 0xE01F0), (0x0, 0x20), (0x7F, 0xA0)]


def lines(count: int) -> Iterable[str]:
    """Texts of every script with entities, special tokens, emoji and control characters, some very long."""
    rng = random.Random(0)
    for number in range(count):
        parts = [
            rng.choice(WORDS) if rng.random() < 0.7 else chr(rng.randrange(*rng.choice(RANGES)))
            for _ in range(rng.randrange(1, 12))
        ]
        yield rng.choice(["", " "]).join(parts) * (200 if number % 500 == 499 else 1)


def texts(bundle: Path) -> dict[str, Any]:
    """Token ids and routes. What ftfy's repair of mojibake changes is left out: the C++ side has no such repair."""
    tokenizer = Tokenizer.from_file(bundle / TOKENIZER_FILE, read_manifest(bundle).model.text.context_length)
    classifier = RouteClassifier.load(bundle / "route.json")
    recorded = [line["text"] for line in json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))]
    asked = [query.text for sample in load_samples(shipped.SCENES, "demo").samples for query in sample.queries]
    natural = json.loads((DATA / "route/natural.json").read_text(encoding="utf-8"))
    asked += [text for group in natural.values() for text in group] if isinstance(natural, dict) else []
    kept, repaired = [], 0
    for text in [*recorded, *asked, *lines(8000)]:
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


def answers(bundle: Path, folder: Path) -> list[dict[str, Any]]:
    """All instances of every prompt, whatever they score, on scenes or on the recorded images."""
    written = []
    with Segmenter.load(bundle, threshold=0.0) as segmenter:
        for name, image, sets in pictures(bundle):
            frame = segmenter.encode(image)
            case = {"image": write_array(folder, f"{name}.raw", image), "sets": []}
            for number, prompts in enumerate(sets):
                pairs = enumerate(zip(prompts, frame.segment(prompts), strict=True))
                case["sets"].append([answer(folder, f"{name}_{number}_{i}", *pair) for i, pair in pairs])
            written.append(case)
    return written


def pictures(bundle: Path) -> Iterable[tuple[str, np.ndarray, list[list[Prompt]]]]:
    if open_bundle(bundle).manifest.source.checkpoint.startswith("tabletop"):
        for number, sample in enumerate(load_samples(shipped.SCENES, "demo").samples):
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
    for number, damage in enumerate(damages()):
        copy = folder / f"bad{number}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(bundle, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
        damage(copy)
        try:
            Segmenter.load(copy)
        except Sam3iEdgeError as error:
            cases.append({"path": str(copy.resolve()), "error": type(error).__name__, "message": str(error)})
        else:
            raise AssertionError(f"damage {number} was not noticed")
    return cases


def replace(path: Path, content: bytes) -> None:
    """Write a file anew: the old one is a link to the bundle's own."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        content = json.loads((copy / "manifest.json").read_text(encoding="utf-8")) | changes
        replace(copy / "manifest.json", json.dumps(content).encode())

    return change


def edit_part(part: str, **changes: Any) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        content = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
        edit(**{part: content[part] | changes})(copy)

    return change


def rehashed(name: str, content: bytes) -> Callable[[Path], None]:
    """Make the manifest agree with the file, as one who tampers on purpose would."""

    def change(copy: Path) -> None:
        replace(copy / name, content)
        files = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["files"]
        edit(files=files | {name: {"sha256": sha256_of(copy / name), "bytes": len(content)}})(copy)

    return change


def spoiled(position: int) -> bytes:
    """A compressed tokenizer with one byte changed."""
    content = bytearray(make_tokenizer_file())
    content[position] ^= 1
    return bytes(content)


def damages() -> list[Callable[[Path], None]]:
    """Ways to spoil a bundle."""

    def flip(copy: Path) -> None:
        content = bytearray((copy / "graphs/text.onnx").read_bytes())
        content[len(content) // 2] ^= 1
        replace(copy / "graphs/text.onnx", bytes(content))

    def link(copy: Path) -> None:
        outside = copy.parent / "outside.json"
        replace(outside, (copy / TOKENIZER_FILE).read_bytes())
        (copy / TOKENIZER_FILE).unlink()
        (copy / TOKENIZER_FILE).symlink_to(outside.resolve())

    def forget(copy: Path) -> None:
        files = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["files"]
        edit(files={name: record for name, record in files.items() if name != "graphs/text.onnx"})(copy)

    def side(size: int) -> Callable[[Path], None]:
        """A size in place of the free side of the text graph's tokens."""

        def change(copy: Path) -> None:
            graphs = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["graphs"]
            graphs["text"]["inputs"][0]["shape"][0] = size
            edit(graphs=graphs)(copy)

        return change

    def engine(count: int = 1, **changes: Any) -> Callable[[Path], None]:
        """An engine of the text graph, and something wrong with it."""
        good = {"graph": "text", "file": "engines/text.engine", "compute_capabilities": ["8.9"], "built_by": "TensorRT"}
        return edit(tensorrt={"checked_by": "", "engines": [good | changes] * count})

    def outside(name: str) -> Callable[[Path], None]:
        return edit_part("files", **{name: {"sha256": "0", "bytes": 1}})

    return [
        lambda copy: (copy / "graphs/text.onnx").unlink(),
        lambda copy: replace(copy / "graphs/text.onnx", (copy / "graphs/text.onnx").read_bytes()[:-1]),
        lambda copy: (copy / "graphs/evil.onnx").write_bytes(b"x"),
        lambda copy: (copy / "link").symlink_to("golden"),
        lambda copy: shutil.rmtree(copy),
        lambda copy: (copy / "manifest.json").unlink(),
        lambda copy: replace(copy / "manifest.json", b"{"),
        lambda copy: replace(copy / "manifest.json", b"[" * 100_000),
        lambda copy: replace(copy / "manifest.json", b"\xff\xfe"),
        lambda copy: replace(copy / "manifest.json", b"[]"),
        flip,
        link,
        forget,
        *map(outside, ["../outside", "/etc/hostname", "graphs/../../outside", "a\\..\\b", "a//b", "a/b/c/d/e", ""]),
        *(rehashed(TOKENIZER_FILE, gzip.compress(content)) for content in BAD_MERGES),
        rehashed(TOKENIZER_FILE, gzip.compress(bytes((1 << 24) + 1))),
        *(rehashed(TOKENIZER_FILE, content) for content in (b"{}", spoiled(0), spoiled(500), spoiled(-6), spoiled(-1))),
        *(rehashed("route.json", content) for content in (b"{}", b'{"surprise": 1}')),
        edit(format="zip"),
        edit(format_version=7),
        edit(format_version=1),
        edit(format_version=None),
        edit(surprise=1),
        edit(precision=3),
        edit(precision=True),
        edit(precision="foo"),
        edit_part("target", precisions=["fp16"]),
        edit(routes="simple"),
        edit(routes=[]),
        edit(graphs={}),
        edit(files=[]),
        edit(preprocessing={"resize": "nearest"}),
        edit(limits={"max_boxes": 1, "max_instances": 1}),
        edit(limits={"max_prompts": 0, "max_boxes": 1, "max_instances": 1}),
        edit(limits={"max_prompts": 1, "max_boxes": 9, "max_instances": 20}),
        edit(model={"image_size": 15}),
        edit(model={}),
        edit(model={"vision": {"num_layerz": 3}}),
        edit(model={"text": {"num_heads": 7}}),
        edit(model={"hidden_size": 1.5}),
        edit(model={"num_queries": 10**7}),
        edit(target={}),
        edit_part("target", threads=-1),
        edit_part("target", int8="both"),
        edit_part("target", precisions=[]),
        edit_part("target", runtime="onnxruntme"),
        edit_part("target", runtime="../outside"),
        edit(limits="a" + 40 * "é"),
        edit(limits="a" + 80 * "é"),
        edit(model={"image_size": 210, "patch_size": 14, "vision": {"backbone": "efficientvit_b0"}}),
        side(2**64 - 1),
        side(-1),
        edit_part("target", device="nonsense"),
        edit_part("target", attention="half"),
        edit(tensorrt={}),
        edit(tensorrt={"checked_by": "", "attention": "fused", "engines": []}),
        engine(graph="sound"),
        engine(file="graphs/text.onnx", compute_capabilities=[]),
        engine(file="graphs/text.onnx", compute_capabilities=["8.9", "89"]),
        engine(file="engines/none.engine"),
        engine(file="graphs/text.onnx"),
        engine(count=2),
        engine(surprise=1),
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
