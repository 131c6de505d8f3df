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


@pytest.mark.parametrize("corners", [(5, 0, 1, 3), (0, 5, 3, 1), (2, 2, 2, 5)])
def test_inverted_or_empty_box(corners):
    with pytest.raises(PromptError, match="empty or inverted"):
        Box(*corners)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, np.float16(np.inf)])
def test_box_that_is_not_finite(value):
    with pytest.raises(PromptError, match="must be finite"):
        Box(0, 0, value, 3)


@pytest.mark.parametrize("value", ["9", None, (1, 2)])
def test_box_of_anything_but_numbers(value):
    with pytest.raises(PromptError, match="must be numbers"):
        Box(0, 0, value, 10)


def test_box_of_numpy_scalars_does_not_overflow():
    box = Box(*map(np.uint8, (200, 200, 250, 250)))
    assert box.normalized(300, 300) == pytest.approx((0.75, 0.75, 1 / 6, 1 / 6))


@pytest.mark.parametrize("corners", [(-1, 0, 5, 5), (0, 0, 101, 5), (0, 0, 5, 51), (200, 200, 300, 300)])
def test_box_outside_the_image(corners):
    with pytest.raises(PromptError, match="100 wide and 50 high"):
        Box(*corners).normalized(width=100, height=50)


def test_box_normalized():
    assert Box(0, 0, 100, 50).normalized(100, 50) == (0.5, 0.5, 1, 1)
    assert Box(10, 10, 30, 20).normalized(100, 50) == pytest.approx((0.2, 0.3, 0.2, 0.2))


def test_boxes_must_be_boxes():
    with pytest.raises(PromptError, match=r"Prompt.boxes holds \(0, 0, 1, 1\)"):
        Prompt("mug", boxes=[(0, 0, 1, 1)])
    with pytest.raises(PromptError, match=r"must be a list of Box"):
        Prompt("mug", negative_boxes=Box(0, 0, 1, 1))


def test_gates_are_one_hot():
    assert np.array_equal(gates(["complex", "concept", "simple"]), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
