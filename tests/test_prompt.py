"""Prompts and boxes."""

import math

import numpy as np
import pytest

from sam3i_edge import Box, Prompt
from sam3i_edge.errors import PromptError
from sam3i_edge.prompt import gates


def test_unknown_route_names_the_closest():
    with pytest.raises(PromptError, match=r"Unknown route 'simpel'\. Known: .*Did you mean 'simple'\?"):
        Prompt("mug", route="simpel")


@pytest.mark.parametrize("text", ["", "  \n\t", "\ufeff", "&nbsp;", "&amp;nbsp;", "\x01\x02"])
def test_empty_text(text):
    with pytest.raises(PromptError, match=r"text is empty.*use the text 'visual'"):
        Prompt(text)


def test_text_must_be_text():
    with pytest.raises(PromptError, match="is a bytes"):
        Prompt(b"mug")


@pytest.mark.parametrize(
    ("message", "boxes"),
    [
        ("empty or inverted", [(5, 0, 1, 3), (0, 5, 3, 1), (2, 2, 2, 5)]),
        ("must be finite", [(0, 0, value, 3) for value in (math.nan, math.inf, 10**400, np.float16(np.inf))]),
        ("must be numbers", [(0, 0, value, 10) for value in ("9", None, (1, 2))]),
        ("100 wide and 50 high", [(-1, 0, 5, 5), (0, 0, 101, 5), (0, 0, 5, 51), (200, 200, 300, 300)]),
    ],
)
def test_boxes_that_are_refused(message, boxes):
    for corners in boxes:
        with pytest.raises(PromptError, match=message):
            Box(*corners).normalized(width=100, height=50)


def test_box_of_numpy_scalars_does_not_overflow():
    box = Box(*map(np.uint8, (200, 200, 250, 250)))
    assert box.normalized(300, 300) == pytest.approx((0.75, 0.75, 1 / 6, 1 / 6))


def test_box_normalized():
    assert Box(0, 0, 100, 50).normalized(100, 50) == (0.5, 0.5, 1, 1)
    assert Box(10, 10, 30, 20).normalized(100, 50) == pytest.approx((0.2, 0.3, 0.2, 0.2))


def test_boxes_must_be_boxes():
    with pytest.raises(PromptError, match=r"^boxes holds 0; it must be a list of boxes, each Box.* or four numbers"):
        Prompt("mug", boxes=(0, 0, 1, 1))
    for wrong in ((0, 0, 1), "0123", np.zeros((2, 4)), np.zeros(3), None):
        with pytest.raises(PromptError, match=r"(negative_boxes holds|four numbers|must be numbers|empty or inverted)"):
            Prompt("mug", negative_boxes=[wrong])
    with pytest.raises(PromptError, match=r"^negative_boxes is .*must be a list of boxes"):
        Prompt("mug", negative_boxes=Box(0, 0, 1, 1))


@pytest.mark.parametrize("given", [[(0, 1, 2, 3)], [[0, 1, 2, 3]], np.array([[0, 1, 2, 3]], np.float32)])
def test_boxes_of_four_numbers(given):
    assert Prompt("mug", boxes=given).boxes == (Box(0, 1, 2, 3),)
    assert Prompt("mug", negative_boxes=given).negative_boxes == (Box(0, 1, 2, 3),)


@pytest.mark.parametrize("text", ["visual", "Visual", " visual\n", "ｖisual", "\n" * 9000 + "visual"])
def test_boxes_alone_cannot_decide_without_boxes(text):
    for route in ("auto", "concept"):
        with pytest.raises(PromptError, match=r"The text 'visual' lets boxes alone decide, and the prompt has none\."):
            Prompt(text, route)
    assert Prompt(text, boxes=[Box(0, 0, 1, 1)]).text == text
    assert Prompt(text, negative_boxes=[Box(0, 0, 1, 1)]).text == text
    assert Prompt(f"{text} aid").boxes == ()


def test_gates_are_one_hot():
    assert np.array_equal(gates(["complex", "concept", "simple"]), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
