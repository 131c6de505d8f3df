"""Overlays: labels that can be read, colours that stand out, several prompts on one image."""

import dataclasses

import cv2
import numpy as np
import pytest

from sam3i_edge import Instances, Prompt
from sam3i_edge.errors import ImageError
from sam3i_edge.overlay import PALETTE, _colors, _overlap, _place, draw

SIZE = 240


def found_at(*boxes: tuple[int, int, int, int], text: str = "the mug") -> Instances:
    """Instances that fill their boxes."""
    logits = np.full((len(boxes), SIZE, SIZE), -1, np.float32)
    for mask, (x0, y0, x1, y1) in zip(logits, boxes, strict=True):
        mask[y0:y1, x0:x1] = 1
    scores = np.linspace(0.9, 0.6, len(boxes), dtype=np.float32)
    return Instances(scores, np.array(boxes, np.float32).reshape(-1, 4), logits, SIZE, SIZE, "simple", Prompt(text))


def lab(color) -> np.ndarray:
    return cv2.cvtColor(np.array([[color]], np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize("under", [*PALETTE, (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 30, 30)])
def test_no_colour_is_that_of_what_it_covers(under):
    image = np.full((SIZE, SIZE, 3), under, np.uint8)
    found = found_at((40, 60, 120, 160), (130, 60, 200, 160), (10, 180, 100, 230))
    colors = list(_colors(image, found.masks, [(0, 0, 1, 1)] * 3))
    assert len(set(colors)) == 3
    for color, mask in zip(colors, found.masks, strict=True):
        assert np.linalg.norm(lab(color) - lab(under)) > 40
        middle = draw(image, found)[mask.nonzero()[0].mean().astype(int), mask.nonzero()[1].mean().astype(int)]
        assert np.linalg.norm(lab(middle) - lab(under)) > 10


def test_labels_do_not_cover_each_other_while_there_is_room():
    placed = []
    for _ in range(20):
        placed.append(_place(70, 18, (100, 60, 140, 100), (SIZE, SIZE), placed))
    assert not any(_overlap(one, other) for i, one in enumerate(placed) for other in placed[:i])
    assert all(x0 >= 0 and y0 >= 0 and x1 <= SIZE and y1 <= SIZE for x0, y0, x1, y1 in placed)


def test_several_prompts_go_on_one_image_and_the_same_call_gives_the_same_pixels():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    mugs, knives = found_at((40, 60, 120, 160)), found_at((130, 60, 200, 160), text="a {0} knife\x1b[2J" * 9)
    both = draw(image, [mugs, knives])
    assert (both == draw(image, (mugs, knives))).all()
    changed = (both != image).any(-1)
    assert changed[mugs.masks[0]].mean() > 0.9 and changed[knives.masks[0]].mean() > 0.9
    assert (draw(image, []) == image).all() and (draw(image, mugs[:0]) == image).all()


def test_the_number_and_the_text_are_on_the_label():
    """The picture changes with each of them, where the label is alone."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    mug, other = found_at((40, 60, 120, 160)), found_at((40, 60, 120, 160), text="the cup")
    label = (slice(35, 60), slice(35, 200))
    assert (draw(image, mug)[label] != draw(image, other)[label]).any()
    alone = draw(image, [mug[:0], mug])
    second = draw(image, [found_at((5, 200, 30, 230)), dataclasses.replace(mug)])
    assert (alone[label] != second[label]).any()


@pytest.mark.parametrize(
    ("image", "found", "message"),
    [
        (np.zeros((SIZE, SIZE), np.uint8), found_at(), "expected .* uint8 RGB"),
        (np.zeros((SIZE, SIZE, 3), np.float32), found_at(), "Cannot draw on float32"),
        ("photo.jpg", found_at(), "Cannot draw on str"),
        (np.zeros((9, SIZE, 3), np.uint8), [found_at()], "240 wide and 9 high; plot on the one that was segmented"),
        (np.zeros((SIZE, SIZE, 3), np.uint8), [found_at(), None], "Cannot draw a NoneType; give Instances"),
    ],
)
def test_what_cannot_be_drawn(image, found, message):
    with pytest.raises(ImageError, match=message):
        draw(image, found)
