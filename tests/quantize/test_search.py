"""The search: harm over gain decides the order, halving finds how many blocks stay in floating point."""

import logging

import pytest

from sam3i_edge.errors import ExportError
from sam3i_edge.quantize.search import Drop, SearchProgress, load_progress, ordered, save_progress, search
from sam3i_edge.quantize.sensitivity import Sensitivity

HARMS = {"a": 0.5, "b": 1e-4, "c": 0.02, "d": 1e-5}
ORDER = ordered(
    [Sensitivity("vision", name, harm) for name, harm in HARMS.items()], {("vision", name): 1.0 for name in HARMS}
)


def trial(int8):
    """As if noise of 0.01 cost a point."""
    return Drop(100 * sum(HARMS[block] for _, block in int8), 0.05, "simple gIoU")


def found(max_drop, **arguments):
    return search(ORDER, max_drop, trial, **arguments)


def floating(max_drop):
    """The names of what stays in floating point."""
    return set(HARMS) - {block for _, block in found(max_drop).int8}


def test_the_order_is_harm_over_gain():
    blocks = [Sensitivity("vision", "small", 0.1), Sensitivity("vision", "large", 0.2)]
    gains = {("vision", "small"): 0.01, ("vision", "large"): 1.0}
    assert ordered(blocks, gains) == [("vision", "small"), ("vision", "large")]


def test_what_int8_makes_no_faster_is_left_out():
    blocks = [Sensitivity("text", name, 0.1) for name in ("faster", "slower", "equal")]
    gains = {("text", "faster"): 0.2, ("text", "slower"): -0.1, ("text", "equal"): 0.0}
    assert ordered(blocks, gains) == [("text", "faster")]
    with pytest.raises(ExportError, match="int8 saves no time there"):
        search([], 1.0, trial)


def test_a_budget_that_nothing_keeps():
    with pytest.raises(ExportError, match=r"No assignment keeps the drop within 0.0502 points: the best was \+0.00"):
        found(0.0502)


@pytest.mark.parametrize(("max_drop", "names"), [(100.0, ""), (3.0, "a"), (1.0, "ac")])
def test_the_fewest_blocks_stay_in_floating_point(max_drop, names):
    assert floating(max_drop) == set(names)
    assert found(max_drop).drop.pessimistic <= max_drop


def test_a_smaller_budget_leaves_more_in_floating_point():
    assert floating(3.0) < floating(0.1)


def test_force_takes_the_best_trial():
    result = found(0.0502, force=True)
    assert len(result.int8) == 1
    assert result.drop.pessimistic > 0.0502


def test_what_was_measured_is_not_measured_again():
    kept = {}
    first = found(1.0, keep=kept.__setitem__)
    assert kept

    def fail(int8):
        raise AssertionError("measured again")

    assert search(ORDER, 1.0, fail, known=kept) == first


def test_progress_is_kept_and_a_damaged_one_dropped(tmp_path, caplog):
    progress = SearchProgress(
        {"vision/a": 0.5}, {"vision/a": 1.5}, "onnxruntime 1.0, a processor", {"2": Drop(0.1, 0.2, "simple gIoU")}
    )
    save_progress(tmp_path / "search.json", progress)
    assert load_progress(tmp_path / "search.json") == progress
    (tmp_path / "search.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert load_progress(tmp_path / "search.json") == SearchProgress()
    assert "begins anew" in caplog.text
