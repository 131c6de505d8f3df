"""The generator: the same for the same arguments, whatever the workers, and after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sam3i_edge.data import hmpl
from sam3i_edge.data.tabletop.catalogue import held_out
from sam3i_edge.data.tabletop.generate import generate
from sam3i_edge.errors import DataError

COUNT, SEED, SIZE = 60, 5, 96


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 scenes, made in one process."""
    folder = tmp_path_factory.mktemp("tabletop")
    generate(folder, "compose", COUNT, SEED, size=SIZE, workers=1)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_workers_change_nothing(made: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    file = generate(tmp_path, "compose", COUNT, SEED, size=SIZE, workers=2, progress=lambda done, _: seen.append(done))
    assert file == tmp_path / "sam3i_compose.json"
    assert sorted(seen) == seen and seen[-1] == COUNT
    assert contents(tmp_path) == contents(made)


def test_a_killed_run_continues(made: Path, tmp_path: Path) -> None:
    call = (
        "from sam3i_edge.data.tabletop.generate import generate; "
        f"generate({str(tmp_path)!r}, 'compose', {COUNT}, {SEED}, size={SIZE}, workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", call])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".tabletop_compose/*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "sam3i_compose.json").exists()
    with pytest.raises(DataError, match=r"job.json was made with other arguments"):
        generate(tmp_path, "compose", COUNT, SEED + 1, size=SIZE, workers=1)
    generate(tmp_path, "compose", COUNT, SEED, size=SIZE, workers=1)
    assert contents(tmp_path) == contents(made)


def test_a_scene_does_not_depend_on_how_many_there_are(made: Path, tmp_path: Path) -> None:
    generate(tmp_path, "compose", 2, SEED, size=SIZE, workers=1)
    for name in ("000001.jpg", "000002.jpg"):
        path = f"images/compose/{name}"
        assert (tmp_path / path).read_bytes() == (made / path).read_bytes()


def test_another_run_into_the_same_folder_is_refused(made: Path) -> None:
    with pytest.raises(DataError, match=r"sam3i_compose.json was made with other arguments: .*Choose another folder"):
        generate(made, "compose", COUNT + 1, SEED, size=SIZE)
    assert generate(made, "compose", COUNT, SEED, size=SIZE) == made / "sam3i_compose.json"


def test_the_layout_is_what_the_loader_reads(made: Path) -> None:
    loaded = hmpl.load_samples(made, "compose")
    assert not loaded.problems
    assert len(loaded.samples) == COUNT
    routes = {query.route for sample in loaded.samples for query in sample.queries}
    assert routes == {"concept", "simple", "complex"}
    assert any(not query.targets for sample in loaded.samples for query in sample.queries)
    assert any(len(query.targets) > 1 for sample in loaded.samples for query in sample.queries)


def test_every_compose_picture_shows_a_held_out_combination(made: Path) -> None:
    values = json.loads((made / "sam3i_compose.json").read_text())
    shown = {
        annotation["image_id"]
        for annotation in values["annotations"]
        if held_out(annotation["attributes"]["kind"], annotation["attributes"]["colour"])
    }
    assert shown == {image["id"] for image in values["images"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("test", 1, 0), r"Unknown split 'test'. Known: train, val, compose"),
        (("train", 0, 0), r"count is 0; it must be between 1 and 999999"),
        (("train", 1, -1), r"seed is -1; it must be between 0 and"),
        (("train", 1, 0, 32), r"size is 32; it must be between 64 and 512 pixels"),
        (("train", 1, 0, 224, -1), r"workers is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()
