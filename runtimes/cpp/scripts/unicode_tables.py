"""Writes ``src/unicode_tables.inc`` and ``src/html_entities.inc``: what the C++ tokenizer knows of Unicode and HTML.

    python runtimes/cpp/scripts/unicode_tables.py

Every table is asked of the very functions that the Python tokenizer calls (``str.lower``, ``regex``, ``html``,
``ftfy``, ``unicodedata``), so that the two agree by construction; run it again when one of them changes.
"""

from __future__ import annotations

import html.entities
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import ftfy.chardata
import regex

SOURCE = Path(__file__).parent.parent / "src"
POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
WIDTH = 120


def main() -> None:
    """Write both files."""
    letters, digits, others = (ranges(matches(pattern)) for pattern in (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]"))
    combining = stretches((point, value) for point in POINTS if (value := unicodedata.combining(chr(point))))
    lower = runs((point, ord(chr(point).lower())) for point in POINTS if lowers(point))
    parts = [
        table("Range", "LETTERS", letters),
        table("Range", "DIGITS", digits),
        table("Range", "OTHERS", others),
        table("Range", "SPACES", ranges([point for point in POINTS if chr(point).isspace()])),
        table("Range", "CASED", ranges(cased())),
        table("Range", "CASE_IGNORABLE", ranges(case_ignorable())),
        table("LowerRun", "LOWER", lower),
        table("ClassRange", "COMBINING", combining),
        table("Decomposition", "DECOMPOSITIONS", decompositions()),
        table("Pair", "WIDTHS", [pad(key, value) for key, value in sorted(ftfy.chardata.WIDTH_MAP.items())]),
        table("Triple", "LIGATURES", [triple(key, value) for key, value in sorted(ftfy.chardata.LIGATURES.items())]),
        table("Replacement", "WINDOWS_1252", [(0x80 + i, ord(c)) for i, c in enumerate(windows_1252())]),
    ]
    versions = f"Python {sys.version.split()[0]}, Unicode {unicodedata.unidata_version}, regex {regex.__version__}"
    write("unicode_tables.inc", versions, parts)
    html5, ftfys = html.entities.html5, ftfy.chardata.HTML_ENTITIES
    capitals = {name[1:]: value for name, value in ftfys.items() if html5.get(name[1:]) != value}
    write(
        "html_entities.inc",
        versions,
        [entities("HTML5", html5), entities("CAPITALS", capitals), charrefs()],
    )


def matches(pattern: str) -> list[int]:
    """Whether the class matches a character of its own, ignoring case as the tokenizer's pattern does."""
    compiled = regex.compile(pattern, regex.IGNORECASE)
    return [point for point in POINTS if compiled.fullmatch(chr(point))]


def lowers(point: int) -> bool:
    """Whether a table of single characters says it; U+0130 becomes two, and is treated in the code."""
    changed = chr(point).lower()
    assert len(changed) == 1 or point == 0x130
    return len(changed) == 1 and changed != chr(point)


def cased() -> list[int]:
    """Those behind which a capital sigma is a final one, and that no other may stand between."""
    return [point for point in POINTS if (chr(point) + "Σ").lower().endswith("ς")]


def case_ignorable() -> list[int]:
    """Those that may stand between a letter and its final sigma."""
    known = set(cased())
    return [p for p in POINTS if p not in known and ("a" + chr(p) + "Σ").lower().endswith("ς")]


def decompositions() -> list[tuple[int, int, int, int]]:
    """Canonical ones, one step: (character, first, second or 0, whether NFC puts it together again)."""
    found = []
    for point in POINTS:
        text = unicodedata.decomposition(chr(point))
        if text and not text.startswith("<"):
            first, second = [int(part, 16) for part in text.split()] + [0] * (1 - text.count(" "))
            composes = bool(second) and unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(point)
            found.append((point, first, second, int(composes)))
    return found


def windows_1252() -> str:
    """What ftfy makes of C1 controls."""
    return bytes(range(0x80, 0xA0)).decode("sloppy-windows-1252")


def pad(key: int, value: str) -> tuple[int, int, int]:
    """A replacement by one or two characters."""
    assert 1 <= len(value) <= 2
    return (key, ord(value[0]), ord(value[1]) if len(value) > 1 else 0)


def triple(key: int, value: str) -> tuple[int, int, int, int]:
    """A replacement by up to three characters."""
    assert 1 <= len(value) <= 3
    points = [ord(character) for character in value] + [0, 0]
    return (key, points[0], points[1], points[2])


def ranges(points: Iterable[int]) -> list[tuple[int, ...]]:
    """Sorted points as (first, last)."""
    return [(first, last) for first, last, _ in stretches((point, 0) for point in points)]


def stretches(values: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """(first, last, value) of the points that follow one another and have the same value."""
    groups = itertools.groupby(enumerate(values), lambda item: (item[1][0] - item[0], item[1][1]))
    found = ([point for _, (point, _) in group] + [value] for (_, value), group in groups)
    return [(points[0], points[-2], points[-1]) for points in found]


def runs(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """(first, last, step, difference): every step-th character from first to last moves by the difference."""
    found: list[list[int]] = []
    for point, target in pairs:
        if found and found[-1][3] == target - point:
            first, last, step, _ = found[-1]
            if (first == last and point - last in (1, 2)) or (first != last and point - last == step):
                found[-1][1:3] = [point, point - last]
                continue
        found.append([point, point, 1, target - point])
    return [tuple(item) for item in found]


def table(kind: str, name: str, rows: Iterable[tuple[int, ...]]) -> str:
    """One array of the C++ file."""
    items = ["{" + ",".join(map(str, row)) + "}," for row in rows]
    return f"const {kind} {name}[] = {{\n{wrapped(items)}\n}};\n"


def entities(name: str, values: dict[str, str]) -> str:
    """Names, sorted by their bytes, with up to three characters."""
    items = []
    for key, value in sorted(values.items()):
        _, first, second, third = triple(0, value)
        rest = f",{second},{third}" if third else f",{second}" if second else ""
        items.append(f'{{"{key}",{first}{rest}}},')
    return f"const Entity {name}[] = {{\n{wrapped(items)}\n}};\n"


def charrefs() -> str:
    """What HTML reads some numbers as: 0 stands for nothing at all."""
    special = {}
    for number in range(0x110000):
        text = html.unescape(f"&#{number};")
        expected = "\ufffd" if 0xD800 <= number < 0xE000 else chr(number)
        if text != expected:
            special[number] = ord(text) if text else 0
    assert html.unescape("&#1114112;") == "\ufffd"
    return table("Replacement", "NUMBERS", special.items())


def wrapped(items: Iterable[str]) -> str:
    """Lines of at most ``WIDTH`` characters."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > WIDTH:
            lines.append("")
        lines[-1] += item
    return "\n".join(lines)


def write(name: str, versions: str, parts: Iterable[str]) -> None:
    """Write one file."""
    head = f"// Written by runtimes/cpp/scripts/unicode_tables.py: {versions}.\n// clang-format off\n"
    (SOURCE / name).write_text(head + "\n".join(parts), encoding="ascii")


assert re.fullmatch(r"\s", "\x1c")  # str.isspace and re agree on what white space is
if __name__ == "__main__":
    main()
