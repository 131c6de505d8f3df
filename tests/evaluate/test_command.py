"""``sam3i-edge evaluate``, from a dataset on disk to the table and the JSON."""

import json
import shutil

import numpy as np
import pytest

from sam3i_edge.cli import parse
from sam3i_edge.commands.evaluate import load_agent
from sam3i_edge.data.samples import spread
from sam3i_edge.errors import DataError, PromptError
from sam3i_edge.manifest import ROUTE_FILE
from sam3i_edge.route import RouteClassifier
from tests.conftest import PARITY
from tests.datasets.photo import write_photo


def run(*arguments):
    parsed = parse(["evaluate", *map(str, arguments)])
    return parsed.command(parsed)


@pytest.fixture
def dataset(tmp_path):
    return write_photo(tmp_path, "val", "compose")


@pytest.fixture
def checkpoint(tmp_path):
    """As training leaves it: the config beside the weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(PARITY / "checkpoint.pt", folder)
    shutil.copy(PARITY / "config.json", folder)
    return folder / "checkpoint.pt"


def test_a_checkpoint(checkpoint, dataset, capsys):
    assert run(checkpoint, "--data", dataset, "--threshold", 0.2, "--json", dataset / "out.json") == 0
    values = json.loads((dataset / "out.json").read_text(encoding="utf-8"))
    assert values["count"] == {"images": 1, "concept": 1, "simple": 1, "complex": 1, "no_target": 0}
    assert values["model"]["runs on"] == "torch, cpu"
    assert values["data"]["split"] == "val"
    assert f"{values['routes']['complex']['giou']:.2f}" in capsys.readouterr().out


def test_against_a_reference(checkpoint, dataset, capsys):
    out = dataset / "out.json"
    assert run(checkpoint, "--against", checkpoint, "--data", dataset, "--threshold", 0.2, "--json", out) == 0
    values = json.loads(out.read_text(encoding="utf-8"))["against"]
    assert values["instances"]["concept"]["count"] > 0
    assert values["instances"]["concept"]["score_difference"] == 0
    assert "found again" in capsys.readouterr().out
    with pytest.raises(PromptError, match="Leave --route auto out"):
        run(checkpoint, "--against", checkpoint, "--data", dataset, "--route", "auto")


def test_claims(checkpoint, dataset, capsys):
    assert run("claims", checkpoint, "--data", dataset, "--threshold", 0.2, "--json", dataset / "out.json") == 0
    values = json.loads((dataset / "out.json").read_text(encoding="utf-8"))
    assert values["concept"]["identical"] is True
    assert values["concept"]["base"] == values["concept"]["adapted"]
    gain = values["instructions"]["gain_giou"]
    direct, agent = (values["instructions"][who]["routes"] for who in ("sam3i", "agent"))
    assert gain["simple"] == pytest.approx(direct["simple"]["giou"] - agent["simple"]["giou"], abs=1e-3)
    table = capsys.readouterr().out
    assert "identical. The gate of the concept route multiplies every adapter by zero" in table


def test_claims_against_a_base_with_another_classifier_of_routes(checkpoint, dataset, tmp_path):
    base = shutil.copytree(checkpoint.parent, tmp_path / "base") / checkpoint.name
    blind = RouteClassifier(np.zeros_like(RouteClassifier.default().weights), "blind")
    blind.save(base.with_name(ROUTE_FILE))
    options = ("--data", dataset, "--threshold", 0.2, "--json", dataset / "out.json")
    assert run("claims", checkpoint, "--base", base, *options) == 0
    values = json.loads((dataset / "out.json").read_text(encoding="utf-8"))
    assert values["concept"]["base"] != values["concept"]["adapted"], "how often a route is guessed belongs to them"
    assert values["concept"]["identical"] is True
    assert values["data"]["split"] == "compose"


def test_what_does_not_go_together(bundle, checkpoint, dataset, capsys):
    for command in (["--base", checkpoint], ["--claims"]):
        with pytest.raises(SystemExit):
            run(checkpoint, "--data", dataset, *command)
        assert f"Unknown option {command[0]!r}" in capsys.readouterr().err
    with pytest.raises(PromptError, match="is a bundle, whose adapters cannot be switched off"):
        run("claims", bundle, "--data", dataset)
    with pytest.raises(PromptError, match="Unknown route 'easy'"):
        run(checkpoint, "--data", dataset, "--route", "easy")
    with pytest.raises(PromptError, match=r"There is no agent 'no\.such:thing'"):
        load_agent("no.such:thing")
    with pytest.raises(PromptError, match=r"'builtins:dict' is no agent: it has no noun_phrases and no keep"):
        load_agent("builtins:dict")


def test_a_limit_is_spread_over_the_dataset():
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert list(spread(range(3), None)) == [0, 1, 2]
    with pytest.raises(DataError, match="The limit is 0"):
        spread(range(3), 0)
