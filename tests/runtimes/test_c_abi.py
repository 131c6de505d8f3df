"""The C ABI can grow: programs compiled with an older and with a newer header run with the library of this one."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.runtimes.conftest import ROOT, run

pytestmark = pytest.mark.slow

HEADER = (ROOT / "runtimes/cpp/include/sam3i_edge.h").read_text(encoding="utf-8")
STRUCT = re.compile(r"(typedef struct (\w+) \{.*?\n  size_t struct_size;\n.*?)(  [^\n]*;[^\n]*\n)(\} \2;)", re.DOTALL)
"""A versioned struct: its name, and its last field."""

LAST_FIELDS = {
    "sam3i_load_options": "nms",
    "sam3i_image": "stride",
    "sam3i_prompt": "negative_box_count",
    "sam3i_segment_options": "threshold",
    "sam3i_instances": "mask_stride",
}


@pytest.fixture(scope="module")
def client(built, work, tmp_path_factory):
    """What a client prints that is compiled with that header, without a warning, and run with the built library."""
    folder = tmp_path_factory.mktemp("abi")
    library = built / "runtimes/cpp"

    def printed(name: str, header: str, *flags: str) -> subprocess.CompletedProcess[str]:
        (folder / name).mkdir()
        (folder / name / "sam3i_edge.h").write_text(header, encoding="utf-8")
        source = ROOT / "tests/runtimes/cpp/abi_client.c"
        strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags]
        linked = [f"-L{library}", "-lsam3i_edge", f"-Wl,-rpath,{library}"]
        program = folder / name / "client"
        run(["cc", *strict, f"-I{folder / name}", source, "-o", program, *linked], folder)
        return subprocess.run([program, work / "small"], capture_output=True, text=True, check=False)

    return printed


def test_every_struct_but_the_box_has_its_size():
    structs = set(re.findall(r"typedef struct (\w+) \{", HEADER))
    assert structs - {"sam3i_box"} == {name for _, name, _, _ in STRUCT.findall(HEADER)} == LAST_FIELDS.keys()
    for _, name, field, _ in STRUCT.findall(HEADER):
        assert re.search(rf"\b{LAST_FIELDS[name]};", field), "a test of the ABI needs the field that was added last"


def test_older_and_newer_programs_run(client):
    """The older one lacks each struct's last field, the newer one has one more, 0 and then set."""
    ours = client("ours", HEADER)
    assert ours.returncode == 0, ours.stderr
    assert len(ours.stdout.splitlines()) == 3
    older = client("older", STRUCT.sub(r"\1\4", HEADER))
    assert (older.returncode, older.stdout) == (0, ours.stdout), older.stderr
    newer = client("newer", STRUCT.sub(r"\1\3  uint64_t later;\n\4", HEADER), "-DLATER")
    assert (newer.returncode, newer.stdout) == (0, ours.stdout), newer.stderr
    assert "A field of a sam3i_segment_options is set that this library does not know: it is version" in newer.stderr


def test_every_function_is_documented():
    """By a comment right above it; two of one kind may share one."""
    code = re.sub(r"typedef void \(\*sam3i_warning_handler\).*\n", "", HEADER)
    for match in re.finditer(r"(?:^SAM3I_API [^;]*;\n)+", code, re.MULTILINE):
        assert code[: match.start()].endswith("*/\n"), match[0]
