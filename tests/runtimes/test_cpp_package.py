"""The C++ library as others get it, by ``cmake --install`` and as a .deb: what is in it, and programs built on it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import sam3i_edge
from sam3i_edge import Segmenter, read_image
from tests.runtimes.conftest import PHOTO, ROOT, run

pytestmark = pytest.mark.slow

VERSION = sam3i_edge.__version__
IS_DEBIAN = Path("/etc/debian_version").exists()
MULTIARCH = (
    subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=False).stdout.strip()
    if shutil.which("cc")
    else ""
)
LIB = f"lib/{MULTIARCH}" if IS_DEBIAN and MULTIARCH else "lib"
"""Where Debian has the libraries of an architecture."""
FILES = {
    "bin/sam3i-segment",
    "include/sam3i_edge.h",
    *(
        f"include/sam3i_edge/{name}.hpp"
        for name in ("errors", "export", "image", "instances", "opencv", "prompt", "route", "segmenter", "verify")
    ),
    f"{LIB}/libsam3i_edge.so",
    f"{LIB}/libsam3i_edge.so.{VERSION.partition('.')[0]}",
    f"{LIB}/libsam3i_edge.so.{VERSION}",
    *(f"{LIB}/cmake/sam3i_edge/sam3i_edge-{part}.cmake" for part in ("config", "config-version", "targets")),
    f"{LIB}/cmake/sam3i_edge/sam3i_edge-targets-release.cmake",
    f"{LIB}/pkgconfig/sam3i_edge.pc",
    "share/doc/libsam3i-edge-dev/copyright",
}


@pytest.fixture(scope="module", params=["install", "deb"])
def prefix(request, checkout, built, tmp_path_factory) -> Path:
    """A folder that the library was installed to, or that a package was unpacked to."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "install":
        run(["cmake", "--install", built, "--prefix", folder, "--strip"], checkout)
        return folder
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is not here: it comes with Debian")
    run(["cpack", "-B", folder], built)
    package = next(folder.glob("*.deb"))
    assert re.fullmatch(rf"libsam3i-edge-dev_{VERSION}_\w+\.deb", package.name)
    fields = run(["dpkg-deb", "--field", package], folder)
    assert f"Version: {VERSION}\n" in fields
    depends = set(re.findall(r"[ ,]([a-z][a-z0-9.+-]+) \(>= ", fields))
    for name in ("libc6", "libstdc++6", "libssl", "libpng16", "libjpeg"):
        assert any(found.startswith(name) for found in depends), name
    assert "libopenvino" not in fields
    run(["dpkg-deb", "--extract", package, folder / "root"], folder)
    return folder / "root/usr"


@pytest.fixture
def environment(prefix) -> dict[str, str]:
    """A .deb knows nothing of the machine that made it: the user says where the runtime lies."""
    if prefix.name != "usr":
        return {}
    runtime = Path(importlib.util.find_spec("openvino").origin).parent / "libs"
    return {"LD_LIBRARY_PATH": f"{prefix / LIB}:{runtime}"}


def test_what_is_packed_names_no_folder_of_the_machine_that_built_it(prefix):
    if prefix.name != "usr":
        pytest.skip("an installation on this machine finds the runtime where the build did")
    for file in (prefix / "bin/sam3i-segment", prefix / LIB / "libsam3i_edge.so"):
        told = run(["readelf", "--dynamic", file], prefix)
        assert "NEEDED" in told and "RUNPATH" not in told and "RPATH" not in told
    folders = {str(ROOT), str(Path.home())} - {"/"}
    for text in (*prefix.rglob("*.cmake"), *prefix.rglob("*.pc")):
        assert not [folder for folder in folders if f"{folder}/" in text.read_text(encoding="utf-8")], text
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in prefix.rglob("*") if path.is_dir())


def test_it_holds_what_it_should_and_nothing_else(prefix):
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    assert found == FILES
    assert "Apache License" in (prefix / "share/doc/libsam3i-edge-dev/copyright").read_text(encoding="utf-8")
    assert (prefix / LIB / "libsam3i_edge.so").resolve().stat().st_size < 2_000_000


def test_its_symbols_are_its_own_and_versioned(prefix):
    told = run(
        ["nm", "--dynamic", "--defined-only", "--with-symbol-versions", prefix / LIB / "libsam3i_edge.so"], prefix
    )
    names = [line.split()[-1] for line in told.splitlines()]
    versions = dict(name.split("@@") for name in names if "@@" in name)
    nodes = {"SAM3I_EDGE_0.1", f"SAM3I_EDGE_CXX_{VERSION.rpartition('.')[0]}"}
    assert {name for name in names if "@@" not in name} == nodes == set(versions.values())
    header = (prefix / "include/sam3i_edge.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^SAM3I_API [^;(]*?(sam3i_\w+)\(", header, re.MULTILINE))
    assert declared == {name for name, node in versions.items() if "CXX" not in node}
    plain = run(["c++filt"], prefix, stdin="\n".join(versions.keys() - declared)).splitlines()
    assert [name for name in plain if "sam3i_edge::" not in name or name.startswith("sam3i_edge::detail::")] == []


def test_every_example_builds_with_the_installed_package_alone(prefix, environment, work, tmp_path):
    examples = shutil.copytree(ROOT / "runtimes/cpp/examples", tmp_path / "examples")  # nothing else lies beside it
    run(["cmake", "-S", examples, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"], tmp_path)
    run(["cmake", "--build", tmp_path / "build"], tmp_path, **environment)
    built = {path.name.removesuffix(".o") for path in (tmp_path / "build").rglob("*.cpp.o")}
    assert built == {path.name for path in examples.glob("*.cpp")}
    Image.fromarray(read_image(PHOTO)).save(tmp_path / "photo.ppm")
    program = tmp_path / "build/sam3i_edge_ten_lines"
    told = run([program, work / "intel-bundle", tmp_path / "photo.ppm", "hammer"], work, **environment)
    with Segmenter.load(work / "intel-bundle") as segmenter:
        found = segmenter.segment(read_image(PHOTO), "hammer")
    pairs = [(float(score), int(area)) for score, area in re.findall(r"^(\S+)  (\d+) pixels$", told, re.MULTILINE)]
    assert [score for score, _ in pairs] == pytest.approx(found.scores.tolist(), abs=1e-3)
    assert [area for _, area in pairs] == pytest.approx(found.masks.sum((1, 2)).tolist(), rel=0.01)


def test_another_version_is_not_found(prefix, tmp_path):
    wanted = "cmake_minimum_required(VERSION 3.22)\nproject(user CXX)\nfind_package(sam3i_edge {} CONFIG REQUIRED)\n"
    command = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    for version, is_found in (("0.1", True), ("0.2", False)):
        (tmp_path / "CMakeLists.txt").write_text(wanted.format(version), encoding="utf-8")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_found
    assert f"version: {VERSION}" in done.stderr


def test_a_program_in_c_by_pkg_config(prefix, environment, work, tmp_path):
    where = {"PKG_CONFIG_PATH": str(prefix / LIB / "pkgconfig")}
    flags = run(["pkg-config", "--cflags", "--libs", "sam3i_edge"], tmp_path, **where).split()
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{prefix / LIB}"]
    run(["cc", *strict, ROOT / "tests/runtimes/cpp/abi_client.c", "-o", "client", *flags], tmp_path, **environment)
    assert len(run([tmp_path / "client", work / "small"], tmp_path, **environment).splitlines()) == 3
    # A program that does not know of SIGXFSZ is not killed by it while the library fills its cache.
    limited = ["sh", "-c", 'ulimit -f 8; exec "$0" "$1"', tmp_path / "client", work / "small"]
    told = run(limited, tmp_path, **environment, SAM3I_EDGE_CACHE=str(tmp_path / "cache"))
    assert "OpenVINO could not keep what it compiled" in told


def test_its_tool_runs(prefix, environment, work):
    assert "passed on OpenVINO" in run([prefix / "bin/sam3i-segment", "--verify", work / "small"], work, **environment)
