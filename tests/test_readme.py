"""The README's commands work, in its order, as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PARITY
from tests.runtimes.test_cpp import section

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

RUN_ELSEWHERE = {
    "make demo": (".ci/run", "make demo"),
    "make test": (".ci/run", "make test"),
    "pip install '.[export,openvino]'": ("Makefile", '".[all,dev]"'),  # all holds both
    "pip install '.[data,train]'": ("Makefile", '".[all,dev]"'),
    "pip install '.[distill]'": ("Makefile", '".[all,dev]"'),
    **dict.fromkeys(section(), ("tests/runtimes/test_cpp.py", "section()")),
    "pip install '.[onnxruntime,openvino]'": ("tests/test_device_side.py", "[onnxruntime,openvino]"),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).splitlines()
    return [line.split("  #")[0].strip() for line in lines]


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://arxiv.org/") or (ROOT / link).exists(), link


def test_what_is_run_elsewhere_is_run_there():
    for file, fragment in RUN_ELSEWHERE.values():
        assert fragment in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.slow
def test_commands_and_python_work_in_order(tmp_path):
    shutil.copy(PARITY / "checkpoint.pt", tmp_path)
    shutil.copy(PARITY / "config.json", tmp_path)
    shutil.copy(next((ROOT / "sam3i_edge/shipped/scenes/images").glob("*29.jpg")), tmp_path / "photo.jpg")
    ran = 0
    for command in commands():
        if command not in RUN_ELSEWHERE:
            assert command.startswith("sam3i-edge "), command
            here = command.replace("sam3i-edge", f"'{sys.executable}' -m sam3i_edge", 1)
            subprocess.run(here, shell=True, check=True, cwd=tmp_path)
            ran += 1
    assert ran == 15
    for block in blocks("python"):
        subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path)
    assert (tmp_path / "overlay.png").exists()
