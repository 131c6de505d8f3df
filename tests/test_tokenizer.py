"""The tokenizer gives the published ids, also for text nobody would type."""

import gzip
import importlib.metadata
import importlib.util
import json
import logging
import pickle
import random
import sys
import types
from functools import partial

import pytest

from sam3i_edge.errors import BundleError
from sam3i_edge.export.clip_tokenizer import make_tokenizer_file
from sam3i_edge.tokenizer import Tokenizer, format_merges, parse_merges
from tests.conftest import BAD_MERGES, DATA

RECORDED = json.loads(gzip.decompress((DATA / "tokens.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "merges.txt.gz"
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


ODDITIES = [
    *(
        "<start_of_text>",
        "<end_of_text>",
        "<END_OF_TEXT>",
        "!<start_of_text>",
        "<|endoftext|>",
        "!",
        "!!",
        "'S",
        "'ſ",
        "ſ",
    ),
    *(
        "Σ",
        "İ",
        "ǅ",
        "ﬀ",
        "K",
        "e\u0301",
        "\ufeff",
        "\x00",
        "\x85",
        "\u2028",
        "\ufffd",
        "👨\u200d👩",
        "&amp;lt;",
        "&#39;",
    ),
    *("ÃƒÂ©", "â€œ", "fianc√©", "red", " the ", "\t\n", "1234", "½", "_", "🇩🇪"),
]
RANGES = [(0x20, 0x7F), (0xA0, 0x600), (0x900, 0x3000), (0x3000, 0xD7FF), (0x10000, 0x1FFFF)]


def test_random_text_as_in_open_clip(tokenizer, reference):
    """5,000 lines of every script, entities, mojibake, special tokens and control characters."""
    rng = random.Random(0)
    for _ in range(5000):
        parts = [
            rng.choice(ODDITIES) if rng.random() < 0.4 else chr(rng.randrange(*rng.choice(RANGES)))
            for _ in range(rng.randrange(30))
        ]
        text = "".join(parts)
        assert tokenizer.encode(text).tolist() == reference([text])[0].tolist(), repr(text)


def test_too_long_a_text_is_cut_with_a_warning(tokenizer, caplog):
    with caplog.at_level(logging.WARNING):
        ids = tokenizer.encode("word " * 50)
    assert "52 tokens; the model reads the first 32" in caplog.text
    assert len(ids) == 32
    assert ids[-1] == 49407


# Without a time in the header: every process must find the same cases
compress = partial(gzip.compress, mtime=0)
HEADER = b"#version: 0.2\n"
WHOLE = compress(HEADER + b"\n" * 999)


@pytest.mark.parametrize(
    "content",
    [*map(compress, BAD_MERGES), *(b"", HEADER, WHOLE[:-1], WHOLE[:20], WHOLE[:12] + b"\xff" + WHOLE[13:])],
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "merges.txt.gz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"merges\.txt\.gz is no CLIP tokenizer"):
        Tokenizer.from_file(path, 32)


def test_a_merge_left_out_keeps_the_ids_of_the_others(tmp_path):
    path = tmp_path / "merges.txt.gz"
    path.write_bytes(compress(HEADER + b"a b\n\nab c</w>\n"))
    ids = Tokenizer.from_file(path, 8).encode("abc ab")
    assert ids.tolist() == [515, 514, 64, 256 + 65, 516, 0, 0, 0]
    assert format_merges(parse_merges("#version: 0.2\na b\n\nab c</w>\n")) == "#version: 0.2\na b\n\nab c</w>\n"
