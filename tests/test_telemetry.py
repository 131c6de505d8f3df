"""Nothing leaves the device: the kernel is asked what a command sends, whichever language it is written in."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PARITY
from tests.datasets.photo import write_photo

CALLS = "connect,sendto,sendmsg,sendmmsg"
OUTSIDE = re.compile(r"AF_INET|systemd/resolve")
"""Addresses on a network, loopback included, for a resolver may listen there; and the socket of a local resolver."""

SILENCING = re.compile(r"CI|TF_BUILD|JENKINS_URL|GITHUB_ACTIONS|ORT_.*|HF_.*|DO_NOT_TRACK|XDG_.*|PYTEST.*")
"""Variables that silence telemetry, or say where it would be kept."""

SESSION = "import numpy, onnxruntime as o; o.InferenceSession({!r}, providers=['CPUExecutionProvider'])"
LOOK_UP = "import ctypes; ctypes.CDLL(None).getaddrinfo(b'example.org', None, None, ctypes.byref(ctypes.c_void_p()))"


class Watched:
    """A user's home, where nothing says that this is a test."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._log = folder / "calls"

    def run(self, *command: object) -> list[str]:
        """The calls by which a command reached out of the device, it and all processes that it began."""
        kept = {name: value for name, value in os.environ.items() if not SILENCING.fullmatch(name)}
        tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-o", str(self._log)]
        done = subprocess.run(
            [*tracer, sys.executable, *map(str, command)],
            cwd=self.home,
            env=kept | {"HOME": str(self.home), "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [line for line in self._log.read_text(errors="replace").splitlines() if OUTSIDE.search(line)]

    @property
    def left(self) -> list[Path]:
        """The files that the user has now."""
        return [path.relative_to(self.home) for path in self.home.rglob("*") if path.is_file()]


def watch(folder: Path) -> Watched:
    if not shutil.which("strace"):
        pytest.skip("strace is not here: apt install strace")
    return Watched(folder)


@pytest.fixture
def watched(tmp_path):
    return watch(tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A bundle, how its export reached out, and what it left: exporting takes too long to do it twice."""
    folder = tmp_path_factory.mktemp("watched")
    model = ("--checkpoint", PARITY / "checkpoint.pt", "--config", PARITY / "config.json")
    watched = watch(folder)
    calls = watched.run("-m", "sam3i_edge", "export", *model, "-o", folder / "bundle")
    return folder / "bundle", calls, watched.left


@pytest.fixture
def bundle(exported):
    return exported[0]


@pytest.fixture
def photo(tmp_path):
    write_photo(tmp_path, "val", "compose")
    return tmp_path / "1.png"


def test_the_watch_sees_what_the_runtimes_do_by_themselves(watched, bundle):
    assert watched.run("-c", "import openvino"), "of Python"
    assert any("intel" in path.parts for path in watched.left)
    watched.run("-c", SESSION.format(str(bundle / "graphs" / "text.onnx")))
    assert any("Microsoft" in path.parts for path in watched.left), "what ONNX Runtime would send later"
    assert watched.run("-c", LOOK_UP), "of native code"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_segment(watched, bundle, photo, runtime):
    assert watched.run("-m", "sam3i_edge", "segment", bundle, photo, "mug", "--runtime", runtime) == []
    assert watched.left == []


def test_export(exported):
    _, calls, left = exported
    assert calls == left == []


def test_evaluate(watched, bundle, photo, tmp_path):
    assert watched.run("-m", "sam3i_edge", "evaluate", bundle, "--data", tmp_path) == []
    assert watched.left == []


def test_benchmark(watched, bundle, tmp_path):
    """Its candidates run in processes of their own."""
    few = ("--rounds", 2, "--scenario-rounds", 0, "--cold-starts", 1)
    assert watched.run("-m", "sam3i_edge", "benchmark", bundle, *few, "-o", tmp_path / "report") == []
    assert watched.left == []


def test_what_a_user_imports_after_this_package_is_silent_too(watched, bundle):
    session = SESSION.format(str(bundle / "graphs" / "text.onnx"))
    assert watched.run("-c", f"import sam3i_edge, openvino; {session}") == []
    assert watched.left == []


def test_a_wish_of_the_user_stays(watched):
    ask = "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'; os.environ['DO_NOT_TRACK'] = ''; import sam3i_edge; "
    assert (
        watched.run("-c", ask + "assert os.environ['ORT_DISABLE_TELEMETRY'] + os.environ['DO_NOT_TRACK'] == '01'") == []
    )
