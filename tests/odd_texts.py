"""Texts that nobody would type: for the tokenizer, in Python and in C++."""

from __future__ import annotations

import random
from collections.abc import Iterable

WORDS_IN_ONE = (
    "red~mug~the~left of~don't~it's~we'll~I'M~GRÜN~ΣΊΣΥΦΟΣ~ὈΔΥΣΣΕΎΣ~İSTANBUL~ﬁne~日本語の~コップ~ﾊﾝｶｸ~"
    "ＦＵＬＬ\u3000ＷＩＤＴＨ~한국어~한글~हिन्दी~ไทย~العربية~עברית~Việt~кружка~Ελληνικά~ქართული~አማርኛ~தமிழ்~e\u0301~"
    "a\u0323\u0302~\u1100\u1161\u11a8~👨\u200d👩\u200d👧~🇩🇪~👍🏽~&amp;~&lt;b&gt;~&amp;amp;lt;~&eacute;~"
    "&EACUTE;~&notit~&#39;~&#x2019;~&#128;~&#xD800;~&#0;~&#99999999;~&hellip~&SZLIG;~<b>~<start_of_text>~"
    "<END_OF_TEXT>~<|endoftext|>~“quoted”~it’s~1234~½~٣~Ⅷ~②~_~--~...~!~!!~'ſ~ſ~K~\x1b[31mred\x1b[0m~"
    "\ufeff~\x00~\x85~\u2028~\xa0~\t~\n~\r\n~\u3000~\u200b~\u0345~ǆ~Ǆungla~𝐀~\U000e0041~\ufffd~"
    "ÃƒÂ©~â€œ~fianc√©~!<start_of_text>~ the "
)
WORDS = WORDS_IN_ONE.split("~")
RANGES = [
    (0x20, 0x7F),
    (0xA0, 0x250),
    (0x250, 0x600),
    (0x600, 0xE00),
    (0xE00, 0x3000),
    (0x3000, 0xA000),
    (0xA000, 0xD7FF),
]
RANGES += [(0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x323AF), (0xE0000, 0xE01F0), (0x0, 0x20), (0x7F, 0xA0)]


def lines(count: int) -> Iterable[str]:
    """Texts of every script with entities, special tokens, emoji and control characters, some very long."""
    rng = random.Random(0)
    for number in range(count):
        parts = [
            rng.choice(WORDS) if rng.random() < 0.7 else chr(rng.randrange(*rng.choice(RANGES)))
            for _ in range(rng.randrange(1, 12))
        ]
        yield rng.choice(["", " "]).join(parts) * (200 if number % 500 == 499 else 1)


def long_texts(length: int) -> dict[str, str]:
    """Texts of about ``length`` characters by what is long in them. Only their beginning can count, if anything."""
    rng = random.Random(1)

    def some(letters: str, count: int) -> str:
        return "".join(rng.choices(letters, k=count))

    letters = "abcdefghijklmnopqrstuvwxyz"
    han = "".join(map(chr, range(0x4E00, 0x9FA5)))
    return {
        "letters": some(letters, length),
        "one letter": "a" * length,
        "a URL": "see https://x.y/" + some(letters + "/?=&", length),
        "a data URL": "data:image/png;base64," + some(letters + letters.upper() + "0123456789+/", length),
        "Han": some(han, length),
        "Han with an entity": "&eacute;" + some(han, length),
        "punctuation": some("!@#$%^*()[]{}", length),
        "words": " ".join(some(letters, 5) for _ in range(length // 6)),
        "lines": "\n".join(some(letters, 76) for _ in range(length // 77)),
        "emoji": "😂" * length,
        "mojibake": "Ã©" * (length // 2),
        "nested": "&" + "amp;" * (length // 4) + "lt;",
        "nested numbers": "&" + "#38;" * (length // 4) + "lt;",
        "nested after a letter": "é&" + "amp;" * (length // 4) + "lt;",
        "many nests": " ".join("&" + "amp;" * rng.randrange(1, 40) for _ in range(length // 85)),
        "ampersands": "&" * length,
        "digits": "&#" + "1" * length + ";",
        "zeros": "&#" + "0" * length + "65;",
        "marks": "a" + "\u0301\u0323" * (length // 2),
        "marks that come apart": "a" + "\u0f73" * length,
        "sigmas": "Σ" * length,
        "spaces": "a" + " " * length + "b",
        "blank lines": "a" + " \x00\n" * (length // 3) + "b",
        "lines that vanish": "&nbsp;\n" * (length // 7) + "b",
        "controls": "\x00" * length + "b",
        "escapes": "\x1b[" * (length // 2) + "m",
    }
