"""Text as the tokenizer reads it: mojibake repaired, HTML entities resolved, white space collapsed, in lower case.

It is what the published tokenizer does: ftfy, ``html.unescape`` twice, white space, ``lower``. ftfy's loop is written
out here, with its own fixes, because two inputs cost it time with the square of their length: nested entities, of which
each pass resolves one level, and long runs of combining marks, which ``unicodedata`` sorts by insertion. And of a long
text only as much is cleaned as the caller wants to read: ftfy fixes every line by itself.
"""

from __future__ import annotations

import contextlib
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import regex
from ftfy import chardata, fixes
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad

FIRST_LENGTH = 2048
"""Characters of the first ``Head``; each further one is of four times as many."""
COUNTED_LENGTH = 1024
"""Characters of the longest cleaned text whose tokens are counted, to say by how much it is too long."""
LONGEST_SEGMENT = 1_000_000
"""ftfy's: what it fixes at once of a line that is longer."""

_VANISHING = r"\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc"  # as ftfy's remove_control_chars
_SPACES = "\\t\\n\\f\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_BLANK_LINES = re.compile(rf"[{_VANISHING}{_SPACES}]*\n")
_AMPERSAND = r"(?:amp|AMP|#0{0,21}38|#[xX]0{0,20}26);"
_NESTED = regex.compile(rf"&{_AMPERSAND}(?:{_AMPERSAND})++")
_NAMED_NESTED = regex.compile(r"&(?:amp;|AMP;)++")
_UNTOUCHED = re.compile(r"[\t\n\f -%'-~\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3\U0001f300-\U0001faff]*")
"""No fix changes these, wherever they stand among themselves."""
_SURELY_SEEN = re.compile(r"[0-9A-Za-z\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3]")
"""Characters that stay what they are, unless they belong to an entity or an escape sequence."""
SHORT = 80
_PLAIN_CATEGORIES = ("common", "kaomoji", "lower_common", "upper_common")
_ODD = "".join(text for name, text in MOJIBAKE_CATEGORIES.items() if name not in _PLAIN_CATEGORIES) + "°ÙЂ"
_MAYBE_MOJIBAKE = re.compile(rf"[{_ODD}](?:[^\x00-\x7f]|(?<=[^\x00-\x7f].)|(?<=[\x80-\x9fÂÃŒœ]))")
"""What ftfy takes for mojibake has one of these characters, and that one stands beside another one that is not ASCII,
unless it is one of the last few. ftfy's own search, of many rules, takes tens of times as long."""


def _any_of(table: dict[int, Any]) -> re.Pattern[str]:
    return re.compile(f"[{''.join(re.escape(chr(point)) for point in table)}]")


_TAKEN_APART, _NOT_STANDARD_WIDTH, _CONTROLS = (
    _any_of(table) for table in (chardata.LIGATURES, chardata.WIDTH_MAP, chardata.CONTROL_CHARS)
)
"""What ``str.translate`` would change; searching is ten times as fast."""
_MARKS = regex.compile(r"\p{M}{32,}+")
_LEADING_ZEROS = re.compile(r"&#0{8,}")
_BEYOND_UNICODE = re.compile(r"&#0*[1-9][0-9]{7,}")
_NO_ENTITY_CROSSES = "\t\n\f "


class Head(NamedTuple):
    """The beginning of a cleaned text."""

    text: str
    is_whole: bool
    """Whether it is all of it. If not, the text may go on within its last word."""


def heads(text: str) -> Iterator[Head]:
    """Beginnings of the cleaned text, each longer than the one before, up to the whole."""
    fixed, wanted = "", FIRST_LENGTH
    for segment in _fixed_segments(text):
        fixed += segment
        while len(fixed) > wanted:
            yield Head(_beginning(fixed[:wanted]), False)
            wanted *= 4
    yield Head(_finished(fixed).strip().lower(), True)


def clean(text: str) -> str:
    """All of the cleaned text."""
    return _finished("".join(_fixed_segments(text))).strip().lower()


def is_blank(text: str) -> bool:
    """Whether nothing is left of it when it is cleaned."""
    if _SURELY_SEEN.search(text) and not any(sign in text for sign in "&＆\x1b"):
        return False
    return not any(head.text.strip() for head in heads(text))


def cleans_to(text: str, cleaned: str) -> bool:
    """Whether this is all that is left of it when it is cleaned."""
    for head in heads(text):
        if head.is_whole or not cleaned.startswith(head.text.rstrip()):
            return head.text == cleaned
    return cleaned == ""


def fix_text(text: str, words: int) -> str:
    """As ``ftfy.fix_text``, for a tokenizer that reads no more than ``words`` words: of a longer text the beginning."""
    fixed, wanted = "", FIRST_LENGTH
    for segment in _fixed_segments(text):
        fixed += segment
        while len(fixed) > wanted:
            beginning = fixed[: max(fixed.rfind(space, 0, wanted) for space in _NO_ENTITY_CROSSES) + 1]
            cleaned = _finished(beginning).strip()
            if len(cleaned) > COUNTED_LENGTH and cleaned.count(" ") >= words:
                return beginning
            wanted *= 4
    return fixed


def _fixed_segments(text: str) -> Iterator[str]:
    """The parts of ``fix_text``; of many blank lines one."""
    start, unescape = 0, True
    while start < len(text):
        if blank := _BLANK_LINES.match(text, start):
            yield "\n"
            start = blank.end()
            continue
        end = text.find("\n", start, start + LONGEST_SEGMENT) + 1 or start + LONGEST_SEGMENT
        segment = text[start:end]
        unescape = unescape and "<" not in segment  # it says that this is HTML itself, from here on
        yield (_fix_line if len(segment) <= SHORT else _fix_last)(segment, unescape)
        start = end


def _fix_segment(text: str, unescape: bool) -> str:
    """What ftfy makes of one segment: its fixes, again and again until nothing changes."""
    if _UNTOUCHED.fullmatch(text):
        return text
    if unescape and text.isascii() and not any(part in text for part in ("#", "num;", "\x1b")):
        # No two of the rules that apply here meet in a character, so that their order does not matter: all levels of
        # nested entities are resolved first. It holds as long as no entity brings in what is not ASCII.
        fixed = _until_stable(_NAMED_NESTED.sub("&", text), only_ascii=True)
        if fixed is not None:
            return fixed
    if unescape:
        fixed = _until_stable(text)
        assert fixed is not None
        return fixed
    while (fixed := _fix_once(text)) != text:
        text = fixed
    return text


_fix_line = lru_cache(maxsize=1024)(_fix_segment)
_fix_last = lru_cache(maxsize=1)(_fix_segment)
"""A text is looked at when it is given, and then read: the long line that both begin with is fixed once."""


def _until_stable(text: str, only_ascii: bool = False) -> str | None:
    """Unescape and fix until nothing changes; None where ``only_ascii`` does not hold."""
    while True:
        fixed = _fix_once(fixes.unescape_html(text))
        if only_ascii and not fixed.isascii():
            return None
        if fixed == text:
            return fixed
        text = _without_equal_passes(text, fixed)


def _without_equal_passes(before: str, after: str) -> str:
    """``after``; where all that a pass did is to resolve one level of each nest, the levels of equal passes to come.

    Such passes go on until the least nest is nearly resolved. Three levels stay: more than any fix looks at.
    """
    levels = [nest[0].count(";") for nest in _NESTED.finditer(before)]
    spare = min(levels, default=0) - 4
    if spare <= 0 or _NESTED.sub(lambda nest: _less_nested(nest[0], 1), before) != after:
        return after
    return str(_NESTED.sub(lambda nest: _less_nested(nest[0], spare), after))


def _less_nested(nest: str, levels: int) -> str:
    return "&" + nest.split(";", levels)[-1]


def _fix_once(text: str) -> str:
    """One pass of ftfy's fixes but the entities."""
    if not text.isascii():
        text = _fix_encoding(text)
        text = fixes.fix_c1_controls(text)
        if _TAKEN_APART.search(text):
            text = fixes.fix_latin_ligatures(text)
        if _NOT_STANDARD_WIDTH.search(text):
            text = fixes.fix_character_width(text)
        text = fixes.uncurl_quotes(text)
    text = fixes.fix_line_breaks(text)
    if not text.isascii():
        text = fixes.fix_surrogates(text)
    text = fixes.remove_terminal_escapes(text)
    return _composed(fixes.remove_control_chars(text) if _CONTROLS.search(text) else text)


def _fix_encoding(text: str) -> str:
    """As ``ftfy.fix_encoding``, which looks at each of many equal pieces of mojibake anew."""
    while (fixed := _fix_encoding_once(text)) != text:
        text = fixed
    return text


def _fix_encoding_once(text: str) -> str:
    if not _MAYBE_MOJIBAKE.search(text) or not is_bad(text):
        return text
    possible = [encoding for encoding in chardata.CHARMAP_ENCODINGS if chardata.possible_encoding(text, encoding)]
    for encoding in possible:
        with contextlib.suppress(UnicodeDecodeError):
            return _decoded(text, encoding)
    fixed = chardata.UTF8_DETECTOR_RE.sub(lambda piece: _fix_piece(piece[0]) if piece[0] != text else text, text)
    if fixed == text and "latin-1" in possible:
        with contextlib.suppress(UnicodeDecodeError):
            fixed = text.encode("latin-1").decode("windows-1252")
    return fixed if fixed != text else str(fixes.fix_c1_controls(text))


def _decoded(text: str, encoding: str) -> str:
    """What was UTF-8 before it was read in another encoding. Raises UnicodeDecodeError."""
    content = text.encode(encoding)
    if encoding != "macroman" and chardata.ALTERED_UTF8_RE.search(content):  # there it would be a dash and a space
        content = fixes.restore_byte_a0(content)
    if encoding.startswith("sloppy"):
        content = fixes.replace_lossy_sequences(content)
    return content.decode("utf-8-variants" if 0xED in content or 0xC0 in content else "utf-8")


@lru_cache(maxsize=4096)
def _fix_piece(piece: str) -> str:
    return _fix_encoding(piece) if is_bad(piece) else piece


def _composed(text: str) -> str:
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _MARKS.sub(_in_canonical_order, text))


def _in_canonical_order(marks: regex.Match[str]) -> str:
    """A run of marks as ``unicodedata`` orders it."""
    run = marks[0].translate({ord(mark): unicodedata.normalize("NFD", mark) for mark in set(marks[0])})
    classes = {mark: unicodedata.combining(mark) for mark in set(run)}
    if all(classes.values()):
        return "".join(sorted(run, key=classes.__getitem__))
    parts = groupby(run, lambda mark: classes[mark] == 0)
    return "".join("".join(part if is_start else sorted(part, key=classes.__getitem__)) for is_start, part in parts)


def _finished(fixed: str) -> str:
    """Entities resolved, white space collapsed."""
    return re.sub(r"\s+", " ", _unescape(_unescape(fixed)))


def _unescape(text: str) -> str:
    """``html.unescape``, for numbers of any length too: Python reads no more than 4300 digits."""
    if "&#" in text:
        text = _BEYOND_UNICODE.sub("&#1114112", _LEADING_ZEROS.sub("&#0", text))
    return html.unescape(text)


def _beginning(fixed: str) -> str:
    """What the cleaned text begins with, whatever follows ``fixed``.

    It ends before an entity that may go on, or a sigma that may yet be the last letter of a word.
    """
    last = max(fixed.rfind(space) for space in _NO_ENTITY_CROSSES) + 1
    entity = fixed.find("&", last)
    lowered = _finished(fixed if entity < 0 else fixed[:entity]).lstrip().lower()
    sigma = max(lowered.rfind("σ"), lowered.rfind("ς"))
    return lowered if sigma < 0 or " " in lowered[sigma:] else lowered[:sigma]
