"""``--precision auto`` on a tiny model: every step runs, and what was measured is kept."""

import json
import logging
import re
import shutil

import pytest

from sam3i_edge.exporter import Int8Options, export
from sam3i_edge.graphs import GRAPHS
from sam3i_edge.provenance import Provenance
from sam3i_edge.quantize.recipe import read_recipe
from sam3i_edge.train.loop import save_model
from tests.train.conftest import TINY, tiny_model

pytestmark = pytest.mark.slow  # an export with calibration and a search


@pytest.fixture
def data(shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "data")
    shutil.copy(folder / "sam3i_train.json", folder / "sam3i_val.json")
    return folder


@pytest.fixture(autouse=True)
def searches(tmp_path, monkeypatch):
    """Where what a search measured is kept."""
    monkeypatch.setenv("SAM3I_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/searches"


def run(tmp_path, data, name, max_drop, **changed):
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_dict()))
    save_model(tiny_model().eval(), tmp_path / "tiny.safetensors")
    said = []
    options = Int8Options(data, scored_images=2, max_drop=max_drop)
    arguments = {"target": "intel-cpu", "precision": "auto", "int8": options, "progress": said.append} | changed
    return export(tmp_path / "tiny.safetensors", None, tmp_path / name, **arguments), said


def test_a_search_and_its_second_run(data, tmp_path, searches, caplog):
    manifest, said = run(tmp_path, data, "first", 100.0)  # everything may be int8: the weights are random
    made_by = Provenance.of(manifest.provenance).quantization
    tables = {graph: made_by.recipe.of(graph) for graph in GRAPHS}
    assert made_by.scored_images == 2 and made_by.scores.keys() == made_by.float_scores.keys()
    recipe = tmp_path / "first/recipe.toml"
    assert "searched: at most 100.0 points on 2 other images" in recipe.read_text()
    assert "what int8 saves there: milliseconds" in recipe.read_text()
    assert re.search(r'"trunk.blocks.0.mlp" = "\w+"  # noise \S+e-\d+, saves \S+ ms', recipe.read_text())
    assert read_recipe(recipe) == made_by.recipe
    (kept,) = searches.iterdir()
    before = kept.read_bytes()
    measured = json.loads(before)
    assert measured["noise"].keys() == measured["gains"].keys()
    int8 = {f"{graph}/{block}" for graph in GRAPHS for block, choice in tables[graph].items() if choice == "int8"}
    assert int8 == {name for name, saved in measured["gains"].items() if saved > 0}
    with caplog.at_level(logging.WARNING):
        again, said = run(tmp_path, data, "second", 100.0)
    assert Provenance.of(again.provenance).quantization == made_by
    assert kept.read_bytes() == before
    assert not any("blocks in int8" in line for line in said)  # no trial was made again


def test_without_its_device_work_stands_for_time(data, tmp_path, searches):
    manifest, said = run(tmp_path, data, "bundle", 100.0, target="jetson")
    assert manifest.runtime.precision == "int8-fp16"
    assert any(line.startswith("layers cannot be timed for jetson here, so that work stands for time") for line in said)
    text = (tmp_path / "bundle/recipe.toml").read_text()
    assert "--precision int8-fp16 --recipe" in text and re.search(r"saves \S+ MACs", text)
    recipe = Provenance.of(manifest.provenance).quantization.recipe
    for graph in GRAPHS:  # the budget allows everything in int8, and all of it has work
        assert set(recipe.of(graph).values()) == {"int8"}
