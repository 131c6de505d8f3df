"""A smaller vocabulary: the same tokens for the texts it is made for, some for every other."""

from __future__ import annotations

import copy
import gzip
import json

import numpy as np
import pytest
import torch

from sam3i_edge.cli import main
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.errors import DataError
from sam3i_edge.export.tokenizer_json import all_words, build_tokenizer_json, clip_merges, clip_tokenizer
from sam3i_edge.export.vocabulary import prune_vocabulary, read_corpus, used_merges
from sam3i_edge.prompt import gates
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.shipped import SCENES
from tests.conftest import DATA

TEXTS = [query.text for sample in load_samples(SCENES, "demo").samples for query in sample.queries]
RECORDED = [line["text"] for line in json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))]


@pytest.fixture(scope="module")
def tokenizers():
    """The whole one, and one for ``TEXTS`` alone."""
    from sam3i_edge.tokenizer import Tokenizer

    whole = clip_tokenizer(32)
    merges = used_merges(TEXTS, whole)
    return whole, Tokenizer.from_json(build_tokenizer_json(32, merges)), merges


def spelled(tokenizer, words, text):
    return [words[i] for i in tokenizer.encode(text)]


def test_its_texts_become_the_same_tokens(tokenizers):
    whole, small, merges = tokenizers
    mine, theirs = all_words(merges), all_words(clip_merges())
    for text in TEXTS:
        assert spelled(small, mine, text) == spelled(whole, theirs, text)
    assert 514 < len(all_words(merges)) < 1000


def test_every_text_still_becomes_tokens_that_spell_it(tokenizers):
    whole, small, merges = tokenizers
    known = [(small, all_words(merges)), (whole, all_words(clip_merges()))]
    for text in RECORDED:
        mine, theirs = ("".join(spelled(tokenizer, words, text)) for tokenizer, words in known)
        length = min(len(mine), len(theirs)) - 40  # a text of more than 32 pieces loses its end
        assert mine[: max(0, length)] == theirs[: max(0, length)]


def test_a_model_with_fewer_rows_encodes_them_alike(model, tokenizers):
    whole, small, merges = tokenizers
    pruned = prune_vocabulary(copy.deepcopy(model), merges)
    assert pruned.config.text.vocab_size == len(all_words(merges))
    routes = torch.from_numpy(gates(["concept", "simple", "complex"] * (len(TEXTS) // 3)))
    tokens = [torch.from_numpy(np.stack([t.encode(text) for text in TEXTS])) for t in (whole, small)]
    with torch.inference_mode():
        assert torch.equal(model.encode_text(tokens[0], routes), pruned.encode_text(tokens[1], routes))


@pytest.mark.slow
def test_a_bundle_of_it_answers_alike(tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n\n")
    bundles = [tmp_path / "whole", tmp_path / "small"]
    assert main(["export", "-o", str(bundles[0])]) == 0
    assert main(["export", "--vocabulary", str(tmp_path / "texts.txt"), "-o", str(bundles[1])]) == 0
    assert "of 49408 token rows" in capsys.readouterr().err
    sizes = [sum(file.stat().st_size for file in bundle.rglob("*")) for bundle in bundles]
    assert sizes[1] < 0.7 * sizes[0]
    sample = load_samples(SCENES, "demo").samples[0]
    from sam3i_edge.image import read_image

    whole, small = (Segmenter.load(bundle) for bundle in bundles)
    for query in sample.queries:
        a, b = (one.segment(read_image(sample.path), query.text) for one in (whole, small))
        np.testing.assert_array_equal(a.masks, b.masks)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    assert "are those of 18 texts" in small.manifest.source.note
    assert len(small.segment(read_image(sample.path), "the übergröße xylophone")) >= 0


def test_a_datasets_texts_are_a_corpus(shapes_folder):
    assert read_corpus(shapes_folder) == sorted(set(read_corpus(shapes_folder)))


@pytest.fixture
def shapes_folder(tmp_path):
    from tests.train.shapes import write_shapes

    return write_shapes(tmp_path / "shapes", count=3)


@pytest.mark.parametrize(("content", "message"), [(None, "Cannot read the texts"), ("\n \n", "There is no text in")])
def test_no_texts_are_refused(content, message, tmp_path):
    if content is not None:
        (tmp_path / "texts.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path / "texts.txt")
