"""A damaged bundle is refused with the file's name."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sam3i_edge import Segmenter, schema
from sam3i_edge.bundle import list_files, open_bundle
from sam3i_edge.errors import BundleError
from sam3i_edge.golden import read_golden
from sam3i_edge.verify import verify


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    return shutil.copytree(bundle, tmp_path / "copy")


def edit(bundle: Path, **changes) -> None:
    path = bundle / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


def refused(bundle: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Segmenter.load(bundle)


def test_intact(copy):
    manifest = open_bundle(copy).manifest
    assert manifest.precision == "fp32"
    assert set(manifest.graphs) == {"vision", "text", "grounding"}
    assert json.loads((copy / "manifest.json").read_text(encoding="utf-8")) == schema.plain(manifest)


def test_nothing_in_a_bundle_runs_or_is_pickled(bundle):
    kinds = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert kinds == {".json", ".gz", ".onnx", ".npz"}


def test_missing_file(copy):
    (copy / "graphs/text.onnx").unlink()
    refused(copy, r"graphs/text\.onnx is missing")


def test_changed_file(copy):
    path = copy / "graphs/vision.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(copy, r"graphs/vision\.onnx was changed")


def test_truncated_file(copy):
    path = copy / "graphs/vision.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    refused(copy, r"graphs/vision\.onnx has \d+ bytes, expected \d+")


def test_extra_file(copy):
    (copy / "graphs/evil.onnx").write_bytes(b"x")
    refused(copy, r"does not list: graphs/evil\.onnx")


def test_newer_format(copy):
    edit(copy, format_version=7)
    refused(copy, r"format version 7; this package reads version 6\. Update this package")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "graphs/../../outside", "a\\..\\b"])
def test_path_that_leaves_the_folder(copy, name):
    (copy.parent / "outside").write_bytes(b"x")
    files = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["files"]
    edit(copy, files=files | {name: {"sha256": "0", "bytes": 1}})
    refused(copy, "leaves the bundle")


def test_link_that_leaves_the_folder(copy):
    target = copy.parent / "merges.txt.gz"
    (copy / "merges.txt.gz").rename(target)
    (copy / "merges.txt.gz").symlink_to(target)
    refused(copy, "leaves the bundle")


@pytest.mark.parametrize("target", ["golden", "."])
def test_linked_folder(copy, target):
    (copy / "link").symlink_to(target)
    refused(copy, "does not list: link")


def test_graph_without_a_hash(copy):
    files = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["files"]
    del files["graphs/text.onnx"]
    edit(copy, files=files)
    refused(copy, r"no hash for graphs/text\.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "zip"}, "no manifest of a sam3i-edge-bundle"),
        ({"surprise": 1}, "Unknown key 'surprise'"),
        ({"precision": 3}, "precision is 3; expected str"),
        ({"precision": "fp23"}, "Unknown precision 'fp23'.*Did you mean 'fp32'"),
        ({"limits": {"max_boxes": 1, "max_instances": 1}}, "limits.max_prompts is missing"),
        (
            {"limits": {"max_prompts": 0, "max_boxes": 1, "max_instances": 1}},
            "limits.max_prompts is 0; it must be between",
        ),
        ({"limits": {"max_prompts": 1, "max_boxes": 9, "max_instances": 20}}, "do not fit its model and limits"),
        ({"graphs": {}}, "do not fit its model and limits"),
        ({"routes": []}, "its routes or its preprocessing are not those of this package"),
        ({"preprocessing": {"resize": "nearest"}}, "its routes or its preprocessing are not those"),
        ({"model": {"image_size": 15}}, "image_size is 15; it must be a multiple"),
        ({"model": {}}, "do not fit its model and limits"),
        ({"target": {}}, "target.name is missing"),
        ({"files": []}, r"files is \[\]; expected an object"),
    ],
)
def test_damaged_manifest(copy, changes, message):
    edit(copy, **changes)
    refused(copy, message)


@pytest.mark.parametrize("content", ["{", "[" * 100_000])
def test_manifest_that_is_no_json(copy, content):
    (copy / "manifest.json").write_text(content)
    refused(copy, r"manifest\.json cannot be read")


def rehash(copy: Path) -> None:
    """Make the manifest agree with the files, as one who tampers on purpose would."""
    edit(copy, files=schema.plain(list_files(copy)))


@pytest.mark.parametrize("content", ["{}", "[]", "#version: 0.2\na\n"])
def test_tampered_tokenizer(copy, content):
    (copy / "merges.txt.gz").write_bytes(gzip.compress(content.encode()))
    rehash(copy)
    refused(copy, r"merges\.txt\.gz is no CLIP tokenizer")


def test_tampered_route(copy):
    (copy / "route.json").write_text("{}")
    rehash(copy)
    refused(copy, r"route\.json is no auto route: format is missing")


def test_graphs_swapped(copy):
    shutil.copy(copy / "graphs/vision.onnx", copy / "graphs/text.onnx")
    rehash(copy)
    with pytest.raises(BundleError, match=r"text\.onnx: Unknown input 'tokens'"):
        Segmenter.load(copy).segment(np.zeros((9, 9, 3), np.uint8), "mug")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("golden/tensors.npz", lambda content: content[: len(content) // 2]),
        ("golden/tensors.npz", lambda content: b""),
        ("golden/prompts.json", lambda content: b"{}"),
        ("golden/prompts.json", lambda content: b'{"prompts": []}'),
        ("golden/prompts.json", lambda content: b"[" * 100_000),
        ("golden/prompts.json", lambda content: content.replace(b"simple", b"simpel")),
    ],
)
def test_tampered_golden_cases(copy, file, damage):
    path = copy / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BundleError, match=r"golden cases of .* cannot be read"):
        read_golden(copy)


def test_one_golden_prompt_fewer(copy):
    path = copy / "golden/prompts.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({"prompts": content["prompts"][1:]}))
    rehash(copy)
    with pytest.raises(BundleError, match="there are not as many answers as prompts"):
        verify(Segmenter.load(copy), read_golden(copy))


def test_no_bundle(tmp_path):
    refused(tmp_path, r"holds no manifest\.json.*sam3i-edge export")
    refused(tmp_path / "typo", "does not exist")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "is a file, not a bundle")
