"""The package installs whole, under one name, and its device side stays light."""

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomllib

import sam3i_edge

ROOT = Path(__file__).parent.parent
LINKED = ("quantize", "distill", "runtimes", "benchmarks")
DEMO = ("sam3i_edge/demo_model/", "sam3i_edge/data/tabletop/")
"""What the second wheel holds; where the demo model is, demo_model/__init__.py, is for the first to say."""
DEMO_PROJECT = ROOT / "sam3i_edge" / "demo_model"
KINDS = (".py", ".json", ".txt", ".jpg", ".safetensors", ".md", ".toml")
"""Of the files that the package needs, or shows."""
NO_DEMO = [
    "export -o x",
    "export --student default -o x",
    "demo",
    "data tabletop --split val --count 1 -o x",
    "distill --data . -o x",
    "distill plan",
    "quantize qat --data . -o x",
]


@pytest.mark.parametrize("name", LINKED)
def test_links_are_relative_and_resolve(name):
    link = ROOT / "sam3i_edge" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert (link / "__init__.py").is_file()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """For a device, and with the demo."""
    folder, built = tmp_path_factory.mktemp("wheels"), []
    for project in (ROOT, DEMO_PROJECT):
        command = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            folder / project.name,
            project,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        built += (folder / project.name).glob("*.whl")
    return built


def names_in(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheels_divide_every_file_of_the_package(wheels):
    device, demo = map(names_in, wheels)
    links = [path for linked in LINKED for path in (ROOT / linked).rglob("*.py")]
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "sam3i_edge").rglob("*") if path.suffix in KINDS]
    files += [f"sam3i_edge/{path.relative_to(ROOT)}" for path in links if "cpp" not in path.parts]
    files.remove("sam3i_edge/demo_model/pyproject.toml")
    of_demo = {name for name in files if name.startswith(DEMO)} - {"sam3i_edge/demo_model/__init__.py"}
    assert of_demo == {name for name in demo if "dist-info" not in name}
    assert {*files, "sam3i_edge/py.typed"} - of_demo == {name for name in device if "dist-info" not in name}


def test_the_wheels_are_small_and_licensed(wheels):
    device, _ = wheels
    assert device.stat().st_size < 1_000_000
    for wheel in wheels:
        assert wheel.name.endswith("-py3-none-any.whl")
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names_in(wheel))


@pytest.mark.slow
def test_the_demo_installs_into_the_package(wheels, tmp_path):
    """Both in a clean environment, which borrows what they depend on."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))

    def install(wheel):
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*pip, wheel], check=True, cwd=tmp_path)

    def run(command):
        words = [python, "-m", "sam3i_edge", *command.split()]
        return subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)

    device, demo = wheels
    install(device)
    for command in NO_DEMO:
        done = run(command)
        assert done.returncode == 1 and "pip install ./sam3i_edge/demo_model; or " in done.stderr, (
            command,
            done.stderr,
        )
        assert "is not installed: it comes with sam3i-edge-demo" in done.stderr
    for command in ("doctor", "targets"):
        assert run(command).returncode == 0
    install(demo)
    done = run("data tabletop --split val --count 1 --seed 3 -o scenes")
    assert done.returncode == 0, done.stderr
    load = (
        "from sam3i_edge import demo_model as d; from sam3i_edge.config import ModelConfig as C; "
        "from sam3i_edge.model import load; load(d.CHECKPOINT, C.of_checkpoint(d.CHECKPOINT, None)); print(d.__file__)"
    )
    done = subprocess.run([python, "-c", load], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith(str(packages))
    assert "Unknown target 'x68-cpu'" in run("export --target x68-cpu -o x").stderr


def test_import_loads_neither_torch_nor_a_runtime():
    code = (
        "import sys, sam3i_edge, sam3i_edge.cli, sam3i_edge.verification, sam3i_edge.overlay;"
        "heavy = ('torch', 'onnx', 'onnxruntime', 'onnxscript', 'scipy', 'mujoco');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_export_and_verify_are_functions_of_the_package(bundle):
    from sam3i_edge.exporter.pipeline import export

    assert sam3i_edge.export is export
    assert sam3i_edge.verify(bundle).passed
    with pytest.raises(AttributeError, match="has no attribute 'exprot'"):
        sam3i_edge.exprot  # noqa: B018


def test_without_torch_all_names_but_export_can_be_imported():
    code = "import sys; sys.modules['torch'] = None; from sam3i_edge import *; from sam3i_edge import export"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Exporting needs torch, which is not installed: pip install '.[export]'" in done.stderr


def test_the_version_is_one():
    assert importlib.metadata.version("sam3i-edge") == sam3i_edge.__version__
    demo = tomllib.loads((DEMO_PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert demo["version"] == sam3i_edge.__version__
    assert demo["dependencies"] == [f"sam3i-edge=={sam3i_edge.__version__}"]
