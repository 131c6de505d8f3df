"""``sam3i-edge evaluate``, from a dataset on disk to the table and the JSON."""

import argparse
import json
import shutil

import cv2
import numpy as np
import pytest

from sam3i_edge.commands.evaluate import add, load_agent
from sam3i_edge.data.samples import spread
from sam3i_edge.errors import DataError, PromptError
from sam3i_edge.route import ROUTE_FILE, RouteClassifier
from tests.conftest import CASES, PARITY


def run(*arguments):
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    parsed = parser.parse_args(["evaluate", *map(str, arguments)])
    return parsed.command(parsed)


@pytest.fixture
def dataset(tmp_path):
    image = CASES[0].image
    height, width = image.shape[:2]
    cv2.imwrite(str(tmp_path / "1.png"), image[..., ::-1])
    texts = {"concept": ["mug"], "simple_query": ["the mug left of the book"], "complex_query": ["what you drink from"]}
    half = {"size": [height, width], "counts": [0, height * width // 2, height * width // 2]}
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": width, "height": height}],
        "annotations": [{"id": 1, "image_id": 1, "segmentation": half, "text_inst_input": texts}],
    }
    for split in ("val", "compose"):
        (tmp_path / f"sam3i_{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


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
    assert f"{values['routes']['complex']['gIoU']:.2f}" in capsys.readouterr().out


def test_against_a_reference(checkpoint, dataset, capsys):
    out = dataset / "out.json"
    assert run(checkpoint, "--against", checkpoint, "--data", dataset, "--threshold", 0.2, "--json", out) == 0
    values = json.loads(out.read_text(encoding="utf-8"))["against"]
    assert values["instances"]["concept"]["count"] > 0
    assert values["instances"]["concept"]["score_difference"] == 0
    assert "found again" in capsys.readouterr().out
    with pytest.raises(PromptError, match="Leave --route auto out"):
        run(checkpoint, "--against", checkpoint, "--data", dataset, "--route", "auto")
    with pytest.raises(PromptError, match="--against belongs to an evaluation without --claims"):
        run(checkpoint, "--against", checkpoint, "--claims", "--data", dataset)


def test_claims(checkpoint, dataset, capsys):
    assert run(checkpoint, "--claims", "--data", dataset, "--threshold", 0.2, "--json", dataset / "out.json") == 0
    values = json.loads((dataset / "out.json").read_text(encoding="utf-8"))
    assert values["concept"]["identical"] is True
    assert values["concept"]["base"] == values["concept"]["adapted"]
    gain = values["instructions"]["gain_gIoU"]
    direct, agent = (values["instructions"][who]["routes"] for who in ("sam3i", "agent"))
    assert gain["simple"] == pytest.approx(direct["simple"]["gIoU"] - agent["simple"]["gIoU"], abs=1e-3)
    table = capsys.readouterr().out
    assert "identical. The gate of the concept route multiplies every adapter by zero" in table


def test_claims_against_a_base_with_another_classifier_of_routes(checkpoint, dataset, tmp_path):
    base = shutil.copytree(checkpoint.parent, tmp_path / "base") / checkpoint.name
    blind = RouteClassifier(np.zeros_like(RouteClassifier.default().weights), "blind")
    blind.save(base.with_name(ROUTE_FILE))
    options = ("--data", dataset, "--threshold", 0.2, "--json", dataset / "out.json")
    assert run(checkpoint, "--claims", "--base", base, *options) == 0
    values = json.loads((dataset / "out.json").read_text(encoding="utf-8"))
    assert values["concept"]["base"] != values["concept"]["adapted"], "how often a route is guessed belongs to them"
    assert values["concept"]["identical"] is True
    assert values["data"]["split"] == "compose"


def test_what_does_not_go_together(bundle, checkpoint, dataset):
    with pytest.raises(PromptError, match="belong to --claims"):
        run(checkpoint, "--data", dataset, "--base", checkpoint)
    with pytest.raises(PromptError, match="is a bundle, whose adapters cannot be switched off"):
        run(bundle, "--claims", "--data", dataset)
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
