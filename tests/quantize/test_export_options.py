"""What is asked of an int8 export is checked before any work, and a promise that is not kept writes nothing."""

import dataclasses

import pytest

from sam3i_edge.errors import ExportError
from sam3i_edge.exporter import Int8Options, export, quantized
from sam3i_edge.exporter.quantized import QuantizationPlan, make_plan, measured
from sam3i_edge.provenance import Quantization
from sam3i_edge.quantize.calibration import load_calibration
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.targets import get_target
from tests.train.shapes import write_shapes


@pytest.mark.parametrize(
    ("precision", "options", "message"),
    [
        ("fp32", {"recipe": "r.toml"}, "recipe is for int8, and the precision is fp32: add --precision int8"),
        ("fp32", {"max_drop": 1.0, "force": True}, "max_drop and force is for int8"),
        ("int9", {}, "Unknown precision for target x86-cpu 'int9'. Known: fp32, int8.*Did you mean 'int8'"),
        ("auto", {}, "A search needs pictures that calibration does not see"),
        ("int8", {"max_drop": 1.0, "scored_images": 0}, "A drop can only be measured on data that says what its texts"),
    ],
)
def test_refused_before_any_work(tmp_path, precision, options, message):
    with pytest.raises(ExportError, match=message):
        export(output=tmp_path / "bundle", precision=precision, int8=Int8Options(**options))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("options", [{"max_drop": -1.0}, {"scored_images": -1}])
def test_options_out_of_range(options):
    with pytest.raises(ExportError, match=r"is -1(\.0)?; it must be 0 or more"):
        Int8Options(**options)


def test_a_search_is_scored_on_other_pictures_than_the_bundle(tmp_path):
    write_shapes(tmp_path, count=10)
    (tmp_path / "sam3i_val.json").write_bytes((tmp_path / "sam3i_train.json").read_bytes())
    target = get_target("intel-cpu")
    made = make_plan("int8", target, Int8Options(tmp_path, scored_images=3), search=True)
    assert made.max_drop == 1.0
    assert len(made.samples) == len(made.searched_on) == 3
    assert not {s.image_id for s in made.samples} & {s.image_id for s in made.searched_on}
    assert not make_plan("int8", target, Int8Options(tmp_path), search=False).searched_on


def test_a_promise_needs_pictures_that_calibration_does_not_see():
    with pytest.raises(ExportError, match="--max-drop is a promise about pictures that calibration does not see"):
        make_plan("int8", get_target("intel-cpu"), Int8Options(max_drop=1.0), search=False)


def test_a_token_table_that_tensorrt_does_not_take(tmp_path):
    (tmp_path / "recipe.toml").write_text('embedding = "int8"')
    with pytest.raises(ExportError, match='For TensorRT write embedding = "fp32"'):
        make_plan("int8", get_target("nvidia"), Int8Options(recipe=tmp_path / "recipe.toml"), search=False)


MEASURED = Quantization(
    recipe=QuantRecipe(),
    calibration="data",
    calibration_sha256="",
    calibration_images=64,
    calibration_prompts={},
    scored_on="data, val",
    scored_images=50,
    float_scores={"giou/concept": 80.0, "giou/simple": 70.0, "cgf1": 50.0, "false_positive_rate": 5.0},
    scores={"giou/concept": 79.5, "giou/simple": 68.5, "cgf1": 49.9, "false_positive_rate": 9.0},
)


@pytest.fixture
def after(monkeypatch):
    """Stands for the evaluation of the bundle."""
    monkeypatch.setattr(quantized, "scores", lambda segmenter, samples: MEASURED.scores)


def plan(max_drop, force=False):
    return QuantizationPlan(QuantRecipe(), load_calibration(None), max_drop=max_drop, force=force)


def test_a_broken_promise_names_the_worst(after):
    with pytest.raises(ExportError, match=r"lose 1\.50 points of simple gIoU on 50 images of data, val.*No bundle was"):
        measured(plan(1.0), MEASURED, None)


@pytest.mark.parametrize("kept", [plan(2.0), plan(1.0, force=True), plan(None)])
def test_a_promise_that_is_kept_forced_or_not_given(after, kept):
    assert measured(kept, MEASURED, None) == MEASURED


def test_the_table_says_what_it_cost():
    assert "simple gIoU          70.00 ->  68.50" in MEASURED.lines()
    assert "was not measured" in dataclasses.replace(MEASURED, scores={}).lines()[0]
