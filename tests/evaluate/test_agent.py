"""The rule agent: what it reads, what it keeps."""

import numpy as np
import pytest

from sam3i_edge.evaluate.agent import RuleAgent, together
from sam3i_edge.evaluate.instruction_parser import Landmark, read_instruction
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Prompt
from tests.conftest import instances_of


@pytest.mark.parametrize(
    ("text", "phrases", "count"),
    [
        ("the red mug left of the laptop", ("red mug",), 1),
        ("Segment both red mugs", ("red mug",), 2),
        ("could you please show me all the spoons?", ("spoon",), None),
        ("knives", ("knife",), None),
        ("the leftmost of the three boxes", ("box",), 1),
        ("what you would drink from", ("mug", "cup", "glass", "bottle"), None),
        ("the thing you would use to tighten a screw", ("screwdriver", "wrench"), 1),
    ],
)
def test_noun_phrases_and_number(text, phrases, count):
    instruction = read_instruction(text)
    assert (instruction.phrases, instruction.count) == (phrases, count)


def test_landmarks():
    assert read_instruction("the mug between the lamp and the blue book").landmarks == (
        Landmark("between", ("lamp", "blue book")),
    )


def boxes(*corners) -> Instances:
    """Rectangles x0, y0, x1, y1 in a picture 100 wide and 60 high, best first."""
    masks = np.zeros((len(corners), 60, 100), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return instances_of(
        masks,
        np.array(corners, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.6, len(corners)),
        Prompt("mug", "concept"),
    )


MUGS = boxes((40, 20, 50, 30), (70, 30, 85, 50), (5, 10, 12, 16))
LAMP = boxes((60, 20, 66, 40))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("the mug", [0]),
        ("all mugs", [0, 1, 2]),
        ("the leftmost mug", [2]),
        ("the second mug from the left", [0]),
        ("the biggest mug", [1]),
        ("the two smallest mugs", [0, 2]),
        ("the mug closest to the camera", [1]),
        ("the mug right of the lamp", [1]),
        ("the mugs to the left of the lamp", [0, 2]),
        ("the mug farthest from the lamp", [2]),
        ("the mug next to the sofa", [0]),  # no such landmark: the best
    ],
)
def test_what_is_kept(text, kept):
    image = np.zeros((60, 100, 3), np.uint8)
    found = RuleAgent().keep(text, MUGS, image, lambda phrase: LAMP if phrase == "lamp" else boxes())
    assert np.flatnonzero(found).tolist() == kept


def test_the_same_thing_found_twice_counts_once():
    class Picture:
        height, width = 60, 100

    prompt = Prompt("the mug", "concept")
    both = together([MUGS, boxes((40, 20, 50, 30))], Picture(), prompt)
    assert len(both) == 3
    assert np.all(np.diff(both.scores) <= 0)
    assert len(together([], Picture(), prompt)) == len(together([boxes(), boxes()], Picture(), prompt)) == 0
