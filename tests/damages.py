"""Ways to spoil a bundle, by what is said of them; the C++ tests hold the library to the same words."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from sam3i_edge.bundle import sha256_of
from sam3i_edge.manifest import FORMAT_VERSION, MAJOR, MINOR, TOKENIZER_FILE
from tests.conftest import BAD_MERGES

Damage = Callable[[Path], object]

LATER = f"{MAJOR}.{MINOR + 1}"
"""A minor version that this package does not know."""


DOMAIN = {"note": "", "kinds": ["mug"], "words": ["mug"]}
FEATURES = {"mean": [1.5], "precision": "AAAAQA==", "limit": 3}


def content_of(bundle: Path) -> Any:
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))


def replace(path: Path, content: bytes) -> None:
    """Write a file again: the old one may be a link to another bundle's."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def changed(change: Callable[[Any], object]) -> Damage:
    """``change`` is made to what the manifest holds."""

    def damage(copy: Path) -> None:
        content = content_of(copy)
        change(content)
        replace(copy / "manifest.json", json.dumps(content).encode())

    return damage


def edit(**changes: Any) -> Damage:
    return changed(lambda content: content.update(changes))


def in_runtime(change: Callable[[Any], object], **changes: Any) -> Damage:
    """``change`` is made to the runtime section, in a manifest with those other changes."""
    return changed(lambda content: (content.update(changes), change(content["runtime"])))


def of_runtime(*keys: str | int, value: Any) -> Damage:
    """Set the value that the keys lead to; a number is a place, of an object, too."""

    def change(part: Any) -> None:
        for key in keys[:-1]:
            part = list(part.values())[key] if isinstance(part, dict) and isinstance(key, int) else part[key]
        part[keys[-1]] = value

    return in_runtime(change)


def rehashed(name: str, content: bytes) -> Damage:
    """Another file, with which the manifest agrees, as one who tampers on purpose would do it."""

    def damage(copy: Path) -> None:
        replace(copy / name, content)
        record = {"sha256": sha256_of(copy / name), "bytes": len(content)}
        changed(lambda manifest: manifest["files"].update({name: record}))(copy)

    return damage


def flip(copy: Path) -> None:
    content = bytearray((copy / "graphs/text.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    replace(copy / "graphs/text.onnx", bytes(content))


def linked(name: str, target: str, content: bytes | None = None) -> Damage:
    """A link in a file's place, to a file beside the bundle with that content."""

    def damage(copy: Path) -> None:
        if content is not None:
            replace(copy.parent / target, content)
        (copy / name).unlink()
        (copy / name).symlink_to((copy.parent / target).resolve() if content is not None else target)

    return damage


def replaced(name: str, make: Callable[[Path], object]) -> Damage:
    """``make`` puts something else in a file's place."""

    def damage(copy: Path) -> None:
        (copy / name).unlink()
        make(copy / name)

    return damage


def nested(copy: Path) -> None:
    """Folders in each other, and a file in the last."""
    path = copy / "deep"
    for _ in range(200):
        path.mkdir()
        path /= "d"
    path.write_bytes(b"")


def of_target(runtime: str, **settings: str) -> Damage:
    return in_runtime(lambda content: content["target"].update(runtime=runtime, settings=settings))


def reading(file: str, where: str) -> bytes:
    """A graph with a tensor that is said to lie in another file: its initializer, or deeper in it."""
    tensor = onnx.TensorProto(dims=[1], data_type=onnx.TensorProto.FLOAT, name="w")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=file)
    inner = onnx.GraphProto(initializer=[tensor] if where in ("graph", "subgraph") else [])
    node = onnx.NodeProto(op_type="Constant")
    if where == "sparse":
        node.attribute.add(name="value", sparse_tensor=onnx.SparseTensorProto(values=tensor))
    elif where == "subgraph":
        node.attribute.add(name="then", g=inner)
    else:
        node.attribute.add(name="value", t=tensor)
    model = onnx.ModelProto(ir_version=10, graph=inner if where == "graph" else onnx.GraphProto(node=[node]))
    if where == "function":
        model = onnx.ModelProto(functions=[onnx.FunctionProto(name="f", node=[node])])
    return bytes(model.SerializeToString())


TEXT = "graphs/text.onnx"
CACHED = onnx.ModelProto(graph=onnx.GraphProto(node=[onnx.NodeProto(op_type="EPContext")])).SerializeToString()


def engine(count: int = 1, **changes: Any) -> Damage:
    """An engine of the text graph, and something wrong with it."""
    good = {"graph": "text", "file": "engines/text.engine", "compute_capabilities": ["8.9"], "built_by": "TensorRT"}
    return of_runtime("engines", value=[good | changes] * count)


def outside(name: str) -> Damage:
    return changed(lambda content: content["files"].update({name: {"sha256": "0", "bytes": 1}}))


def versions(advice: str, *values: object) -> dict[str, list[Damage]]:
    """By exactly what is said of another version."""
    said = r"has bundle format version {}; this version of sam3i-edge reads 2\.x\. {}\.$"
    shown = {value if isinstance(value, str) else json.dumps(value): value for value in values}
    return {said.format(text, advice): [edit(format_version=value)] for text, value in shown.items()}


LIMITS = {"max_prompts": 1, "max_boxes": 9, "max_instances": 20}
SIZES = ("image_size", "grid_size", "hidden_size", "context_length", "num_queries")
FREE = ("graphs", "text", "inputs", 0, "shape", 0)
"""The number of prompts."""
MISFITS: list[Callable[[Any], object]] = [
    lambda runtime: runtime["graphs"].pop("text"),
    lambda runtime: runtime["graphs"].update(sound=runtime["graphs"].pop("text")),
    lambda runtime: runtime["graphs"]["vision"]["outputs"].pop(0),
    lambda runtime: runtime["graphs"]["text"]["inputs"].pop(1),
    lambda runtime: runtime["graphs"]["text"]["inputs"].append(runtime["graphs"]["text"]["inputs"][0]),
    lambda runtime: runtime["graphs"]["vision"]["inputs"][0].update(dtype="float32"),
    lambda runtime: runtime["model"].update(grid_size=3),
    lambda runtime: runtime["limits"].update(max_boxes=3),
]
"""Graphs that are not those of their model and limits, in any minor version."""

DAMAGES: dict[str, list[Damage]] = {
    r"graphs/text\.onnx is missing": [lambda copy: (copy / "graphs/text.onnx").unlink()],
    r"graphs/text\.onnx was changed": [flip],
    r"graphs/text\.onnx has \d+ bytes, expected \d+": [
        lambda copy: replace(copy / "graphs/text.onnx", (copy / "graphs/text.onnx").read_bytes()[:-1])
    ],
    r"does not list: graphs/evil\.onnx": [lambda copy: (copy / "graphs/evil.onnx").write_bytes(b"x")],
    r"does not list: link \(a link\)\. Remove": [
        lambda copy: (copy / "link").symlink_to("nowhere"),
        lambda copy: (copy / "link").symlink_to("golden"),
        lambda copy: (copy / "link").symlink_to("."),
    ],
    "does not exist": [lambda copy: shutil.rmtree(copy)],
    r"holds no manifest\.json.*sam3i-edge export": [lambda copy: (copy / "manifest.json").unlink()],
    "is a file, not a bundle": [lambda copy: (shutil.rmtree(copy), copy.write_text("x"))],
    r"manifest\.json cannot be read": [
        lambda copy, content=content: replace(copy / "manifest.json", content)
        for content in (b"{", b"[" * 100_000, b"\xff\xfe")
    ]
    + [of_runtime("tolerances", 0, "instances", "min_score", value=value) for value in (math.inf, math.nan, 10**400)],
    "is a link that leads nowhere": [linked("route.json", "nowhere"), linked("route.json", "route.json")],
    r"route\.json is not a regular file": [replaced("route.json", os.mkfifo), replaced("route.json", os.mkdir)],
    r"route\.json has 7 bytes, expected": [linked("route.json", "other.json", b"another")],
    r"merges\.txt has 0 bytes, expected": [linked(TOKENIZER_FILE, "empty.txt", b"")],
    r"does not list: pipe\. Remove": [lambda copy: os.mkfifo(copy / "pipe")],
    "does not list: deep/": [nested],
    "does not list: x10, .*, x19, ….": [lambda copy: [(copy / f"x{i}").write_bytes(b"") for i in range(10, 40)]],
    "has more than 4194304 bytes": [lambda copy: replace(copy / "manifest.json", b" " * (1 << 23))],
    r"text\.onnx reads '.*'; of all files it may read graphs/text\.onnx\.data": [
        *(rehashed(TEXT, reading(file, "graph")) for file in ("../outside", "/etc/hostname", "text.onnx.data", "")),
        *(rehashed(TEXT, reading("../outside", where)) for where in ("node", "sparse", "subgraph", "function")),
    ],
    r"text\.onnx is no graph of a bundle: it is cut short": [rehashed(TEXT, reading("../outside", "graph")[:-1])],
    r"text\.onnx is no graph of a bundle: it holds an EPContext": [rehashed(TEXT, CACHED)],
    "leaves the bundle": [
        *map(
            outside,
            [
                "../outside",
                "/etc/hostname",
                "graphs/../../outside",
                "a\\..\\b",
                "a//b",
                "a/b/c/d/e",
                "",
                "a\0b",
                "a" * 101,
            ],
        ),
    ],
    r"no hash for graphs/text\.onnx": [changed(lambda content: content["files"].pop("graphs/text.onnx"))],
    r"no hash for engines/none\.engine": [engine(file="engines/none.engine")],
    r"merges\.txt is no CLIP tokenizer": [rehashed(TOKENIZER_FILE, content) for content in BAD_MERGES],
    r"route\.json is no auto route: ": [rehashed("route.json", content) for content in (b"{}", b'{"surprise": 1}')],
    "no manifest of a sam3i-edge-bundle": [
        edit(format="zip"),
        lambda copy: replace(copy / "manifest.json", b"[]"),
    ],
    **versions("Update sam3i-edge", "3.0", "10.2"),
    **versions("Export the bundle again", "1.9", "2", "2.", "2.0.1", "-2.0", "two", "", 6, 2, 2.5, None, True),
    "Unknown key 'surprise'": [edit(surprise=1)],
    "provenance is 3; expected an object": [edit(provenance=3)],
    "provenance is missing": [changed(lambda content: content.pop("provenance"))],
    "runtime is 3; expected an object": [edit(runtime=3), edit(runtime=3, format_version=LATER)],
    r"files is \[\]; expected an object": [edit(files=[])],
    r"runtime\.limits is missing": [in_runtime(lambda runtime: runtime.pop("limits"), format_version=LATER)],
    r"Unknown key 'runtime\.surprise'": [of_runtime("surprise", value=1)],
    "precision is 3; expected str": [of_runtime("precision", value=3)],
    "precision is True; expected str": [of_runtime("precision", value=True)],
    "Unknown precision 'fp23'.*Did you mean 'fp32'": [of_runtime("precision", value="fp23")],
    "routes is 'simple'; expected a list": [of_runtime("routes", value="simple")],
    "its routes, preprocessing or tokenizer are not those of this version": [
        of_runtime("routes", value=[]),
        of_runtime("preprocessing", "resize", value="nearest"),
        of_runtime("tokenizer", "kind", value="wordpiece"),
    ],
    "its graphs do not fit its model and limits": [
        *(in_runtime(change, format_version=version) for change in MISFITS for version in (FORMAT_VERSION, LATER)),
        in_runtime(lambda runtime: runtime["graphs"].update(sound=runtime["graphs"]["text"])),
        in_runtime(lambda runtime: runtime["graphs"]["text"].update(outputs=runtime["graphs"]["text"]["outputs"] * 2)),
        of_runtime("graphs", value={}),
        of_runtime("graphs", "text", "inputs", 0, "dtype", value="int64"),
        of_runtime("limits", value=LIMITS),
        of_runtime("model", value=dict.fromkeys(SIZES, 16)),
        of_runtime("model", "image_size", value=15),
        of_runtime(*FREE, value=-1),
    ],
    "is 18446744073709551615; expected int": [of_runtime(*FREE, value=2**64 - 1)],
    r"Unknown key 'runtime\.graphs\.vision\.surprise'": [of_runtime("graphs", "vision", "surprise", value=1)],
    r"runtime\.preprocessing\.channels is missing": [of_runtime("preprocessing", value={"resize": "nearest"})],
    r"words\.txt": [of_runtime("tokenizer", "file", value="words.txt")],
    r"runtime\.router\.file is missing": [of_runtime("router", value={})],
    r"golden/tensors\.npz": [of_runtime("golden", "tensors", value="golden/tensors.npz")],
    r"golden\.steps\.vision/fine is 0": [of_runtime("golden", "steps", "vision/fine", value=0)],
    r"golden\.steps is \[\]": [of_runtime("golden", "steps", value=[])],
    "max_abs is '1'; expected float": [of_runtime("tolerances", 0, "outputs", "text/text", "max_abs", value="1")],
    r"tolerances\.fp32\.instances\.\w+ is missing": [of_runtime("tolerances", 0, "instances", value={})],
    "best is 0": [of_runtime("tolerances", 0, "instances", "best", value=0)],
    r"limits\.max_prompts is missing": [of_runtime("limits", value=dict(list(LIMITS.items())[1:]))],
    r"limits\.max_prompts is 0; it must be between": [of_runtime("limits", value=LIMITS | {"max_prompts": 0})],
    r"runtime\.limits is 'aé+": [of_runtime("limits", value="a" + count * "é") for count in (40, 80)],
    r"runtime\.model\.image_size is missing": [of_runtime("model", value={})],
    "model.image_size is 0; it must be between 1 and 65536": [of_runtime("model", value=dict.fromkeys(SIZES, 0))],
    "hidden_size is 1.5; expected int": [of_runtime("model", "hidden_size", value=1.5)],
    "num_queries is 10000000; it must be between": [of_runtime("model", "num_queries", value=10**7)],
    r"Unknown key 'runtime\.model\.vision'": [of_runtime("model", "vision", value={"num_layers": 3})],
    r"runtime\.target\.name is missing": [of_runtime("target", value={})],
    r"threads is \S+; it must be 0 \(the runtime's choice\) or more, at most 1024": [
        of_runtime("target", "threads", value=value) for value in (-1, 1025, 20_000, 2**31)
    ],
    "Unknown setting of openvino 'CACHE_DIR'": [of_target("openvino", CACHE_DIR="/tmp")],
    "Unknown setting of onnxruntime 'ep_library_path'": [of_target("onnxruntime", ep_library_path="/tmp/evil.so")],
    "Unknown setting of tensorrt 'plugins'": [of_target("tensorrt", plugins="/tmp/evil.so")],
    r"settings\.PERFORMANCE_HINT is 'FAST'; it must be one of LATENCY, THROUGHPUT, CUMULATIVE_THROUGHPUT\.": [
        of_target("openvino", PERFORMANCE_HINT="FAST")
    ],
    r"settings\.NUM_STREAMS is '\S*'; it must be a whole number from 1 to 1024\.": [
        of_target("openvino", NUM_STREAMS=value) for value in ("", "0", "1025", "-1", "1.0", "9" * 30)
    ],
    r"settings\.workspace_mb is 'x'; it must be a whole number from 1 to 1048576\.": [
        of_target(runtime, workspace_mb="x") for runtime in ("tensorrt", "tensorrt-rtx")
    ],
    "Unknown runtime 'onnxruntme'": [of_runtime("target", "runtime", value="onnxruntme")],
    r"Unknown runtime '\.\./outside'": [of_runtime("target", "runtime", value="../outside")],
    "Unknown device": [of_runtime("target", "device", value="nonsense")],
    "Unknown attention 'fussed'.*Did you mean 'fused'": [of_runtime("target", "attention", value="fussed")],
    "note is missing": [of_runtime("domain", value={"kinds": [], "words": []})],
    r"Unknown key 'runtime\.domain\.colours'": [of_runtime("domain", value=DOMAIN | {"colours": []})],
    "words.0. is 3; expected str": [of_runtime("domain", value=DOMAIN | {"words": [3]})],
    "precision is not base64": [of_runtime("domain", value=DOMAIN | {"features": FEATURES | {"precision": "AAA"}})],
    "precision has 1 values; expected 2 x 2": [
        of_runtime("domain", value=DOMAIN | {"features": FEATURES | {"mean": [1, 2]}})
    ],
    "limit is 0.0; it must be greater than 0": [
        of_runtime("domain", value=DOMAIN | {"features": FEATURES | {"limit": 0}})
    ],
    "domain.features is of 1 channels; the model has": [of_runtime("domain", value=DOMAIN | {"features": FEATURES})],
    "postprocessing is None; expected an object": [of_runtime("postprocessing", value=None)],
    r"Unknown key 'runtime\.postprocessing\.treshold'": [of_runtime("postprocessing", "treshold", value=0.5)],
    "thresholds is 0.5; expected an object": [of_runtime("postprocessing", "thresholds", value=0.5)],
    "thresholds.simple is True; expected float": [of_runtime("postprocessing", "thresholds", "simple", value=True)],
    "thresholds are of nothing; give concept, simple, complex": [of_runtime("postprocessing", "thresholds", value={})],
    "thresholds are of complex, concept; give concept, simple, complex": [
        in_runtime(lambda runtime: runtime["postprocessing"]["thresholds"].pop("simple"), format_version=version)
        for version in (FORMAT_VERSION, LATER)
    ],
    "thresholds are of auto, complex, concept, simple; give concept, simple, complex": [
        of_runtime("postprocessing", "thresholds", "auto", value=0.5)
    ],
    r"The threshold is (2\.0|-0\.1|1e\+300); it must be a number between 0 and 1\.": [
        of_runtime("postprocessing", "thresholds", "complex", value=value) for value in (2, -0.1, 10**300)
    ],
    "The threshold is -1.0": [  # the first of two, by route
        of_runtime("postprocessing", "thresholds", value={"simple": 3, "complex": 2, "concept": -1})
    ],
    r"nms is (0\.0|1\.5|-1\.0); it must be a number above 0 and at most 1, which suppresses nothing": [
        of_runtime("postprocessing", "nms", value=value) for value in (0, 1.5, -1)
    ],
    "nms is '1'; expected float": [of_runtime("postprocessing", "nms", value="1")],
    r"engines is \{\}; expected a list": [of_runtime("engines", value={})],
    "Unknown graph 'sound'": [engine(graph="sound")],
    r"compute_capabilities is empty|compute capabilit": [
        engine(compute_capabilities=[]),
        engine(compute_capabilities=["8.9", "89"]),
    ],
    "The engine 'graphs/text.onnx' must lie in engines/": [engine(file="graphs/text.onnx")],
    "The text graph has more than one engine": [engine(count=2)],
    r"Unknown key 'runtime\.engines\[0\]\.surprise'": [engine(surprise=1)],
}
IN_PYTHON_ALONE: dict[str, list[Damage]] = {
    r"has bundle format version \[2, 0\]": [edit(format_version=[2, 0])],
}
"""C++ writes lists without spaces."""
