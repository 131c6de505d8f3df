"""The auto route: what the built-in classifier says, and what a ``route.json`` must be."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sam3i_edge.data.phrases import phrases
from sam3i_edge.errors import BundleError
from sam3i_edge.export.tokenizer_json import clip_tokenizer
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import DEFAULT_FILE, RouteClassifier, buckets, fnv1a
from tests.conftest import DATA

NATURAL = json.loads((DATA / "route" / "natural.json").read_text(encoding="utf-8"))
"""Phrases that a person wrote down, after no template."""

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


def test_natural_phrases():
    """At least 95 % of the phrases that nobody templated; each level at least 90 %."""
    right = {level: np.mean([route(text) == level for text in texts]) for level, texts in NATURAL.items()}
    assert sum(map(len, NATURAL.values())) >= 60
    assert min(right.values()) >= 0.9, right
    assert np.mean(list(right.values())) >= 0.95, right


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
        found = [(h ^ h >> 16) % 8192 for h in hashes]
        assert buckets(tokens, 8192).tolist() == found
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
        ({"weights": {"concept": [1, 2]}}, "weights are of"),
        ({"weights": {key: [1, 2, 3] for key in ROUTES}}, r"weights are .*expected 2, 4, 8 … or 65536 of each route"),
        ({"weights": {key: [] for key in ROUTES}}, r"weights are .*expected 2, 4, 8"),
        ({"weights": dict.fromkeys(ROUTES, 3)}, r"weights\.concept is 3; expected a list of int"),
        ({"weights": {**GOOD["weights"], "complex": [0, 0]}}, r"weights are .*'complex': 2\} integers"),
        (
            {"weights": {**GOOD["weights"], "simple": [0, 0, -128, 0]}},
            r"weights\.simple holds -128; expected -127 to 127",
        ),
        ({"weights": {**GOOD["weights"], "simple": [0, 0.5, 0, 0]}}, r"weights\.simple\[1\] is 0\.5; expected int"),
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


def test_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None;"
        "from sam3i_edge.route import RouteClassifier; print(RouteClassifier.default().weights.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 8192)"
