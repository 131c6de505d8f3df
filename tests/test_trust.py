"""What a fingerprint promises, links, and that the bytes that were hashed are the bytes that run."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from sam3i_edge import Segmenter, graph_engine
from sam3i_edge.bundle import list_files, open_bundle
from sam3i_edge.cli import main
from sam3i_edge.errors import BundleError
from sam3i_edge.external_data import named_files
from sam3i_edge.manifest import read_manifest
from tests.conftest import rewrite
from tests.damages import edit, replace

TEXT = "graphs/text.onnx"


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    return shutil.copytree(bundle, tmp_path / "copy")


def fingerprint_of(bundle: Path) -> str:
    """As anybody computes it: sha256sum manifest.json."""
    return hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()


def test_the_fingerprint_is_that_of_the_manifest_and_is_told(bundle, caplog, capsys):
    with caplog.at_level(logging.INFO, "sam3i_edge"), Segmenter.load(bundle, integrity="size") as segmenter:
        assert segmenter.fingerprint == fingerprint_of(bundle)
    assert fingerprint_of(bundle) in caplog.text
    assert main(["inspect", str(bundle), "--expect", fingerprint_of(bundle)]) == 0
    assert f"fingerprint {fingerprint_of(bundle)}" in capsys.readouterr().out
    assert main(["verify", str(bundle)]) == 0
    assert f"fingerprint {fingerprint_of(bundle)}" in capsys.readouterr().out


def test_weights_and_manifest_changed_together_have_another_fingerprint(copy, bundle, capsys):
    """Which hashes alone do not find."""
    content = (copy / "route.json").read_bytes()
    replace(copy / "route.json", content.replace(b'"note": "', b'"note": "evil ', 1))
    rewrite(copy)
    open_bundle(copy)
    expected = fingerprint_of(bundle)
    message = f"copy has the fingerprint {fingerprint_of(copy)}, expected {expected}. It is another bundle: do not use"
    with pytest.raises(BundleError, match=message):
        Segmenter.load(copy, expect=expected)
    Image.new("RGB", (8, 8)).save(copy.parent / "image.png")
    of_image = [str(copy.parent / "image.png"), "mug"]
    for command, *rest in (["inspect"], ["verify"], ["build"], ["segment", *of_image]):
        assert main([command, str(copy), *rest, "--expect", expected]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("expect", ["", "abc", "0" * 63, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_fingerprint_expects_nothing(bundle, expect):
    """An empty variable of a script must not switch the check off."""
    with pytest.raises(BundleError, match=r"expect is '.*', which is no fingerprint: give the 64 digits 0-9 and a-f"):
        Segmenter.load(bundle, expect=expect)


def test_a_bundle_made_of_links_loads(copy, tmp_path):
    """As Hugging Face's cache, colcon and Bazel make it: a link for each file."""
    links = tmp_path / "links"
    for name in (*read_manifest(copy).files, "manifest.json"):
        (links / name).parent.mkdir(parents=True, exist_ok=True)
        (links / name).symlink_to(copy / name)
    Segmenter.load(links).close()
    replace(copy / "route.json", b"x" * (copy / "route.json").stat().st_size)
    with pytest.raises(BundleError, match=r"route\.json was changed"):
        Segmenter.load(links)


def test_a_bundle_that_kubernetes_mounts_loads(copy, tmp_path):
    """Its files are links through a hidden link to a hidden folder, which is exchanged as a whole."""
    volume = tmp_path / "volume"
    shutil.copytree(copy, volume / "..2026_01_01")
    (volume / "..data").symlink_to("..2026_01_01")
    for path in copy.iterdir():
        (volume / path.name).symlink_to(f"..data/{path.name}")
    (copy / ".gitattributes").write_text("hidden files are nobody's")
    (copy / "graphs/.nfs0001").write_text("in folders, too")
    for bundle in (volume, copy):
        Segmenter.load(bundle).close()


def test_a_folder_that_links_to_itself_ends(copy):
    (copy / "graphs").rename(copy.parent / "graphs")
    (copy / "graphs").symlink_to(copy / "graphs")
    with pytest.raises(BundleError, match=r"copy cannot be read: .*Too many levels of symbolic links"):
        Segmenter.load(copy)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_graph_that_is_swapped_after_it_was_hashed_does_not_run(copy, monkeypatch, runtime):
    before = Segmenter.load(copy, runtime=runtime).segment(np.zeros((9, 9, 3), np.uint8), "mug", threshold=0)

    def swap(name, graph, options, content):
        replace(graph, b"another graph")
        return open_session(name, graph, options, content)

    open_session = graph_engine.open_session
    monkeypatch.setattr(graph_engine, "open_session", swap)
    after = Segmenter.load(copy, runtime=runtime).segment(np.zeros((9, 9, 3), np.uint8), "mug", threshold=0)
    assert (before.scores == after.scores).all()


def with_weights_beside(copy: Path) -> None:
    model = onnx.load(copy / TEXT)
    (copy / TEXT).unlink()
    onnx.save_model(model, copy / TEXT, save_as_external_data=True, location="text.onnx.data")
    rewrite(copy)


def test_weights_beside_a_graph_may_not_change_while_they_are_loaded(copy, monkeypatch):
    with_weights_beside(copy)
    assert f"{TEXT}.data" in list_files(copy)
    assert open_bundle(copy).graph_content("text") is None
    Segmenter.load(copy).close()

    def touch(name, graph, options, content):
        (copy / f"{TEXT}.data").touch()
        return open_session(name, graph, options, content)

    open_session = graph_engine.open_session
    monkeypatch.setattr(graph_engine, "open_session", touch)
    with pytest.raises(BundleError, match=r"text\.onnx\.data was changed while it was loaded\. Load the bundle again"):
        Segmenter.load(copy)


def test_other_files_are_not_read_by_size_alone_either(copy):
    with_weights_beside(copy)
    Segmenter.load(copy, integrity="size").close()
    edit(
        files={k: v for k, v in json.loads((copy / "manifest.json").read_text())["files"].items() if ".data" not in k}
    )(copy)
    (copy / f"{TEXT}.data").rename(copy / "graphs/.hidden")
    with pytest.raises(BundleError, match=r"text\.onnx reads 'text\.onnx\.data'; of all files it may read"):
        Segmenter.load(copy, integrity="size")


def test_a_graph_that_is_cut_short_while_it_is_looked_at(copy, monkeypatch):
    """A map of the file would end the process."""

    def cut(content):
        (copy / TEXT).write_bytes(b"")
        return named_files(content)

    opened = open_bundle(copy, integrity="size")
    monkeypatch.setattr("sam3i_edge.bundle.named_files", cut)
    assert opened.graph_content("text") is None
    with pytest.raises(BundleError, match=r"text\.onnx has 0 bytes, expected \d+"):
        opened.graph_content("text")


def test_files_named_in_a_graph_are_found_as_onnx_finds_them(copy):
    content = (copy / TEXT).read_bytes()
    assert named_files(content) == set()
    assert named_files(content + onnx.ModelProto(producer_name="location").SerializeToString()) == set()
    other = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    other.external_data.add(key="location", value="elsewhere")
    merged = onnx.ModelProto(graph=onnx.GraphProto(initializer=[other])).SerializeToString()
    assert named_files(content + merged) == {"elsewhere"}, "protobuf merges what stands twice"
