"""What a model was trained on: it says which words it has never seen, once each."""

import json
import logging
import shutil

import pytest

from sam3i_edge import Segmenter
from sam3i_edge.cli import main
from sam3i_edge.domain import Domain, words_of
from sam3i_edge.errors import ConfigError
from sam3i_edge.manifest import read_manifest
from tests.conftest import CASES

SMALL = Domain("the test model: trained on mugs", ("mug",), ("left", "mug", "the"))


def test_words():
    assert words_of("The mug's on a T-shirt, the MUG 3x; “mug” café élan") == ["the", "mug", "on", "shirt"]
    assert SMALL.unknown_words("the left mug, the elephant and the café's elephant") == ["elephant", "and"]


@pytest.fixture(scope="module")
def bundle_of_small_domain(bundle, tmp_path_factory):
    """The small bundle, whose manifest says what its model knows."""
    copy = tmp_path_factory.mktemp("domain") / "bundle"
    shutil.copytree(bundle, copy)
    content = json.loads((copy / "manifest.json").read_text())
    content["runtime"]["domain"] = {"note": SMALL.note, "kinds": list(SMALL.kinds), "words": list(SMALL.words)}
    (copy / "manifest.json").write_text(json.dumps(content))
    return copy


def test_an_unknown_word_is_told_once(bundle_of_small_domain, caplog):
    caplog.set_level(logging.WARNING, "sam3i_edge")
    with Segmenter.load(bundle_of_small_domain) as segmenter:
        frame = segmenter.encode(CASES[0].image)
        frame.segment(["the mug", "the elephant", "an elephant"])
        frame.segment("Elephant left")
    told = [record.message for record in caplog.records if "elephant" in record.message]
    assert told == [
        "The word 'elephant' is in none of the texts that this model was trained on (the test model: trained on mugs)."
    ]
    assert not [record for record in caplog.records if "'mug'" in record.message or "'left'" in record.message]


def test_a_model_without_a_domain_says_nothing(bundle, caplog):
    assert read_manifest(bundle).runtime.domain is None
    with Segmenter.load(bundle) as segmenter:
        segmenter.segment(CASES[0].image, "the elephant")
    assert not caplog.records


def test_inspect_lists_the_kinds(bundle_of_small_domain, capsys):
    assert main(["inspect", str(bundle_of_small_domain)]) == 0
    assert "trained on mug; 3 words" in capsys.readouterr().out


def test_the_command_and_what_export_reads(tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("the red mug\nA mug?\n")
    made = tmp_path / "domain.json"
    command = ["data", "domain", "--texts", str(tmp_path / "texts.txt"), "--note", "mugs", "--kinds", "mug, cup"]
    assert main([*command, "-o", str(made)]) == 0
    assert Domain.of_checkpoint(tmp_path / "model.safetensors") == Domain("mugs", ("mug", "cup"), ("mug", "red", "the"))
    assert main([*command, "-o", str(made)]) != 0  # it exists
    assert "--force" in capsys.readouterr().err
    made.write_text('{"note": 3}')
    with pytest.raises(ConfigError, match=r"domain.json: note is 3; expected str"):
        Domain.of_checkpoint(tmp_path / "model.safetensors")
    made.unlink()
    assert Domain.of_checkpoint(tmp_path / "model.safetensors") is None
