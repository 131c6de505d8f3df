"""The commands as a user types them, in a process of their own."""

import argparse
import dataclasses
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from pycocotools import mask as coco

from sam3i_edge import cli
from sam3i_edge.commands import targets
from sam3i_edge.commands.io import output_folder, write_output
from sam3i_edge.commands.signals import stop_on_signals
from sam3i_edge.manifest import read_manifest, write_manifest
from tests.conftest import CASES, PARITY
from tests.test_verify import perturb

CHECKPOINT = ["--checkpoint", str(PARITY / "checkpoint.pt"), "--config", str(PARITY / "config.json")]


def run(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sam3i_edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


ASCII = {**os.environ, "PYTHONIOENCODING": "ascii"}
ERRORS = {"stderr": subprocess.PIPE, "text": True, "check": False}
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def failed(message: str, *arguments: object, **options) -> None:
    done = run(*arguments, **options)
    assert done.returncode == 1, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), CASES[0].image[..., ::-1])
    return path


def test_segment_writes_json_and_overlay(bundle, photo, tmp_path):
    case = CASES[0]
    done = run(
        *("segment", bundle, photo, case.prompt.text, "--route", "concept", "--threshold", case.threshold),
        *("-o", tmp_path / "overlay.png", "--json"),
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    category = {"id": 1, "name": case.prompt.text, "route": "concept", "threshold": case.threshold}
    assert answer["categories"] == [category]
    assert answer["info"] == {"schema": "sam3i-edge segments", "schema_version": 1}
    assert [instance["score"] for instance in answer["annotations"]] == pytest.approx(case.final.scores, abs=2e-3)
    masks = coco.decode([instance["segmentation"] for instance in answer["annotations"]]).astype(bool)
    assert masks.transpose(2, 0, 1).shape == case.final.masks.shape
    overlay = cv2.imread(str(tmp_path / "overlay.png"))[..., ::-1]
    assert overlay.shape == case.image.shape
    outside = ~case.final.masks.any(0)
    untouched = (overlay == case.image).all(-1)
    assert untouched[outside].mean() > 0.5
    assert untouched[case.final.masks.any(0)].mean() < 0.1


def test_segment_prints_a_table(bundle, photo):
    done = run("segment", bundle, photo, "the red mug", "--box", "10,20,200,150", "--threshold", "0.2")
    assert done.returncode == 0, done.stderr
    assert "found above 0.2 on the route simple" in done.stdout
    assert re.search(r"score 0\.\d{3}  box .* mask \d+ pixels", done.stdout)


def test_verify_names_the_first_stage_that_differs(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    perturb(copy, "text", 0.5)
    done = run("verify", copy)
    assert done.returncode == 1
    assert "CPUExecutionProvider, fp32: first at text/text, worst " in done.stdout


def test_inspect(bundle):
    done = run("inspect", bundle)
    assert done.returncode == 0
    for part in (
        "x86-cpu (onnxruntime), fp32",
        "224 x 224",
        "prompts x 20 x 64 x 64",
        "all as the manifest says",
        "fingerprint ",
    ):
        assert part in done.stdout
    assert run("inspect", bundle, "--json").stdout == (bundle / "manifest.json").read_text(encoding="utf-8")


def test_inspect_a_bundle_of_unknown_making(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    write_manifest(copy, dataclasses.replace(read_manifest(copy), provenance={"target": "?", "tensorrt": 3}))
    done = run("inspect", copy)
    assert done.returncode == 0
    assert "x86-cpu (onnxruntime), fp32" in done.stdout
    assert "weights" not in done.stdout


def test_export_refuses_before_it_begins(tmp_path):
    output = tmp_path / "bundle"
    failed(r"Unknown target 'x68-cpu'.*Did you mean 'x86-cpu'\?", "export", "--target", "x68-cpu", "-o", output)
    failed(r"Unknown precision for target x86-cpu 'fp31'.*'fp32'\?", "export", "--precision", "fp31", "-o", output)
    failed("No checkpoint at", "export", "--checkpoint", tmp_path / "none.pt", "-o", output)
    sizes = ("--config", tmp_path / "none.json")
    failed("Cannot read the model config", "export", *CHECKPOINT[:2], *sizes, "-o", output)
    failed("A config describes a checkpoint: give both", "export", *sizes, "-o", output)
    failed("is not empty", "export", "-o", PARITY)
    failed("File name too long", "export", "--checkpoint", "x" * 300, "-o", output)
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_refused_before_the_work(bundle, tmp_path):
    """Before the bundle is opened, even: there is none."""
    (tmp_path / "file").touch()
    failed("it or its parent is a file", "benchmark", tmp_path / "none", "-o", tmp_path / "file")
    for command in (["verify", tmp_path / "none"], ["evaluate", tmp_path / "none", "--data", tmp_path]):
        failed("the folder .*no does not exist", *command, "--json", tmp_path / "no" / "x.json")
        failed("it is a folder", *command, "--json", tmp_path)


def test_what_exists_is_not_overwritten(bundle, tmp_path, monkeypatch):
    """Not by a folder of reports, nor by a file; and what fails leaves no folder."""
    for name in ("report.json", "x.json", "x.png"):
        (tmp_path / name).write_text("mine")
    failed(r"is not empty\. Name a new folder, or replace .*: --force", "benchmark", bundle, "-o", tmp_path)
    failed("is not empty", "report", "merge", "a", "b", "-o", tmp_path)
    failed("is not empty", "demo", "-o", tmp_path)
    for command in (["verify", bundle], ["evaluate", bundle, "--data", tmp_path], ["distill plan"]):
        failed(
            r"x\.json exists\. Name another file, or replace",
            *" ".join(map(str, command)).split(),
            "--json",
            tmp_path / "x.json",
        )
    failed(r"x\.png exists", "segment", bundle, tmp_path / "none.png", "mug", "-o", tmp_path / "x.png")
    failed(r"x\.json exists", "data", "route", "--data", tmp_path, "-o", tmp_path / "x.json")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("report.json", "x.json", "x.png"), "mine"
    )


def test_a_command_that_fails_leaves_no_folder(bundle, tmp_path):
    for verb in (["benchmark", tmp_path / "none"], ["report", "merge", bundle, bundle]):
        failed("", *verb, "-o", tmp_path / "new/deep")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), output_folder(str(tmp_path / "a/b")) as folder:
        (folder / "kept").touch()
        raise ZeroDivisionError
    assert (tmp_path / "a/b/kept").exists()


def test_force_replaces(bundle, tmp_path):
    (tmp_path / "x.json").write_text("old")
    assert run("verify", bundle, "--json", tmp_path / "x.json", "--force").returncode == 0
    assert json.loads((tmp_path / "x.json").read_text())["passed"]


def test_json_is_written_whole_or_to_a_pipe(tmp_path):
    write_output(str(tmp_path / "x.json"), {"path": "\udcff", "value": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"path": "\udcff", "value": None}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    command = "from sam3i_edge.commands.io import write_output; write_output('/dev/stdout', [1])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1]
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", command], stdout=out, check=True)
    assert json.loads((tmp_path / "out").read_text()) == [1] and Path("/dev/stdout").is_symlink()


def test_build_says_whether_anything_is_kept(bundle, tmp_path):
    for runtime, says in (("onnxruntime", True), ("openvino", False)):
        done = run("build", bundle, "--runtime", runtime, env={**os.environ, "SAM3I_EDGE_CACHE": str(tmp_path)})
        assert done.returncode == 0 and ("nothing is kept" in done.stderr) is says, done.stderr


def test_whoever_reads_may_have_enough(bundle):
    process = subprocess.Popen([sys.executable, "-m", "sam3i_edge", "inspect", bundle, "--json"], **PIPES)
    process.stdout.close()
    assert "Broken pipe" not in process.stderr.read()
    assert process.wait() == 141  # as of a program that the signal ends: no gate has passed


@pytest.mark.parametrize(
    ("closed", "says"), [(">&-", ""), ("2>&-", "{"), (">&- 2>&-", ""), ("<&-", "{"), ("2>/dev/full", "{")]
)
def test_a_service_may_close_the_standard_streams(bundle, photo, tmp_path, closed, says):
    overlay = tmp_path / "overlay.png"
    command = shlex.join([sys.executable, "-m", "sam3i_edge", "segment", *map(str, (bundle, photo)), "mug " * 40])
    done = subprocess.run(
        f"{command} --json -o {overlay} {closed}", shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert done.stdout[:1] == says and (not says or json.loads(done.stdout))
    assert ("The text has 42 tokens" in done.stderr) is ("2>" not in closed)
    assert cv2.imread(str(overlay)) is not None


def test_an_interruption_that_a_package_makes_an_error_of_its_own(monkeypatch, capsys):
    def command(_):
        stop_on_signals()
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise TypeError("in a package's own code") from error

    monkeypatch.setattr(targets, "_targets", command)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert cli.main(["targets"]) == 130
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert capsys.readouterr().err == "sam3i-edge: interrupted.\n"
    assert cli.main(["inspect", "nowhere"]) == 1, "the next command has not been interrupted"


@pytest.mark.parametrize(
    "asked", [["inspect"], ["inspect", "--json"], ["--help"], ["--version"], ["segment", "--help"]]
)
@pytest.mark.parametrize(
    ("where", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_what_cannot_be_printed_is_an_error(bundle, asked, where, reason):
    names = [bundle] if asked[0] == "inspect" else []
    command = ["sh", "-c", f'"$0" "$@" {where}', sys.executable, "-m", "sam3i_edge", *asked, *names]
    done = subprocess.run(command, **PIPES, check=False)
    assert (done.returncode, done.stderr) == (1, f"sam3i-edge: The output could not be written: {reason}.\n")


def test_a_full_disk_behind_stdout_costs_no_other_output(bundle, photo, tmp_path):
    overlay, asked = tmp_path / "overlay.png", ["segment", bundle, photo, "mug", "--json", "--threshold", "0"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-m", "sam3i_edge", *asked, "-o", overlay], stdout=full, **ERRORS)
    assert done.returncode == 1 and done.stderr.endswith("written: No space left on device.\n")
    assert cv2.imread(str(overlay)) is not None


def test_commands_run_in_threads(tmp_path):
    """Where Python lets nobody receive signals. Those that do, get as far as the work."""
    code = f"""
import threading
from sam3i_edge.cli import main
from sam3i_edge.commands.progress import steps
from sam3i_edge.commands.training import stop_after_this_step
def work():
    with steps() as step:
        step("begins")
    print(stop_after_this_step(), main(["export", "--checkpoint", "none.pt", "-o", {str(tmp_path / "b")!r}]))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[] 1\n" and "No checkpoint at none.pt" in done.stderr, done.stderr


def test_an_empty_value_is_no_wish_for_the_default(bundle, photo, tmp_path):
    for command in (["export", "--checkpoint", "", "-o", tmp_path / "b"], ["segment", bundle, photo, "mug", "-o", ""]):
        done = run(*command)
        assert done.returncode == 2 and "is empty: leave it out, or give a value" in done.stderr
    assert not (tmp_path / "b").exists()


def test_a_terminal_without_utf8(bundle, photo):
    done = run("segment", bundle, photo, "mug \N{LATIN SMALL LETTER E WITH ACUTE}", "--json", env=ASCII)
    assert done.returncode == 0, done.stderr
    done = run("inspect", bundle, env=ASCII)
    assert done.returncode == 0, done.stderr


def test_segment_refuses(bundle, photo, tmp_path):
    failed("holds no manifest", "segment", tmp_path, photo, "mug")
    failed(r"none\.png: No such file", "segment", bundle, tmp_path / "none.png", "mug")
    failed("text is empty", "segment", bundle, photo, " ")
    failed("Did you mean 'complex'", "segment", bundle, photo, "mug", "--route", "complexx")
    failed("not of the form X0,Y0,X1,Y1", "segment", bundle, photo, "mug", "--box", "1,2,3")
    failed("must be finite", "segment", bundle, photo, "mug", "--box", "1,2,nan,4")
    failed("320 wide and 240 high", "segment", bundle, photo, "mug", "--negative-box", "0,0,500,20")
    failed("320 wide and 240 high. Clip it", "segment", bundle, photo, "mug", "--box", "-5,-2,100,80")
    failed("between 0 and 1", "segment", bundle, photo, "mug", "--threshold", "7")
    failed(r"nms is 0\.0; it must be a number above 0", "segment", bundle, photo, "mug", "--nms", "0")
    failed(r"\.docx is none of \.png", "segment", bundle, photo, "mug", "-o", tmp_path / "overlay.docx")
    failed("the folder .* does not exist", "segment", bundle, photo, "mug", "-o", tmp_path / "no" / "overlay.png")


@pytest.mark.parametrize(
    ("at", "signals"),
    [
        ("loading", [signal.SIGINT]),
        ("exporting the text graph", [signal.SIGINT, signal.SIGINT]),
        pytest.param("exporting the grounding graph", [signal.SIGTERM], marks=pytest.mark.slow),
        pytest.param("verifying", [signal.SIGINT], marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_leaves_nothing(tmp_path, at, signals):
    command = [sys.executable, "-m", "sam3i_edge", "export", *CHECKPOINT, "-o", str(tmp_path / "bundle")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    assert any(at in line for line in process.stderr), "the export ended before it was interrupted"
    for number in signals:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    # Interrupted while Python runs an exec() (dataclasses do), it ends by the signal itself: 130 to a shell as well.
    assert process.returncode in (130, -signal.SIGINT), errors
    assert "sam3i-edge: interrupted." in errors
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(tmp_path):
    """The kernel refuses to let any file grow beyond 2 MB: the write fails as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    failed("Writing .*bundle failed", "export", *CHECKPOINT, "-o", tmp_path / "bundle", preexec_fn=limit)
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_the_commands_are_listed():
    done = run()
    assert done.returncode == 2 and not done.stdout
    assert re.search(r"segment +find in an image what a text means", done.stderr)
    assert "name a command" in done.stderr


def test_a_wrong_command_is_answered_with_the_closest():
    for words, name in ((["segmnt"], "segment"), (["report", "mrege"], "merge"), (["distil"], "distill")):
        done = run(*words)
        assert done.returncode == 2
        assert re.search(rf"Unknown (command|verb) '{words[-1]}'\. Known: .*Did you mean '{name}'\?", done.stderr), (
            done.stderr
        )


def test_every_command_and_argument_says_what_it_is():
    """Also the positional ones; every command that measures or runs a model says what it does."""
    parser = cli.Parser(prog="sam3i-edge")
    commands = parser.add_subparsers()
    for command in cli.COMMANDS:
        command.add(commands)
    todo = list(commands.choices.values())
    assert len(todo) > 10
    for one in todo:
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                todo += action.choices.values()
            else:
                assert action.help, (one.prog, action.dest)
    for name in ("evaluate", "evaluate claims", "benchmark", "segment", "verify"):
        assert commands.choices[name].description, name
