"""A smaller vocabulary: the same tokens for the texts it is made for, some for every other."""

from __future__ import annotations

import copy
import gzip
import json

import numpy as np
import pytest
import torch

from sam3i_edge.cli import main
from sam3i_edge.clip_tokenizer import clip_merges, clip_tokenizer, make_tokenizer_file
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.texts import read_texts
from sam3i_edge.demo_model import SCENES
from sam3i_edge.errors import DataError
from sam3i_edge.exporter.vocabulary import keep_rows, merges_of
from sam3i_edge.image import read_image
from sam3i_edge.prompt import BOXES_ALONE, Prompt, gates
from sam3i_edge.quantize.embedding import quantize_embedding
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.tokenizer import Tokenizer, words_of
from tests.conftest import DATA

TEXTS = [query.text for sample in load_samples(SCENES, "demo").samples for query in sample.queries]
RECORDED = [line["text"] for line in json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))]
WORDS = words_of(clip_merges())


@pytest.fixture(scope="module")
def kept():
    return merges_of(TEXTS, clip_tokenizer(32))


@pytest.fixture(scope="module")
def small(kept, tmp_path_factory):
    """A tokenizer for ``TEXTS`` alone."""
    path = tmp_path_factory.mktemp("tokenizer") / "merges.txt"
    path.write_bytes(make_tokenizer_file(kept))
    return Tokenizer.from_file(path, 32)


def test_its_texts_become_the_same_tokens(small, kept):
    whole = clip_tokenizer(32)
    for text in TEXTS:
        np.testing.assert_array_equal(small.encode(text), whole.encode(text))
    assert 0 < len(kept) < 500


def test_every_text_still_becomes_tokens_that_spell_it(small):
    whole = clip_tokenizer(32)
    for text in RECORDED:
        mine, theirs = ("".join(WORDS[i] for i in tokenizer.encode(text)) for tokenizer in (small, whole))
        length = min(len(mine), len(theirs)) - 40  # a text of more than 32 pieces loses its end
        assert mine[: max(0, length)] == theirs[: max(0, length)]


@pytest.mark.parametrize("choice", ["fp32", "int8", "int4"])
def test_a_model_with_fewer_rows_encodes_them_alike(model, small, kept, choice):
    before, after = copy.deepcopy(model), copy.deepcopy(model)
    count = keep_rows(after, kept)
    for one in (before, after):
        quantize_embedding(one, choice)
    stored = [
        sum(value.nbytes for name, value in one.state_dict().items() if "token_emb" in name) for one in (before, after)
    ]
    assert count == 512 + len(kept) + 2 and stored[1] < 0.2 * stored[0]
    texts = [*TEXTS, "the übergröße xylophone"]
    tokens = torch.from_numpy(np.stack([small.encode(text) for text in texts]))
    routes = torch.from_numpy(gates(["simple"] * len(texts)))
    with torch.inference_mode():
        assert torch.equal(before.encode_text(tokens, routes), after.encode_text(tokens, routes))


@pytest.mark.slow
def test_a_bundle_of_it(tmp_path, capsys):
    """Its tokens and rows are those of the tests above, so that it answers alike."""
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n\n")
    bundle, sample = tmp_path / "small", load_samples(SCENES, "demo").samples[0]
    assert main(["export", "--vocabulary", str(tmp_path / "texts.txt"), "-o", str(bundle)]) == 0
    assert "of 49408 token rows" in capsys.readouterr().err
    with Segmenter.load(bundle) as small:
        assert f"the token rows of {len(set(TEXTS))} texts alone" in small.manifest.runtime.note
        frame = small.encode(read_image(sample.path))
        assert all(len(found) for found in frame.segment([Prompt(query.text) for query in sample.queries]))
        found = frame.segment("the übergröße xylophone")
    assert found.masks.shape[1:] == (sample.height, sample.width)


def test_a_datasets_texts_are_those_that_train(shapes_folder):
    queries = [query for sample in load_samples(shapes_folder, "train").samples for query in sample.queries]
    assert read_texts(shapes_folder) == sorted({query.text for query in queries})


def test_the_text_of_boxes_alone_stays_one_token(small):
    np.testing.assert_array_equal(small.encode(BOXES_ALONE), clip_tokenizer(32).encode(BOXES_ALONE))


@pytest.fixture
def shapes_folder(tmp_path):
    from tests.train.shapes import write_shapes

    return write_shapes(tmp_path / "shapes", count=3)


@pytest.mark.parametrize(("content", "message"), [(None, "Cannot read the texts"), ("\n \n", "There is no text in")])
def test_no_texts_are_refused(content, message, tmp_path):
    if content is not None:
        (tmp_path / "texts.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read_texts(tmp_path / "texts.txt")
