"""Fitting the auto route: repeatable, right on words and wordings it has not seen, and from any annotation file."""

import argparse
import json

import numpy as np
import pytest

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.commands import route as command
from sam3i_edge.data.phrases import PARTS, is_held_out, phrases, words
from sam3i_edge.data.phrases.wordings import WORDINGS
from sam3i_edge.errors import ConfigError, DataError
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier
from sam3i_edge.train.route import fit, fit_built_in, read_pairs, share_right

TOKENIZER = clip_tokenizer(32)


def test_phrases_are_the_same_for_the_same_seed():
    assert phrases(50, seed=1) == phrases(50, seed=1) != phrases(50, seed=2)
    assert [route for _, route in phrases(2, seed=1)] == [route for route in ROUTES for _ in range(2)]
    assert not [text for text, _ in phrases(1000, seed=0) if "{" in text or "  " in text]


def test_held_out_phrases_share_no_open_word_with_the_others():
    nouns = {noun for noun in words.NOUNS if is_held_out(noun)} - {*words.PARTS, *words.GROUPS}
    said = {text for text, route in phrases(1000, 0, "fit") if route == "concept"}
    assert 0.15 < len(nouns) / len(words.NOUNS) < 0.25
    assert not said & nouns
    assert {text for text, _ in phrases(1000, 0, "held_out")} & nouns
    assert all(any(map(is_held_out, wordings)) for wordings in WORDINGS.values())
    with pytest.raises(ConfigError, match="Unknown part 'test'. Known: " + ", ".join(PARTS)):
        phrases(1, 0, "test")


def test_no_text_stands_on_two_levels():
    routes: dict[str, set[str]] = {}
    for text, route in phrases(3000, seed=0):
        routes.setdefault(text, set()).add(route)
    mixed = [text for text, said in routes.items() if len(said) > 1]
    assert len(mixed) <= 0.002 * len(routes), mixed


def test_fitting_is_repeatable_and_carries_over_to_unseen_words_and_wordings():
    texts = phrases(600, 0, "fit")
    first, second = (fit([texts], TOKENIZER, "test") for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    right = share_right(first, phrases(500, 1, "held_out"), TOKENIZER)
    assert np.mean(list(right.values())) >= 0.9, right


@pytest.mark.slow
def test_the_built_in_classifier_is_what_its_recipe_makes():
    """Another machine's sums may round a weight the other way, no more."""
    again, shipped = fit_built_in(TOKENIZER), RouteClassifier.default()
    assert again.note == shipped.note
    assert np.abs(again.weights.astype(int) - shipped.weights).max() <= 1


@pytest.mark.slow
def test_unseen_words_in_unseen_wordings_of_the_whole_broad_text():
    right = share_right(fit([phrases(6000, 0, "fit")], TOKENIZER, ""), phrases(3000, 1, "held_out"), TOKENIZER)
    assert np.mean(list(right.values())) >= 0.965, right


def write(path, texts):
    path.write_text(json.dumps({"images": [], "annotations": [{"id": 7, "text_inst_input": texts}]}))
    return path


def test_the_command_fits_a_data_set(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sam3i_edge.train.route.BROAD_TEXTS", 300)
    texts = {"concept": ["zorp", "blue zorp"], "simple_query": ["zorp zorp zorp left"], "complex_query": ["zorping!"]}
    write(tmp_path / "sam3i_train.json", texts)
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    arguments = parser.parse_args(["route", "--data", str(tmp_path), "-o", str(tmp_path / "route.json")])
    assert arguments.command(arguments) == 0
    assert (
        "fitted on 4 texts; right on them: concept 100.0 %, simple 100.0 %, complex 100.0 %" in capsys.readouterr().out
    )
    own = RouteClassifier.load(tmp_path / "route.json")
    assert own.route(TOKENIZER.encode("zorping!")) == "complex"
    assert "(train)" in own.note
    for bad in (tmp_path, tmp_path / "no" / "route.json"):
        arguments.output = str(bad)
        with pytest.raises(ConfigError, match="Cannot write"):
            arguments.command(arguments)


def test_damaged_data_is_named(tmp_path):
    with pytest.raises(
        DataError, match="has no simple text; fitting the auto route needs texts of concept, simple, com"
    ):
        read_pairs(write(tmp_path / "few.json", {"concept": ["mug"]}), "train")
    with pytest.raises(
        DataError, match=r"bad\.json: annotation 7, text_inst_input\.concept\[0\]: is 3; expected a text"
    ):
        read_pairs(write(tmp_path / "bad.json", {"concept": [3]}), "train")
    with pytest.raises(DataError, match="There is no folder or file"):
        read_pairs(tmp_path / "none", "train")
