"""The tokenizer gives the published ids, also for text nobody would type."""

import gzip
import importlib.metadata
import importlib.util
import json
import logging
import pickle
import random
import sys
import time
import types

import pytest

from sam3i_edge.clip_tokenizer import make_tokenizer_file
from sam3i_edge.errors import BundleError
from sam3i_edge.prompt import Prompt
from sam3i_edge.tokenizer import Tokenizer, format_merges, parse_merges, words_of
from tests.conftest import BAD_MERGES, DATA
from tests.odd_texts import lines, long_texts

RECORDED = json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "merges.txt"
    path.write_bytes(make_tokenizer_file())
    return Tokenizer.from_file(path, 32)


def test_all_recorded_lines(tokenizer):
    assert len(RECORDED) == 1000
    wrong = [line["text"] for line in RECORDED if tokenizer.encode(line["text"]).tolist() != line["ids"]]
    assert not wrong


def test_a_process_that_is_not_forked_gets_it_whole(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    texts = [line["text"] for line in RECORDED[:50]]
    assert [again.encode(text).tolist() for text in texts] == [tokenizer.encode(text).tolist() for text in texts]


def test_recorded_cases(tokenizer, case):
    assert tokenizer.encode(case.prompt.text).tolist() == case.expected["tokens"][0].tolist()


@pytest.fixture(scope="module")
def reference():
    """The tokenizer class in the open_clip wheel, loaded alone: importing the package needs torchvision."""
    folder = importlib.metadata.distribution("open_clip_torch").locate_file("open_clip")
    package = types.ModuleType("open_clip")
    package.__path__ = [str(folder)]
    previous = sys.modules.get("open_clip")
    sys.modules["open_clip"] = package
    try:
        module = importlib.import_module("open_clip.tokenizer")
        return module.SimpleTokenizer(context_length=32)
    finally:
        sys.modules.pop("open_clip.tokenizer", None)
        sys.modules.pop("open_clip")
        if previous:
            sys.modules["open_clip"] = previous


def test_random_text_as_in_open_clip(tokenizer, reference):
    for text in lines(5000):
        assert tokenizer.encode(text).tolist() == reference([text])[0].tolist(), repr(text)


@pytest.mark.parametrize("kind", long_texts(0))
def test_a_long_text_costs_little(tokenizer, kind):
    text = long_texts(100_000)[kind]
    start = time.process_time()
    Prompt(f"{text} x")
    tokenizer.encode(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("kind", long_texts(0))
def test_a_long_text_as_in_open_clip(tokenizer, reference, kind):
    text = long_texts(1500)[kind]
    assert tokenizer.encode(text).tolist() == reference([text])[0].tolist()


def test_long_words_of_the_vocabulary_as_in_open_clip(tokenizer, reference):
    rng = random.Random(3)
    parts = [word for word in words_of(parse_merges(make_tokenizer_file().decode())) if word and word.isalpha()]
    for _ in range(40):
        text = "x " * rng.randrange(32) + "".join(rng.choices(parts, k=rng.randrange(50, 150)))
        assert tokenizer.encode(text).tolist() == reference([text])[0].tolist(), text


def test_a_long_number_is_beyond_unicode(tokenizer):
    assert tokenizer.encode("&#" + "1" * 5000 + ";x").tolist() == tokenizer.encode("\ufffdx").tolist()
    assert tokenizer.encode("&#" + "0" * 5000 + "65;").tolist() == tokenizer.encode("a").tolist()


def test_the_tokens_of_a_very_long_text_are_not_counted(tokenizer, caplog):
    tokenizer.encode("word " * 1000)
    assert "The text has more than 32 tokens; the model reads the first 32." in caplog.text


def test_too_long_a_text_is_cut_with_a_warning(tokenizer, caplog):
    with caplog.at_level(logging.WARNING):
        ids = tokenizer.encode("word " * 50)
    assert "52 tokens; the model reads the first 32" in caplog.text
    assert len(ids) == 32
    assert ids[-1] == 49407


# Without a time in the header: every process must find the same cases
@pytest.mark.parametrize("content", [*BAD_MERGES, bytes((1 << 24) + 1), gzip.compress(b"#version: 0.2\n", mtime=0)])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "merges.txt"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"merges\.txt is no CLIP tokenizer"):
        Tokenizer.from_file(path, 32)


def test_a_merge_left_out_keeps_the_ids_of_the_others(tmp_path):
    path = tmp_path / "merges.txt"
    path.write_bytes(b"#version: 0.2\na b\n\nab c</w>\n")
    ids = Tokenizer.from_file(path, 8).encode("abc ab")
    assert ids.tolist() == [515, 514, 64, 256 + 65, 516, 0, 0, 0]
    assert format_merges(parse_merges("#version: 0.2\na b\n\nab c</w>\n")) == "#version: 0.2\na b\n\nab c</w>\n"
