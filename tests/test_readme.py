"""The README's commands work, in its order, as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement

from tests.conftest import PARITY
from tests.runtimes.test_cpp import section

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

INSTALLS = re.compile(r"pip install '\.\[(.*)\]'")
"""Run by tests/test_device_side.py, and by ``make`` with all extras together."""
DEMO = "pip install ./sam3i_edge/demo_model"
"""Run by tests/test_layout.py."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).splitlines()
    return [line.split("  #")[0].strip() for line in lines]


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://arxiv.org/") or (ROOT / link.partition("#")[0]).exists(), link


def test_what_is_installed_is_there_to_install():
    """Every extra by its name, each a part of what ``make`` installs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = {extra for command in commands() if (found := INSTALLS.match(command)) for extra in found[1].split(",")}
    assert asked == {"export", "openvino", "data", "train", "distill", "onnxruntime"}
    (everything,) = extras["all"]
    assert asked <= set(Requirement(everything).extras)
    assert asked <= set(extras)


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("make ")])
def test_what_is_made_has_a_rule(command):
    """``.ci/run`` runs them for real."""
    subprocess.run([*command.split(), "--dry-run"], check=True, cwd=ROOT, capture_output=True)


@pytest.mark.slow
def test_commands_and_python_work_in_order(tmp_path):
    shutil.copy(PARITY / "checkpoint.pt", tmp_path)
    shutil.copy(PARITY / "config.json", tmp_path)
    shutil.copy(next((ROOT / "sam3i_edge/demo_model/scenes/images").glob("*29.jpg")), tmp_path / "photo.jpg")
    ran = 0
    for command in commands():
        if not (command.startswith("make ") or INSTALLS.match(command) or command in (DEMO, *section())):
            assert command.startswith("sam3i-edge "), command
            here = command.replace("sam3i-edge", f"'{sys.executable}' -m sam3i_edge", 1)
            subprocess.run(here, shell=True, check=True, cwd=tmp_path)
            ran += 1
    assert ran == 15
    for block in blocks("python"):
        subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path)
    assert (tmp_path / "overlay.png").exists()
