"""The C++ library, built as the README says, for the tests that use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sam3i_edge.exporter import export
from tests.conftest import PARITY

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("cmake", "c++", "cc", "pkg-config")
HEADERS = ("gtest/gtest.h", "nlohmann/json.hpp", "openssl/evp.h")
PHOTO = next((ROOT / "sam3i_edge/demo_model/scenes/images").glob("*29.jpg"))


def missing() -> str:
    """What of the documented packages is not here."""
    programs = [name for name in PROGRAMS if not shutil.which(name)]
    if programs:
        return ", ".join(programs)
    check = "\n".join(f"#include <{header}>" for header in HEADERS)
    done = subprocess.run(["c++", "-E", "-x", "c++", "-"], input=check, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else next(iter(re.findall(r"fatal error: (\S+):", done.stderr)), "a header")


@pytest.fixture(scope="session")
def packages() -> None:
    if what := missing():
        pytest.skip(f"{what} is not here: apt install cmake g++ libgtest-dev libssl-dev nlohmann-json3-dev pkg-config")


@pytest.fixture(scope="session")
def work(packages, tmp_path_factory) -> Path:
    """A folder with two bundles: the demo model, and the recorded one."""
    path = tmp_path_factory.mktemp("cpp")
    export(output=path / "intel-bundle", target="intel-cpu")
    export(PARITY / "checkpoint.pt", PARITY / "config.json", path / "small", target="intel-cpu")
    shutil.copy(PHOTO, path / "photo.jpg")
    return path


def section() -> list[str]:
    """The README's three commands: configure, build, segment."""
    text = README.split("## C++", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)[0].splitlines()
    return [line.split("  #")[0].strip() for line in lines if not line.startswith("sudo")]


def run(command: str | list[str | Path], where: Path, *, stdin: str | None = None, **environment: str) -> str:
    """Run a command, and show all of it if it fails."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # `python` is the one that runs this
    jobs = {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count())}  # unless the caller has set it
    options = {"cwd": where, "env": jobs | os.environ | {"PATH": path} | environment, "shell": isinstance(command, str)}
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return str(done.stdout + done.stderr)


@pytest.fixture(scope="session")
def checkout(work) -> Path:
    """The C++ side as a user has it, beside the bundle and a photograph."""
    for name in ("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "runtimes", "tests"):
        (work / name).symlink_to(ROOT / name)
    return work


@pytest.fixture(scope="session")
def built(checkout) -> Path:
    """Configured and built by the README's first two commands."""
    configure, build, _ = section()
    told = run(configure, checkout)
    assert re.search(r"openvino: found: \d", told)
    run(build, checkout)
    return checkout / "build"
