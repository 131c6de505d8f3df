"""The students' report, of real exports on this machine."""

from __future__ import annotations

import json

import pytest

from sam3i_edge import demo_model
from sam3i_edge.cli import main
from tests.distill.test_run import arguments


@pytest.fixture(scope="module")
def folder(shapes, teacher_file, tmp_path_factory):
    """A student just begun, beside its teacher."""
    output = tmp_path_factory.mktemp("report")
    assert main(arguments(shapes, teacher_file, output / "run", "--stages", "vision")) == 0
    models = [f"teacher={teacher_file}", f"mine={output / 'run' / 'student.safetensors'}"]
    command = ["report", "students", *models, "--data", str(shapes), "--split", "train", "--limit", "4"]
    assert main([*command, "--target", "x86-cpu", "--rounds", "3", "-o", str(output / "students")]) == 0
    return output / "students"


@pytest.mark.slow
def test_it_says_what_each_model_is_scores_and_takes(folder):
    teacher, mine = json.loads((folder / "students.json").read_text())["students"]
    assert (teacher["name"], mine["name"]) == ("teacher", "mine")
    assert mine["parameters"] < teacher["parameters"] and mine["text_parameters"] < teacher["text_parameters"]
    assert all(mine["macs"][graph] < teacher["macs"][graph] for graph in ("vision", "text", "grounding"))
    for route, found in mine["routes"].items():
        assert found["drop_giou"] == pytest.approx(teacher["routes"][route]["giou"] - found["giou"])
        assert found["confidence"]["score_margin"] >= 1 and 0 <= found["confidence"]["presence_ece"] <= 100
    assert teacher["times"]["x86-cpu"]["to_teacher"] == 1.0
    low, high = mine["times"]["x86-cpu"]["ci95"]
    assert low <= mine["times"]["x86-cpu"]["to_teacher"] <= high
    page = (folder / "students.md").read_text()
    assert f"| mine | concept | {mine['routes']['concept']['giou']:.1f} |" in page and mine["sha256"] in page


def test_two_models_of_a_name_are_refused(tmp_path, capsys):
    command = ["report", "students", "a=1.pt", "a=2.pt", "--data", str(demo_model.SCENES), "-o", str(tmp_path / "out")]
    assert main(command) == 1
    assert "'a' is no name, or that of two models" in capsys.readouterr().err
