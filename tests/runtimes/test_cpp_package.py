"""The C++ library as others get it, by ``cmake --install`` and as a .deb: what is in it, and programs built on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import sam3i_edge
from sam3i_edge import Segmenter, read_image
from tests.runtimes.conftest import PHOTO, run

pytestmark = pytest.mark.slow

VERSION = sam3i_edge.__version__
FILES = {
    "bin/sam3i-segment",
    "include/sam3i_edge.h",
    *(
        f"include/sam3i_edge/{name}.hpp"
        for name in ("errors", "export", "image", "instances", "opencv", "prompt", "segmenter", "verify")
    ),
    "lib/libsam3i_edge.so",
    f"lib/libsam3i_edge.so.{VERSION.rpartition('.')[0]}",
    f"lib/libsam3i_edge.so.{VERSION}",
    *(f"lib/cmake/sam3i_edge/sam3i_edge-{part}.cmake" for part in ("config", "config-version", "targets")),
    "lib/cmake/sam3i_edge/sam3i_edge-targets-release.cmake",
    "lib/pkgconfig/sam3i_edge.pc",
    "share/doc/libsam3i-edge-dev/copyright",
}

CPP = r"""
#include <cstdio>
#include <sam3i_edge/segmenter.hpp>
#include <vector>

int main(int, char** argv) {
  try {
    sam3i_edge::Segmenter::load("none");
  } catch (const sam3i_edge::BundleError& error) {
    std::puts(error.what());
  }
  sam3i_edge::LoadOptions options;
  options.threshold = 0;
  const std::vector<std::uint8_t> grey(64 * 48 * 3, 128);
  const auto segmenter = sam3i_edge::Segmenter::load(argv[1], options);
  std::printf("%zu\n", segmenter.segment({grey.data(), 64, 48}, sam3i_edge::Prompt("mug")).size());
}
"""
C = r"""
#include <sam3i_edge.h>
#include <stdio.h>

int main(int argc, char **argv) {
  sam3i_segmenter *segmenter = NULL;
  if (argc != 2 || sam3i_segmenter_load("none", NULL, &segmenter) != SAM3I_BUNDLE_ERROR) return 1;
  puts(sam3i_last_error());
  if (sam3i_segmenter_load(argv[1], NULL, &segmenter) != SAM3I_OK) return 2;
  sam3i_segmenter_free(segmenter);
  return 0;
}
"""
CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(user CXX)
find_package(sam3i_edge 0.1 CONFIG REQUIRED)
add_executable(user main.cpp)
target_link_libraries(user PRIVATE sam3i_edge::runtime)
"""


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
    assert "Depends: libc6, libstdc++6\n" in fields
    run(["dpkg-deb", "--extract", package, folder / "root"], folder)
    return folder / "root/usr"


def test_it_holds_what_it_should_and_nothing_else(prefix):
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    assert found == FILES
    assert "Apache License" in (prefix / "share/doc/libsam3i-edge-dev/copyright").read_text(encoding="utf-8")
    assert (prefix / "lib/libsam3i_edge.so").resolve().stat().st_size < 2_000_000


def test_its_symbols_are_its_own_and_versioned(prefix):
    told = run(["nm", "--dynamic", "--defined-only", "--with-symbol-versions", prefix / "lib/libsam3i_edge.so"], prefix)
    names = [line.split()[-1] for line in told.splitlines()]
    node = "SAM3I_EDGE_0.1"
    assert all(name == node or name.endswith(f"@@{node}") for name in names)
    plain = run(["c++filt"], prefix, stdin="\n".join(name.partition("@@")[0] for name in names)).splitlines()
    foreign = [name for name in plain if "sam3i_" not in name and name != node]
    assert foreign == []
    assert not [name for name in plain if name.startswith("sam3i_edge::detail::")]
    header = (prefix / "include/sam3i_edge.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^SAM3I_API [^;(]*?(sam3i_\w+)\(", header, re.MULTILINE))
    assert declared == {
        name for name in plain if re.fullmatch(r"sam3i_\w+", name) and not name.startswith("sam3i_edge")
    }


def test_a_program_by_find_package(prefix, work, tmp_path):
    (tmp_path / "main.cpp").write_text(CPP, encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE, encoding="utf-8")
    run(["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"], tmp_path)
    run(["cmake", "--build", tmp_path / "build"], tmp_path)
    lines = run([tmp_path / "build/user", work / "small"], tmp_path).splitlines()
    assert lines[0].startswith("none does not exist.")
    with Segmenter.load(work / "small") as segmenter:
        assert int(lines[1]) == segmenter.manifest.limits.max_instances


def test_another_version_is_not_found(prefix, tmp_path):
    (tmp_path / "main.cpp").write_text(CPP, encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE.replace("sam3i_edge 0.1", "sam3i_edge 0.2"), encoding="utf-8")
    done = subprocess.run(
        ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"version: {VERSION}" in done.stderr


def test_a_program_in_c_by_pkg_config(prefix, work, tmp_path):
    (tmp_path / "main.c").write_text(C, encoding="utf-8")
    where = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = run(["pkg-config", "--cflags", "--libs", "sam3i_edge"], tmp_path, **where).split()
    strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run(["cc", *strict, "main.c", "-o", "plain", *flags, f"-Wl,-rpath,{prefix / 'lib'}"], tmp_path)
    assert "none does not exist." in run([tmp_path / "plain", work / "small"], tmp_path)


def test_its_tool_runs(prefix, work):
    assert "passed on OpenVINO" in run([prefix / "bin/sam3i-segment", "--verify", work / "small"], work)
    told = run([prefix / "bin/sam3i-segment", work / "intel-bundle", PHOTO, "hammer"], work)
    with Segmenter.load(work / "intel-bundle") as segmenter:
        assert told.startswith(f"{len(segmenter.segment(read_image(PHOTO), 'hammer'))} found")
