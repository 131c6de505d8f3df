"""Percentiles and ratios, on numbers whose answers are known."""

import numpy as np

from sam3i_edge.benchmarks.interleave import interleave, order, until
from sam3i_edge.benchmarks.statistics import paired_ratio, summarize, unpaired_ratio


def test_percentiles_are_numpys_and_samples_stay_in_order():
    summary = summarize([3.0, 1.0, 2.0])
    assert (summary.p50, summary.p90, summary.mean, summary.std, summary.count) == (2.0, 2.8, 2.0, 1.0, 3)
    assert summary.samples == (3.0, 1.0, 2.0)
    assert summarize([5.0]).std == 0.0


def test_a_drift_that_both_share_cancels_in_a_paired_ratio():
    drift = np.linspace(1, 9, 60)
    found = paired_ratio(1.25 * drift, drift)
    assert found == (1.25, 1.25, 1.25)
    assert unpaired_ratio(1.25 * drift, drift).half_width > 0.1


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        of, to = dice.lognormal(0, 0.1, (2, 40))
        found = paired_ratio(of, to)
        covered += found.low <= 1 <= found.high
    assert 180 <= covered <= 200


def test_each_is_first_and_each_follows_each_equally_often():
    rounds = ["".join(order("AB", number)) for number in range(8)]
    assert rounds == ["AB", "BA", "BA", "AB"] * 2
    first = [order("ABC", number)[0] for number in range(6)]
    assert {name: first.count(name) for name in "ABC"} == {"A": 2, "B": 2, "C": 2}


def test_rounds_end_when_the_ratio_is_known():
    samples = [[], []]

    def turn(index, number):
        samples[index].append(10.0 + index)

    assert interleave([0, 1], turn, until(None, samples)) == 10
    assert interleave([0, 1], turn, until(4, samples)) == 4


def test_rounds_go_on_while_the_ratio_is_not_known():
    dice = np.random.default_rng(0)
    samples = [[], []]
    played = interleave(
        [0, 1], lambda index, number: samples[index].append(dice.lognormal(0, 0.5)), until(None, samples)
    )
    assert played == 600
