"""``Instances``: a sequence, whose masks are made when they are asked for."""

import copy
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from sam3i_edge import Instances, Prompt
from sam3i_edge.coco import coco_document
from sam3i_edge.errors import ImageError
from sam3i_edge.overlay import draw

THRESHOLDS = {"concept": 0.5, "simple": 0.25, "complex": 0.75}
LOGITS = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)


@pytest.fixture
def found() -> Instances:
    boxes = np.arange(16, dtype=np.float32).reshape(4, 4)
    scores = np.array([0.9, 0.8, 0.6, 0.5], np.float32)
    return Instances(scores, boxes, LOGITS, width=40, height=30, route="simple", prompt=Prompt("the mug", "simple"))


def test_masks_are_the_resized_logits_made_once(found):
    assert "masks" not in vars(found)
    assert (found.masks.shape, found.masks.dtype) == ((4, 30, 40), bool)
    for mask, logits in zip(found.masks, LOGITS, strict=True):
        assert (mask == (cv2.resize(logits, (40, 30)) > 0)).all()
    assert found.masks is found.masks


def test_masks_at_the_graphs_size_areas_and_rle_make_no_full_masks(found):
    assert (found.graph_masks == (LOGITS > 0)).all()
    areas, runs = found.area, found.rle()
    assert "masks" not in vars(found)
    assert areas.tolist() == found.masks.sum((1, 2)).tolist()
    assert all((coco.decode(rle) == mask).all() for rle, mask in zip(runs, found.masks, strict=True))
    assert areas.tolist() == [int(coco.area(rle)) for rle in runs]


@pytest.mark.parametrize("made", [False, True])
def test_it_is_a_sequence(found, made):
    if made:
        assert found.masks.any()
    assert len(found) == 4
    for one, score in zip(found, found.scores, strict=True):
        assert isinstance(one, Instances) and one.scores.tolist() == [score]
    for picked, at in (
        (found[1], [1]),
        (found[-1], [3]),
        (found[np.int64(2)], [2]),
        (found[1:3], [1, 2]),
        (found[found.scores > 0.7], [0, 1]),
        (found[[2, 0]], [2, 0]),
        (found[np.zeros(4, bool)], []),
    ):
        assert (picked.scores == found.scores[at]).all()
        assert (picked.boxes == found.boxes[at]).all()
        assert ("masks" in vars(picked)) == made
        assert (picked.masks == found.masks[at]).all()
        assert (picked.route, picked.prompt) == (found.route, found.prompt)


@pytest.mark.parametrize("index", [4, True, np.True_, None, 1.0, "0", [True, False], [[0, 1], [1, 2]], (0, 1)])
def test_what_is_no_index(found, index):
    with pytest.raises(IndexError):
        found[index]


def test_a_document_is_a_coco_dataset_and_its_annotations_are_results(found, tmp_path):
    document = json.loads(json.dumps(coco_document("a.jpg", [found, found[:1]], THRESHOLDS)))
    (tmp_path / "found.json").write_text(json.dumps(document))
    dataset = COCO(str(tmp_path / "found.json"))
    first, second, _, _, last = copy.deepcopy(document["annotations"])  # loadRes changes them
    results = dataset.loadRes(document["annotations"])
    assert dataset.getAnnIds(catIds=[2]) == results.getAnnIds(catIds=[2]) == [5]
    assert (first["image_id"], first["category_id"], first["text"]) == (1, 1, "the mug")
    assert (first["score"], first["bbox"], second["bbox"]) == (0.9, [0, 1, 2, 2], [4, 5, 2, 2])
    assert first["area"] == found.masks[0].sum() == dataset.annToMask(dataset.anns[1]).sum()
    assert (results.annToMask(results.anns[4]) == found.masks[3]).all()
    assert last["category_id"] == 2


def test_a_document_tells_the_images_size_also_if_nothing_was_found(found):
    document = coco_document("a.jpg", [found[:0]], THRESHOLDS)
    assert document["annotations"] == []
    assert document["images"] == [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
    assert document["categories"] == [{"id": 1, "name": "the mug", "route": "simple", "threshold": 0.25}]


def test_results_go_under_the_ids_of_a_dataset_of_ones_own(found):
    own = COCO()
    own.dataset = {"images": [{"id": 42, "width": 40, "height": 30}], "categories": [{"id": 7}], "annotations": []}
    own.createIndex()
    assert len(own.loadRes(found.to_coco(image_id=42, category_id=7)).getAnnIds(imgIds=[42], catIds=[7])) == 4


def test_plot_draws_on_a_copy(found):
    image = np.zeros((30, 40, 3), np.uint8)
    drawn = found.plot(image)
    assert (drawn == draw(image, found)).all() and drawn.any()
    assert not image.any()
    assert (found[:0].plot(Image.fromarray(image)) == image).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((40, 30, 3), np.uint8), "30 wide and 40 high; plot on the one that was segmented, 40 wide and 30"),
        (np.zeros((30, 40, 3), np.float32), "expected .* uint8"),
        (None, "is a NoneType"),
    ],
)
def test_an_image_that_nothing_can_be_drawn_on(found, image, message):
    for some in (found, found[:0]):
        with pytest.raises(ImageError, match=message):
            some.plot(image)


def test_it_says_what_it_is(found):
    assert repr(found) == "<4 instances of 'the mug' on the route simple, best score 0.90>"
    assert repr(found[:0]) == "<0 instances of 'the mug' on the route simple>"
