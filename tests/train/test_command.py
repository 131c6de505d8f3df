"""``sam3i-edge train`` as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from sam3i_edge.cli import main
from tests.train.conftest import TINY
from tests.train.shapes import write_shapes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_shapes(tmp_path_factory.mktemp("data"), count=8)
    write_shapes(folder, count=4, seed=1, split="val")
    (folder / "tiny.json").write_text(json.dumps(TINY.to_dict()))
    return folder


def command(data, output, *options, steps=4):
    values = [
        f"steps={steps}",
        "images=2",
        "prompts=2",
        "validate_every=2",
        "save_every=1",
        "workers=0",
        "mask_size=28",
    ]
    sets = [word for value in values for word in ("--set", value)]
    return ["train", "--data", str(data), "--recipe", "tabletop", *sets, "-o", str(output), *options]


def test_base_then_stage_1(data, tmp_path, capsys):
    config = ["--config", str(data / "tiny.json")]
    assert main(command(data, tmp_path / "base", "--stage", "base", *config)) == 0
    assert "trained 4 steps" in capsys.readouterr().out
    last = str(tmp_path / "base/last.safetensors")  # with its sizes beside it
    assert main(command(data, tmp_path / "1", "--stage", "1", "--checkpoint", last)) == 0
    assert (tmp_path / "1/best.safetensors").is_file()


def test_ctrl_c_leaves_a_run_that_resumes(data, tmp_path):
    output = tmp_path / "run"
    arguments = command(data, output, "--stage", "base", "--config", str(data / "tiny.json"), steps=300)
    process = subprocess.Popen([sys.executable, "-m", "sam3i_edge", *arguments], stderr=subprocess.PIPE, text=True)
    while not list(output.glob("state-0*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "go on with --resume" in errors
    (state,) = output.glob("state-0*")
    assert (state / "progress.json").is_file()
    assert f"stopped after step {int(state.name.split('-')[1])}" in errors
    # Shortened only to be quick: a run with other arguments is refused.
    assert main([*command(data, output, "--stage", "base", "--config", str(data / "tiny.json")), "--resume"]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "2"], "Stage 2 adapts a trained model: give it with --checkpoint"),
        (["--stage", "base", "--set", "steps"], "--set 'steps' is not of the form KEY=VALUE"),
        (["--stage", "base", "--checkpoint", "missing.pt"], "No checkpoint at missing.pt"),
    ],
)
def test_bad_usage_says_what_to_do(options, message, data, tmp_path, capsys):
    assert main(command(data, tmp_path / "run", *options)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
