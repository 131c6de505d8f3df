"""A run goes on from a state that is as it was written, or says which file is not and what to do."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch

from sam3i_edge.bundle import sha256_of
from sam3i_edge.errors import TrainingError
from sam3i_edge.train.state import SUMS_FILE
from tests.train.conftest import tiny_model
from tests.train.test_loop import run

FILES = (
    "average.safetensors",
    "model.safetensors",
    "optimizer.bin",
    "progress.json",
    "random_states_0.pkl",
    SUMS_FILE,
)
RECIPE = {"ema": 0.5}


@pytest.fixture(scope="module")
def stopped(samples, tmp_path_factory):
    """The folder of a run that was stopped after its second step."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    run(tiny_model(), "base", samples, folder, stop_after=2, recipe=RECIPE)
    return folder


@pytest.fixture
def state(stopped, tmp_path):
    """The state of a copy of it, to be damaged."""
    (state,) = shutil.copytree(stopped, tmp_path / "run").glob("state-*")
    return state


def resume(state, samples):
    return run(tiny_model(), "base", samples, state.parent, resume=True, recipe=RECIPE)


def vouch(state):
    """As one who tampers would."""
    sums = {file.name: sha256_of(file) for file in state.iterdir() if file.name != SUMS_FILE}
    (state / SUMS_FILE).write_text(json.dumps(sums))


def test_it_has_these_files_and_all_are_vouched_for(state):
    assert sorted(file.name for file in state.iterdir()) == sorted(FILES)
    assert json.loads((state / SUMS_FILE).read_text()).keys() == {*FILES} - {SUMS_FILE}


@pytest.mark.parametrize("name", [name for name in FILES if name != SUMS_FILE])
def test_a_file_that_is_cut_changed_or_missing_is_named(name, state, samples):
    content = (state / name).read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    for damaged in (content[:-1], content[: len(content) // 2], b"", bytes(changed), None):
        (state / name).write_bytes(damaged) if damaged is not None else (state / name).unlink()
        with pytest.raises(
            TrainingError, match=rf"{name} (is|cannot be).*the run cannot go on from there\. Remove .*run,"
        ):
            resume(state, samples)


def test_without_the_sums_nothing_is_loaded(state, samples):
    content = (state / SUMS_FILE).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"{}", b"[" * 100_000, None):
        (state / SUMS_FILE).write_bytes(damaged) if damaged is not None else (state / SUMS_FILE).unlink()
        with pytest.raises(TrainingError, match=rf"{SUMS_FILE} is missing or damaged \(.*the run cannot go on"):
            resume(state, samples)


def test_an_earlier_state_that_a_kill_left_is_the_remedy(state, samples):
    shutil.copytree(state, state.with_name("state-00000003"))
    (state.with_name("state-00000003") / "optimizer.bin").unlink()
    with pytest.raises(TrainingError, match=r"Remove \S+state-00000003 to go on from state-00000002"):
        resume(state, samples)
    shutil.rmtree(state.with_name("state-00000003"))
    assert resume(state, samples).step == 6


def test_a_full_disk_is_said_and_leaves_the_state_before(state, samples, full_disk):
    before = {file.name: file.read_bytes() for file in state.iterdir()}
    with pytest.raises(
        TrainingError, match=r"The checkpoint could not be written to \S+run \(.+\)\. The one before is"
    ):
        resume(state, samples)
    assert {file.name: file.read_bytes() for file in state.iterdir()} == before
    assert not list(state.parent.glob("*partial*"))


class Evil:
    def __init__(self, file):
        self._file = file

    def __reduce__(self):
        return os.mkdir, (str(self._file),)


def _nested(state):
    content = torch.load(state / "optimizer.bin", weights_only=True)
    for kept in content["state"].values():
        kept["exp_avg"] = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save(content, state / "optimizer.bin")


def _other_shapes(state):
    content = torch.load(state / "optimizer.bin", weights_only=True)
    for kept in content["state"].values():
        kept["exp_avg"] = torch.zeros(7)
    torch.save(content, state / "optimizer.bin")


DAMAGES = {
    "cut random state": lambda state: (state / "random_states_0.pkl").write_bytes(b"PK"),
    "empty random state": lambda state: torch.save({}, state / "random_states_0.pkl"),
    "code in the random state": lambda state: torch.save(Evil(state.parent / "ran"), state / "random_states_0.pkl"),
    "code in the optimizer": lambda state: torch.save(Evil(state.parent / "ran"), state / "optimizer.bin"),
    "nested tensors": _nested,
    "other shapes": _other_shapes,
    "no progress": lambda state: (state / "progress.json").write_text("[" * 100_000),
    "other progress": lambda state: (state / "progress.json").write_text('{"step": "many"}'),
    "other weights": lambda state: shutil.copy(state / "average.safetensors", state / "model.safetensors"),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("damage", DAMAGES)
def test_files_of_another_content_are_refused_and_run_nothing(damage, state, samples):
    DAMAGES[damage](state)
    vouch(state)
    with pytest.raises(TrainingError, match=r"state-00000002 cannot be loaded \(.+\): the run cannot go on from there"):
        resume(state, samples)
    assert not (state.parent / "ran").exists()
