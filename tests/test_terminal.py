"""What files say is shown as text: no byte of theirs acts on a terminal, and no output goes around the one place."""

import ast
import dataclasses
import json
import logging
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from sam3i_edge import cli, terminal
from sam3i_edge.errors import DataError
from sam3i_edge.manifest import read_manifest, write_manifest
from sam3i_edge.terminal import UNSEEN, LogFormatter, printable, show, show_error, show_json

ROOT = Path(__file__).parent.parent
EVIL = "red\x1b[2J\x1b]0;title\x07\n\rforged\x9b31m\u202eright\u2066\u2028\x7f\t\udcff\u200b mug"
"""Escape sequences (CSI, OSC, C1), line breaks, changes of direction, a lone surrogate."""

CHANNELS = {"sam3i_edge.benchmarks.worker", "sam3i_edge.terminal", "sam3i_edge.commands.progress"}
"""Modules that may write to a stream: the one place, a count that overwrites its line, a pipe between our processes."""


def acting(text: str) -> set[str]:
    """The characters of an output that act; the ends of lines are its own."""
    return {c for c in text if unicodedata.category(c) in UNSEEN and c != "\n"}


def test_text_that_acts_is_shown_as_escapes():
    assert acting(printable(EVIL)) == set() and "\n" not in printable(EVIL)
    assert printable("a\x1b\x9b\u202e\U000e0001\n\r\t") == r"a\x1b\x9b\u202e\U000e0001\n\r\t"
    assert printable("a mug, 日本語 ä – “é” ½ 🙂") == "a mug, 日本語 ä – “é” ½ 🙂"


def test_lines_are_those_of_the_program(capsys):
    show("one", EVIL, 3)
    show_error(DataError("first", f"  {EVIL}"))
    show_error(OSError(EVIL))
    out, err = capsys.readouterr()
    assert acting(out + err) == set()
    assert (len(out.splitlines()), len(err.splitlines())) == (3, 3)
    assert err.startswith("sam3i-edge: first\n  red")


def test_json_is_ascii_and_reads_back(capsys):
    show_json({EVIL: EVIL}, indent=1)
    text = capsys.readouterr().out
    assert text.isascii() and acting(text) == set()
    assert json.loads(text) == {EVIL: EVIL}


def test_a_closed_stream_takes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    show("lost", error=True)
    assert capsys.readouterr().out == ""


def test_log_records_and_their_tracebacks_are_lines():
    try:
        raise ValueError(EVIL)
    except ValueError:
        record = logging.LogRecord("x", logging.WARNING, "", 0, "of %s", (EVIL,), sys.exc_info())
    text = LogFormatter().format(record)
    assert acting(text) == set()
    assert text.startswith("sam3i-edge: of red\\x1b[2J")


def test_warnings_and_tracebacks_of_a_process_are_lines():
    code = f"""
import sys, warnings
from sam3i_edge.terminal import set_up
set_up()
warnings.warn({EVIL[:-10]!r})
raise RuntimeError({EVIL[:-10]!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    text = done.stderr.decode()
    assert done.returncode == 1 and acting(text) == set()
    assert "UserWarning: red\\x1b[2J" in text and "RuntimeError: red\\x1b[2J" in text


def test_a_bundle_and_a_report_are_shown_as_text(bundle, tmp_path, capsys):
    """Whatever a manifest says, its names included; what is refused, too."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    manifest = read_manifest(copy)
    made = manifest.provenance | {"checked_on": EVIL, "source": {"checkpoint": EVIL, "sha256": EVIL}}
    made["accuracy"] = {f"{name}{EVIL}": value for name, value in made["accuracy"].items()}
    runtime = dataclasses.replace(manifest.runtime, note=EVIL)
    file = copy / "manifest.json"
    write_manifest(copy, dataclasses.replace(manifest, runtime=runtime, provenance=made))
    for arguments in (["inspect"], ["inspect", "--json"], ["verify"]):
        assert cli.main([arguments[0], str(copy), *arguments[1:]]) == 0
    values = json.loads(file.read_text(encoding="utf-8"))
    values["runtime"]["target"][EVIL] = 1
    file.write_text(json.dumps(values))
    assert cli.main(["inspect", str(copy)]) == 1
    assert cli.main(["inspect", str(tmp_path / EVIL[:-6])]) == 1
    out, err = capsys.readouterr()
    assert acting(out + err) == set()
    assert not any(line.startswith("forged") for line in (out + err).splitlines())
    assert "red\\x1b[2J" in out and "red\\x1b[2J" in err


def test_wrong_usage_is_shown_as_text(capsys):
    with pytest.raises(SystemExit):
        cli.main(["segment", EVIL, "--surprise", EVIL])
    assert acting(capsys.readouterr().err) == set()


def modules() -> dict[str, ast.Module]:
    folders = ("sam3i_edge", "benchmarks", "distill", "quantize", "runtimes")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "studies" not in path.parts]
    return {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths if "cpp" not in path.parts}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "sam3i_edge" else ("sam3i_edge", *parts))


def around(tree: ast.AST) -> list[str]:
    """Calls that would print without ``terminal``; ``tqdm.write`` and what shows a progress bar's name included."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name == "print" or name.startswith(("sys.stdout.write", "sys.stderr.write", "logging.basicConfig")):
            found.append(name)
        if name in ("tqdm", "tqdm.write") and "printable(" not in ast.unparse(node):
            found.append(name)
    return found


def test_all_output_goes_through_the_one_place():
    assert {name: calls for name, tree in modules().items() if name not in CHANNELS and (calls := around(tree))} == {}
    assert around(ast.parse("print(1)\nsys.stderr.write('x')\ntqdm(desc=name)")) != []
    assert terminal.__name__ in modules()


def test_the_cpp_tool_and_library_print_through_one_place():
    """``show`` in the tool, and the default handler of warnings, both of which escape; others are constants."""
    allowed = (
        "bool is_whole = std::fwrite(text.data(), 1, text.size(), to)",
        "void print(std::FILE* to, const std::string& text)",
        'tools::print(to, printable(line) + "\\n")',
        'print(stderr, "error: The output could not be written: " + reason',
        'std::fprintf(stderr, "sam3i_edge: %s\\n", printable(text).c_str())',
    )
    printing = re.compile(
        r"std::(?:cout|cerr|clog|puts|printf|fprintf|fputs|fwrite|perror)\b|\bprint\((?!std..., kUsage)"
    )
    sources = [path for folder in ("src", "tools") for path in (ROOT / "runtimes/cpp" / folder).rglob("*.c*")]
    assert len(sources) > 30
    for path in sources:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not printing.search(line) or any(one in line for one in allowed), (path.name, line)
