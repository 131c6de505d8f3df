"""The auto route: what the built-in classifier says, and what a ``route.json`` must be."""

import json
import shutil

import numpy as np
import pytest

from sam3i_edge import Prompt, Segmenter
from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.phrases import phrases
from sam3i_edge.errors import BundleError
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import DEFAULT_FILE, RouteClassifier, buckets, fnv1a
from tests.conftest import DATA, rewrite

NATURAL, FRESH = (
    json.loads((DATA / "route" / name).read_text(encoding="utf-8")) for name in ("natural.json", "fresh.json")
)
"""Phrases after no template. The natural ones were looked at while the wordings were written, the fresh ones never."""

TOKENIZER = clip_tokenizer(32)
DEFAULT = RouteClassifier.default()


def route(text: str, classifier: RouteClassifier = DEFAULT) -> str:
    return classifier.route(TOKENIZER.encode(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mug", "concept"),
        ("yellow school bus", "concept"),
        ("mugs", "concept"),
        ("striped bowl", "concept"),
        ("used car", "concept"),
        ("the red mug left of the laptop", "simple"),
        ("second bottle from the left", "simple"),
        ("both spoons", "simple"),
        ("all the red fruit", "simple"),
        ("pick up the second apple from the left", "simple"),
        ("man wearing a hat", "simple"),
        ("what you would drink from", "complex"),
        ("something to cut with", "complex"),
        ("put this under a hot pan", "complex"),
        ("whatever is behind the laptop", "complex"),
        ("I want to read for a while, what do I need?", "complex"),
        ("the thing that would roll off the table", "complex"),
    ],
)
def test_the_three_levels(text, expected):
    assert route(text) == expected
    assert route(f"  {text.upper()}\n") == expected


@pytest.mark.parametrize(("phrases_by_level", "least"), [(NATURAL, 0.95), (FRESH, 0.9)], ids=["natural", "fresh"])
def test_phrases_of_no_template(phrases_by_level, least):
    pairs = [(text, level) for level, texts in phrases_by_level.items() for text in texts]
    assert len(pairs) >= 60
    wrong = [(text, level, route(text)) for text, level in pairs if route(text) != level]
    assert len(wrong) <= (1 - least) * len(pairs), wrong


def test_a_final_stop_and_politeness_change_little():
    texts = phrases(300, seed=7)
    for ending in (".", "!", "?", " please"):
        same = [route(text.rstrip(".!? ") + ending) == route(text.rstrip(".!? ")) for text, _ in texts]
        assert np.mean(same) >= 0.97, ending


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "🍌",
        "🍎🍌 left",
        "!",
        "?!…",
        "赤いカップ",
        "die rote Tasse links vom Laptop",
        "чашка",
        "<end_of_text>",
        "\0",
        "7" * 99,
    ],
)
def test_any_text_has_a_route(text):
    assert route(text) in ROUTES


def test_a_very_long_text_is_read_up_to_the_models_limit():
    assert route("the red mug left of the laptop " * 50) == "simple"


def test_the_documented_arithmetic():
    """Computed here once more, byte by byte, as another language would."""
    for text in ("mug", "the red mug", "", "a! b", "what you would drink from " * 9):
        tokens = TOKENIZER.encode(text)
        ids = tokens.tolist()[: tokens.tolist().index(49407) + 1]
        grams = [ids[i : i + n] for n in (1, 2, 3) for i in range(len(ids) - n + 1)]
        hashes = [fnv1a(b"".join(i.to_bytes(2, "little") for i in gram)) for gram in grams] + [fnv1a(bytes([len(ids)]))]
        found = [(h ^ h >> 16) % 16384 for h in hashes]
        assert buckets(tokens, 16384).tolist() == found
        assert DEFAULT.scores(tokens).tolist() == [sum(int(row[b]) for b in found) for row in DEFAULT.weights]


def test_fnv1a_is_the_published_hash():
    assert [fnv1a(text) for text in (b"", b"a", b"foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def test_equal_scores_go_to_the_first_route():
    assert route("anything", RouteClassifier(np.zeros((3, 8), np.int8), "")) == "concept"


def test_written_and_read_back(tmp_path):
    DEFAULT.save(tmp_path / "route.json")
    again = RouteClassifier.load(tmp_path / "route.json")
    assert np.array_equal(again.weights, DEFAULT.weights)
    assert again.note == DEFAULT.note
    assert (tmp_path / "route.json").read_bytes() == DEFAULT_FILE.read_bytes()
    assert DEFAULT_FILE.stat().st_size < 100_000


GOOD = RouteClassifier(np.zeros((3, 4), np.int8), "none").to_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "top level is"),
        ({"format": "zip"}, "format is 'zip', version 1; expected 'sam3i-edge-route', 1"),
        ({"format_version": 2}, "version 2"),
        ({"surprise": 1}, "Unknown key 'surprise'"),
        (
            {"weights": {"concept": "AAAA"}},
            r"weights are of \['concept'\]; expected \['concept', 'simple', 'complex'\]",
        ),
        ({"weights": dict.fromkeys(ROUTES, 3)}, r"weights\.concept is 3; expected str"),
        ({"weights": dict.fromkeys(ROUTES, "AAA")}, r"weights\.concept is not base64: .*padding"),
        ({"weights": dict.fromkeys(ROUTES, "AA\nAA")}, r"weights\.concept is not base64"),
        ({"weights": dict.fromkeys(ROUTES, "")}, r"weights have \[0, 0, 0\] bytes; expected 2, 4, 8"),
        ({"weights": dict.fromkeys(ROUTES, "AAAA")}, r"weights have \[3, 3, 3\] bytes; expected 2, 4, 8 … or 65536"),
        ({"weights": {**GOOD["weights"], "complex": "AAA="}}, r"weights have \[4, 4, 2\] bytes"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "route.json"
    path.write_text(content if isinstance(content, str) else json.dumps(GOOD | content))
    with pytest.raises(BundleError, match=rf"route\.json is no auto route: .*{message}.*export the bundle anew"):
        RouteClassifier.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(BundleError, match=r"route\.json is no auto route: .*No such file"):
        RouteClassifier.load(tmp_path / "route.json")


def test_a_checkpoint_may_bring_its_own(tmp_path):
    assert RouteClassifier.of_checkpoint(None) is DEFAULT
    assert RouteClassifier.of_checkpoint(tmp_path / "model.pt") is DEFAULT
    RouteClassifier(np.zeros((3, 4), np.int8), "its own").save(tmp_path / "route.json")
    assert RouteClassifier.of_checkpoint(tmp_path / "model.pt").note == "its own"


def test_a_bundle_holds_one_and_the_segmenter_asks_it(bundle, tmp_path):
    assert (bundle / "route.json").read_bytes() == DEFAULT_FILE.read_bytes()
    copy = shutil.copytree(bundle, tmp_path / "copy")
    always_complex = np.repeat(np.array([[0], [0], [1]], np.int8), 4, axis=1)
    RouteClassifier(always_complex, "").save(copy / "route.json")
    with pytest.raises(BundleError, match=r"route\.json"):
        Segmenter.load(copy)
    rewrite(copy)
    segmenter = Segmenter.load(copy)
    assert segmenter.route_of(Prompt("mug")) == "complex"
    assert segmenter.route_of(Prompt("mug", route="simple")) == "simple"
    assert Segmenter.load(bundle).route_of(Prompt("mug")) == "concept"
