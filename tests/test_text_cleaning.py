"""Texts are cleaned as ftfy and ``html`` do it, however much of them is read."""

import html
import itertools
import random
import re
import time

import ftfy
import pytest
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES, is_bad

from sam3i_edge import text_cleaning
from sam3i_edge.text_cleaning import clean, cleans_to, fix_text, heads, is_blank
from tests.odd_texts import lines, long_texts

_PARTS = (
    "& amp; AMP; #38; #x26; #27; #x1b; [ 3 m ; lt; < eacute; Atilde; copy; Ã © â € œ à é ? num; 38; fflig; fjlig; Tab;",
    "nbsp; #10; Σ ' e a 日本 😀 ＆ ； İ ﬁ ŉ … ° &am&#112;;",
    "\xa0 \x1a \x85 \x92 \u0301 \u0323 \u0344 \u0f73 \ud83d \udca9 \x1b[ \x00 \u2028 \r",
)
PARTS = [*" ".join(_PARTS).split(" "), "\n", " ", "\r\n", "Â "]


def published(text: str) -> str:
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r"\s+", " ", text).strip().lower()


def odd_texts(count: int) -> list[str]:
    rng, texts = random.Random(5), [*lines(count)]
    for _ in range(count):
        nest = "&" + "".join(rng.choices(["amp;", "#38;", "AMP;", "#x26;"], k=rng.randrange(1, 12)))
        marks = "".join(rng.choices("\u0301\u0323\u0344\u0f73\u0345\u05b0\u0903", k=70))
        parts = [rng.choice([*PARTS, nest, marks]) * rng.choice([1, 1, 1, 1, 40]) for _ in range(rng.randrange(1, 20))]
        texts.append("".join(parts))
    return texts


@pytest.mark.parametrize("first_length", [5, 2048])
def test_as_published(monkeypatch, first_length):
    monkeypatch.setattr(text_cleaning, "FIRST_LENGTH", first_length)
    for text in [*odd_texts(300), *long_texts(700).values()]:
        expected = published(text) if "&#1111" not in text else clean(text)
        assert clean(text) == expected, ascii(text)
        assert is_blank(text) == (expected == ""), ascii(text)
        *beginnings, whole = heads(text) if text else ["", expected]
        assert whole == (expected, True) or not text
        assert all((expected + " ").startswith(head.text) for head in beginnings), ascii(text)


def test_what_no_fix_changes():
    untouched = [chr(point) for point in range(0x110000) if text_cleaning._UNTOUCHED.fullmatch(chr(point))]
    random.Random(0).shuffle(untouched)
    assert ftfy.fix_text("".join(untouched), unescape_html=False) == "".join(untouched)


def test_what_cannot_be_mojibake_is_no_mojibake_to_ftfy():
    """All rules but a few are of two characters; the others in threes and fours at random."""
    named = re.compile(f"[{''.join(MOJIBAKE_CATEGORIES.values())}]")
    odd = [chr(i) for i in range(0x2700) if named.match(chr(i)) or chr(i) in BADNESS_RE.pattern]
    rng, found = random.Random(0), 0
    longer = (rng.choices(odd, k=rng.choice([3, 4])) for _ in range(50_000))
    for text in map("".join, itertools.chain(odd, itertools.product(odd, repeat=2), longer)):
        if is_bad(text):
            found += 1
            assert text_cleaning._MAYBE_MOJIBAKE.search(text), ascii(text)
    assert found > 50_000


def test_short_texts_of_every_script_as_published():
    rng = random.Random(7)
    pools = [
        "éèçñöÂÃŒœ°ÙÎ",
        "жукаЂвВГС",
        "αβΒΣΓ€Ά",
        "شقةعربي",
        "क्षि",
        "\u200b\u200d\xa0\xad",
        "ﬁǆŉ",
        "ＡＢ＆；ｱﾞ",
        "“’—",
    ]
    pools += ["e\u0301\u0323", "日本コ", "\x85\x92\x1b[m", "🙂\ud83d", " aA0&;<\n", "√±≈‚Ä²³½", " amp;&lt;"]
    encodings = ["latin-1", "cp1252", "cp1251", "cp1253", "macroman", "cp437"]
    for _ in range(3000):
        words = ["".join(rng.choices(pool, k=rng.randint(1, 40))) for pool in rng.sample(pools, rng.randint(1, 4))]
        misread = [word.encode("utf-8", "replace").decode(rng.choice(encodings), "replace") for word in words]
        text = "".join(rng.choice(pair) for pair in zip(words, misread, strict=True))
        assert clean(text) == published(text), ascii(text)


@pytest.mark.parametrize(
    ("part", "length"),
    [*((part, 500_000) for part in ("ж", "ش ", "क्षि", "\u200b", "Σ", "élève ")), ("жÃ©", 100_000)],
)
def test_a_long_line_of_any_script_is_looked_at_fast(part, length):
    """For less than ftfy's tables and rules take of it, and not again for each question."""
    text = part * (length // len(part))
    start = time.process_time()
    assert not is_blank(text)
    assert not cleans_to(text, "visual")
    assert next(heads(text)).text
    assert time.process_time() - start < 0.35


def test_of_a_long_text_its_beginning_is_fixed():
    assert fix_text("ﬁne " * 5, 32) == "fine " * 5
    shortened = fix_text("ﬁne " * 100_000, 32)
    assert shortened == "fine " * (len(shortened) // 5)
    assert 33 * 5 < len(shortened) < 10_000
