"""The package installs whole, under one name, and its device side stays light."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("quantize", "distill", "runtimes", "benchmarks")
KINDS = (".py", ".json", ".txt", ".jpg", ".safetensors", ".md")
"""Of the files that the package needs, or shows."""


@pytest.mark.parametrize("name", LINKED)
def test_links_are_relative_and_resolve(name):
    link = ROOT / "sam3i_edge" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert (link / "__init__.py").is_file()


def test_wheel_has_every_subpackage_and_nothing_at_top_level(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sam3i_edge"}
    files = [
        path for path in (ROOT / "sam3i_edge").rglob("*") if path.suffix in KINDS and "__pycache__" not in path.parts
    ]
    ours = {path.relative_to(ROOT).as_posix() for path in files}
    assert {path.suffix for path in files} == set(KINDS)
    ours |= {f"sam3i_edge/{path.relative_to(ROOT)}" for linked in LINKED for path in (ROOT / linked).rglob("*.py")}
    cpp = "sam3i_edge/runtimes/cpp/"  # built from a checkout
    assert not any(name.startswith(cpp) for name in names)
    ours = {name for name in ours if not name.startswith(cpp)}
    assert ours - names == set()
    assert "sam3i_edge/py.typed" in names


def test_import_loads_neither_torch_nor_a_runtime():
    code = (
        "import sys, sam3i_edge, sam3i_edge.cli, sam3i_edge.verify, sam3i_edge.overlay;"
        "heavy = ('torch', 'onnx', 'onnxruntime', 'onnxscript', 'scipy', 'mujoco');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_one():
    import importlib.metadata

    import sam3i_edge

    assert importlib.metadata.version("sam3i-edge") == sam3i_edge.__version__
