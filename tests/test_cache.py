"""Where there is no place for a cache, everything works without one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sam3i_edge import cache
from sam3i_edge.cache import VARIABLE, cache_folder

NOBODY = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
"""A user that the system does not know, as containers and services run programs."""

LOOK = "import sam3i_edge, openvino, onnxruntime; from sam3i_edge.cache import cache_folder; print(cache_folder('x'))"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "home"}, {"XDG_CACHE_HOME": "cache"}], ids=str)
def test_a_user_without_a_home(environment):
    done = subprocess.run(
        [*NOBODY, sys.executable, "-c", LOOK],
        cwd="/",
        env={"PYTHONPATH": str(Path(__file__).parents[1])} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "None\n", done.stderr
    assert done.stderr == (
        f"There is no home folder for a cache: loading takes longer. Set {VARIABLE} to a folder, or to nothing.\n"
    )


def test_an_older_platformdirs_gives_a_relative_folder(monkeypatch, tmp_path, caplog):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache.platformdirs, "user_cache_path", lambda name: Path("~/.cache") / name)
    assert cache_folder("x") is None
    assert "There is no home folder for a cache" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_relative_home_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder("x") == tmp_path / "user" / "sam3i-edge" / "x"
    assert list(tmp_path.iterdir()) == [tmp_path / "user"]
