"""A process that forks after loading, or ends during a call: it ends, with its own status, and loses nothing."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TORN = (
    "RuntimeUnavailableError: This Segmenter was loaded before this process was forked, and another thread was inside "
    "it just then. Load the bundle again in this process, or start it with multiprocessing's spawn."
)
STUCK = (
    "RuntimeUnavailableError: This process was forked while another thread was loading a bundle with {}, or after one "
    "was closed: it would wait here for threads of its parent's. Start workers with multiprocessing's spawn (in C++: "
    "fork and exec), or keep what is loaded open until the fork."
)

MODULE = [sys.executable, "-m", "tests.host"]


def host(*arguments: object, command: Sequence[str] = MODULE) -> tuple[int, list[str], str]:
    """The status, the lines and the errors of a user's program."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def check_forks(status: int, lines: list[str], errors: str) -> None:
    found = lines[0]
    assert found.startswith("found masks (")
    children = ["did nothing: 7", found, "segmented: 7", "closed: 7", found, "worker: 0", TORN, "during a call: 7"]
    assert (status, lines[1:], errors) == (0, [*children, found, found], "")


def check_loads(runtime: str, status: int, lines: list[str], errors: str) -> None:
    found, stuck = lines[0], STUCK.format(runtime)
    after_the_end = stuck if runtime == "openvino" else found  # which keeps idle threads
    told = [found, "loaded beside an open one: 7", after_the_end, "loaded after one was closed: 7"]
    assert (status, lines[1:5], errors) == (0, told, "")
    # Between two loads there is nothing to refuse; the last fork fell into one.
    works, refused = (found, "loaded during a load: 7"), (stuck, "loaded during a load: 8")
    *earlier, last = zip(lines[5::2], lines[6::2], strict=True)
    assert last == refused and set(earlier) <= {works}


def check_end(status: int, lines: list[str], errors: str) -> None:
    assert (status, lines[-1], errors) == (7, "the end", "")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_children_of_a_fork_end(bundle, runtime):
    check_forks(*host(bundle, runtime, "python", "fork"))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_loading_in_a_child_works_or_is_refused(bundle, runtime):
    check_loads(runtime, *host(bundle, runtime, "python", "load"))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_end_of_the_process_waits_for_daemon_threads(bundle, runtime):
    check_end(*host(bundle, runtime, "python", "end"))
