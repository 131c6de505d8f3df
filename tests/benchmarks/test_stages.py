"""The stage clock, on the recorded model."""

import itertools
import time

import pytest

from sam3i_edge import Segmenter
from sam3i_edge.benchmarks.candidates import Candidate
from sam3i_edge.benchmarks.scenarios import SCENARIOS, TEXTS, Player, WorkloadItem
from sam3i_edge.benchmarks.stages import StageClock, cost_ns
from sam3i_edge.benchmarks.worker import Worker
from sam3i_edge.engine import STAGES, timed
from sam3i_edge.prompt import Prompt
from tests.conftest import CASES


@pytest.fixture(scope="module")
def clock():
    return StageClock()


@pytest.fixture(scope="module")
def segmenter(bundle, clock):
    with Segmenter.load(bundle, observer=clock) as segmenter:
        yield segmenter


@pytest.fixture
def player(segmenter, clock):
    return Player(segmenter, [WorkloadItem("mugs", CASES[0].image, (Prompt("mug"), Prompt("the red mug")))], clock)


def test_the_stages_are_the_frame(player):
    turns = [player.frame(number) for number in range(6)]
    best = max(turns, key=lambda turn: sum(turn.stages_ms.values()) / turn.ms)
    assert set(best.stages_ms) == set(STAGES)
    assert min(value for stage, value in best.stages_ms.items() if stage != "postprocess") > 0
    # Even of this model's frame, a few milliseconds, hardly anything lies outside of the stages.
    assert 0.9 < sum(best.stages_ms.values()) / best.ms <= 1


def test_a_stage_sums_up_its_calls_and_those_that_raise():
    clock = StageClock()
    with timed(clock, "text"):
        time.sleep(0.002)
    with pytest.raises(KeyError), timed(clock, "text"):
        time.sleep(0.003)
        raise KeyError
    times, calls = clock.take()
    assert times["text"] >= 5
    assert calls == 2
    assert clock.take() == (dict.fromkeys(STAGES, 0.0), 0)


def test_the_cost_of_timing_a_call_is_its_two_readings_of_the_clock(monkeypatch):
    readings = itertools.count(0, 1000)
    with monkeypatch.context() as patch:  # a clock that only goes on when it is read, by a microsecond
        patch.setattr(time, "perf_counter_ns", lambda: next(readings))
        cost = cost_ns()
    assert cost == pytest.approx(2000)


def test_every_scenario_plays_what_it_says(player, segmenter, monkeypatch):
    encoded, asked = [], []
    engine = segmenter.engine
    encode, ground = engine.encode, engine.ground
    monkeypatch.setattr(engine, "encode", lambda image: encoded.append(1) or encode(image))
    monkeypatch.setattr(engine, "ground", lambda f, prompts, *size: asked.append(prompts) or ground(f, prompts, *size))
    player.scenario("reprompt", 0)  # encodes its image once
    for name in SCENARIOS:
        encoded.clear(), asked.clear()
        assert player.scenario(name, 0) > 0
        assert len(encoded) == (name == "known_text")
        (prompts,) = asked
        count = (
            int(name.removeprefix("prompts_")) if name.startswith("prompts_") else 3 if name == "mixed_routes" else 1
        )
        assert len({prompt.text for prompt in prompts}) == count


def test_a_turn_plays_many_short_frames_or_one_long_one(player, segmenter, monkeypatch):
    played, play = [], player.frame
    monkeypatch.setattr(player, "frame", lambda turn: played.append(turn) or play(turn))
    worker = Worker(Candidate("bundle", "bundle"), [], segmenter, player, load_ms=0.0, gpu_before_mb=None)
    long = worker.frame(3)
    assert played == [3]
    last = worker.frame(4, lead_in_s=20 * long["ms"] / 1e3)
    assert played.count(4) > 2
    assert set(last) == set(long)


def test_an_item_asks_its_own_prompts_first_by_turns():
    item = WorkloadItem("", CASES[0].image, (Prompt("cup"), Prompt("mug")))
    assert [item.ask(1, turn)[0].text for turn in range(3)] == ["cup", "mug", "cup"]
    texts = [prompt.text for prompt in item.ask(16)]
    assert texts[:2] == ["cup", "mug"]
    assert len(set(texts)) == 16
    assert texts[2] == TEXTS[1][0]  # "mug" is asked already
