"""What a model was trained on: it says which words it has never seen, once each."""

import base64
import dataclasses
import json
import logging
import shutil

import numpy as np
import pytest

from sam3i_edge import Segmenter, schema
from sam3i_edge.cli import main
from sam3i_edge.domain import Domain, FeatureStatistics, words_of
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


def test_images_unlike_the_training():
    """Channels that vary together: a mean that is usual in each of them is unusual where they part."""
    rng = np.random.default_rng(1)
    both = rng.normal(0, 1, (400, 1)) + rng.normal(0, 0.1, (400, 2)) + 3
    found = FeatureStatistics.of(both[:200], both[200:])
    assert max(map(found.distance, both[200:])) * 1.05 == pytest.approx(found.limit)
    domain = dataclasses.replace(SMALL, features=schema.parse(FeatureStatistics, schema.plain(found)))
    for means, is_unlike in (((3, 3), False), ((4.5, 4.5), False), ((2, 4), True), ((30, 30), True)):
        coarse = np.broadcast_to(np.float32(means)[None, :, None, None], (1, 2, 4, 4))
        assert domain.is_unlike(coarse) is is_unlike, means
    assert not SMALL.is_unlike(np.full((1, 2, 4, 4), 99, np.float32))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"precision": "AAAA"}, "precision is not base64"),
        ({"precision": base64.b64encode(bytes(8)).decode()}, "precision has 2 values; expected 1 x 1"),
        ({"mean": ()}, "precision has 1 values; expected 0 x 0"),
        ({"limit": 0.0}, "limit is 0.0; it must be greater than 0"),
    ],
)
def test_statistics_that_do_not_fit(values, problem):
    good = {"mean": (1.0,), "precision": base64.b64encode(np.float32([2]).tobytes()).decode(), "limit": 3.0}
    assert FeatureStatistics(**good).distance(np.array([3.0])) == pytest.approx(8**0.5)
    with pytest.raises(ConfigError, match=problem):
        FeatureStatistics(**good | values)


def test_an_image_unlike_the_training_is_told_of_once(bundle, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "sam3i_edge")
    shutil.copytree(bundle, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    with Segmenter.load(bundle) as segmenter:
        usual = np.asarray(segmenter.encode(CASES[0].image).features["coarse"]).mean((0, 2, 3))
    precision = base64.b64encode(np.eye(len(usual), dtype="<f4").tobytes()).decode()
    features = {"mean": usual.tolist(), "precision": precision, "limit": 0.01}
    manifest["runtime"]["domain"] = schema.plain(SMALL) | {"features": features}
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    with Segmenter.load(tmp_path / "bundle") as segmenter:
        segmenter.encode(CASES[0].image)
        assert not caplog.records
        for _ in range(2):
            segmenter.encode(np.zeros_like(CASES[0].image))
    (told,) = (record.message for record in caplog.records)
    assert told == "The image is unlike those that this model was trained on (the test model: trained on mugs)."
