"""The search: harm over gain decides the order, halving finds how many blocks stay in floating point."""

import logging

import pytest

from sam3i_edge.errors import ExportError
from sam3i_edge.quantize.recipe import Recipe
from sam3i_edge.quantize.search import Drop, Progress, load_progress, ordered, save_progress, search
from sam3i_edge.quantize.sensitivity import Sensitivity

HARMS = {"a": 0.5, "b": 1e-4, "c": 0.02, "d": 1e-5}
BLOCKS = [Sensitivity("vision", name, harm, 1000) for name, harm in HARMS.items()]


def trial(int8):
    """As if noise of 0.01 cost a point."""
    return Drop(100 * sum(HARMS[block] for _, block in int8), 0.05, "simple gIoU")


def found(max_drop, **arguments):
    return search(ordered(BLOCKS), Recipe(), max_drop, trial, **arguments)


def test_the_order_is_harm_over_gain():
    blocks = [Sensitivity("vision", "small", 0.1, 10), Sensitivity("vision", "large", 0.2, 1000)]
    assert [s.block for s in ordered(blocks)] == ["small", "large"]


@pytest.mark.parametrize(("max_drop", "floating"), [(100.0, ""), (3.0, "a"), (1.0, "ac"), (0.0502, "")])
def test_the_fewest_blocks_stay_in_floating_point(max_drop, floating):
    if not floating and max_drop < 1:
        with pytest.raises(
            ExportError, match=r"No assignment keeps the drop within 0.0502 points: the best was \+0.00"
        ):
            found(max_drop)
        return
    result = found(max_drop)
    assert [name for name, choice in result.recipe.vision.items() if choice == "fp32"] == sorted(floating)
    assert result.drop.pessimistic <= max_drop


def test_a_smaller_budget_leaves_more_in_floating_point():
    floating = [{name for name, choice in found(drop).recipe.vision.items() if choice == "fp32"} for drop in (3.0, 0.1)]
    assert floating[0] < floating[1]


def test_a_pinned_block_stays_in_floating_point():
    result = found(100.0, pinned={("vision", "d")})
    assert result.recipe.vision == {"a": "int8", "b": "int8", "c": "int8", "d": "fp32"}
    with pytest.raises(ExportError, match="every block in fp32, so there is nothing to search"):
        found(100.0, pinned={("vision", name) for name in HARMS})


def test_force_takes_the_best_trial():
    result = found(0.0502, force=True)
    assert list(result.recipe.vision.values()).count("int8") == 1
    assert result.drop.pessimistic > 0.0502


def test_what_was_measured_is_not_measured_again():
    kept = {}
    first = found(1.0, keep=kept.__setitem__)
    assert kept

    def fail(int8):
        raise AssertionError("measured again")

    assert search(ordered(BLOCKS), Recipe(), 1.0, fail, known=kept).recipe == first.recipe


def test_progress_is_kept_and_a_damaged_one_dropped(tmp_path, caplog):
    progress = Progress({"vision/a": 0.5}, {"2": Drop(0.1, 0.2, "simple gIoU")})
    save_progress(tmp_path / "search.json", progress)
    assert load_progress(tmp_path / "search.json") == progress
    (tmp_path / "search.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert load_progress(tmp_path / "search.json") == Progress()
    assert "begins anew" in caplog.text
