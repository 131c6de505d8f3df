"""Batches: pictures, masks and boxes that belong together, and an order that can be taken up anywhere."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pycocotools.mask
import pytest

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.samples import Query
from sam3i_edge.errors import DataError
from sam3i_edge.train.batches import Collate, StepSampler, TrainingSet, ask
from tests.train.conftest import tiny_recipe
from tests.train.shapes import COLOURS

SIZE = 56


def asking(*routes):
    return lambda sample: ask(sample, routes)


@pytest.fixture(scope="module")
def collate():
    return Collate(clip_tokenizer(32))


@pytest.mark.parametrize("least_scale", [1.0, 0.5])
def test_masks_and_boxes_lie_on_the_pictures_objects(samples, collate, least_scale):
    recipe = tiny_recipe(prompts=3, mask_size=0, least_scale=least_scale)
    dataset = TrainingSet(samples, asking("concept"), recipe, SIZE)
    batch = collate([dataset[i, 100 + i] for i in range(len(dataset))])
    assert batch.images.shape == (len(samples), SIZE, SIZE, 3)
    assert set(batch.targets.counts.tolist()) == {0, 1}  # "triangle" means nothing
    painted = np.array([*COLOURS.values()])
    for prompt, mask, box in zip(batch.targets.prompts, batch.targets.masks, batch.targets.boxes, strict=True):
        picture = batch.images[batch.image_index[prompt]].numpy().astype(int)
        inside = picture[mask.numpy()]
        assert np.median(np.abs(inside[:, None] - painted).sum(-1).min(1)) < 20
        ys, xs = np.nonzero(mask.numpy())
        extent = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / SIZE
        cx, cy, width, height = box.tolist()
        assert np.allclose([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], extent, atol=1.1 / SIZE)


def test_a_small_thing_keeps_the_cells_that_it_fills_most(samples, collate):
    small = np.zeros((samples[0].height, samples[0].width), np.uint8, order="F")
    small[20:22, 20:22] = 1
    thing = dataclasses.replace(samples[0].instances[0], rle=pycocotools.mask.encode(small))
    sample = dataclasses.replace(samples[0], instances=(thing,), queries=(Query("crumb", "concept", (0,)),))
    dataset = TrainingSet([sample], asking("concept"), tiny_recipe(mask_size=14, least_scale=1.0), SIZE)
    (mask,) = collate([dataset[0, 0]]).targets.masks
    assert 1 <= mask.sum() <= 4
    y, x = mask.nonzero()[0].tolist()
    assert (y, x) == (int(20 * 14 / small.shape[0]), int(20 * 14 / small.shape[1]))


def test_images_of_another_size_than_annotated_are_refused(samples, tmp_path):
    turned = tmp_path / "turned.png"
    cv2.imwrite(str(turned), np.zeros((samples[0].width + 1, samples[0].height, 3), np.uint8))
    dataset = TrainingSet([dataclasses.replace(samples[0], path=turned)], asking("concept"), tiny_recipe(), SIZE)
    with pytest.raises(DataError, match="Give the images that were annotated"):
        dataset[0, 0]


def test_the_same_place_and_seed_give_the_same_item(samples, collate):
    dataset = TrainingSet(samples, asking("simple"), tiny_recipe(least_scale=0.5, box_prompts=0.5), SIZE)
    again = TrainingSet(samples, asking("simple"), tiny_recipe(least_scale=0.5, box_prompts=0.5), SIZE)
    one, other = collate([dataset[3, 7]]), collate([again[3, 7]])
    assert (one.images == other.images).all() and (one.boxes == other.boxes).all()
    assert (one.texts[0].tokens == other.texts[0].tokens).all()
    assert (collate([dataset[3, 8]]).images != one.images).any()


def test_example_boxes_come_with_some_prompts_and_near_a_target(samples, collate):
    dataset = TrainingSet(samples * 20, asking("concept"), tiny_recipe(prompts=3, box_prompts=0.5), SIZE)
    batch = collate([dataset[i, i] for i in range(len(dataset))])
    has_box, has_target = batch.box_labels[:, 0] == 1, batch.targets.counts > 0
    assert not has_box[~has_target].any()
    assert 0.4 < has_box[has_target].float().mean() < 0.6
    first = batch.targets.counts.cumsum(0) - batch.targets.counts
    apart = (batch.boxes[has_box, 0] - batch.targets.boxes[first[has_box]]).abs()
    assert 0 < apart.max() < 0.05


def test_texts_without_targets_are_asked_as_often_as_the_recipe_says(samples, collate):
    def counts(share):
        dataset = TrainingSet(samples, asking("concept"), tiny_recipe(prompts=2, no_target_share=share), SIZE)
        return collate([dataset[i, i] for i in range(len(dataset))]).targets.counts.reshape(-1, 2)

    assert (counts(0.5)[:, 0] > 0).all() and (counts(0.5)[:, 1] == 0).all()  # the last: masks come from the first
    assert not (counts(0.0)[:, 1] == 0).all()
    assert (counts(1.0)[:, 0] > 0).all()  # there is one such text in each picture, and two are asked


def test_stage_3_pairs_texts_of_the_same_targets(samples, collate):
    routes = ("simple", "complex", "concept")
    batch = collate([TrainingSet(samples, asking(*routes), tiny_recipe("3"), SIZE)[0, 0]])
    assert [text.gates[0].tolist() for text in batch.texts] == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert sorted(batch.concepts) == ["disc", "square"]
    assert (batch.targets.counts == 1).all()


def test_a_broader_concept_serves_a_narrower_pair(samples):
    sample = dataclasses.replace(
        samples[0],
        queries=(
            Query("shapes", "concept", (0, 1)),
            Query("the left one", "simple", (0,)),
            Query("what would roll", "complex", (0,)),
            Query("the right one", "simple", (1,)),
        ),
    )
    groups = ask(sample, ("simple", "complex", "concept"))
    assert [[query.text for query in group] for group in groups] == [["the left one", "what would roll", "shapes"]]


def test_texts_that_mean_nothing_are_paired_with_each_other(samples):
    texts = (
        Query("shapes", "concept", (0, 1)),
        Query("mug", "concept", ()),
        Query("the green one", "simple", ()),
        Query("what would bark", "complex", ()),
    )
    (group,) = ask(dataclasses.replace(samples[0], queries=texts), ("simple", "complex", "concept"))
    assert [query.text for query in group] == ["the green one", "what would bark", "mug"]


def test_a_stage_may_be_asked_texts_of_other_levels_on_its_own_route(samples):
    texts = (Query("mug", "concept", (0,)), Query("the left one", "simple", (1,)), Query("what rolls", "complex", ()))
    groups = ask(dataclasses.replace(samples[0], queries=texts), ("concept",), ("concept", "simple"))
    assert groups == [[texts[0]], [dataclasses.replace(texts[1], route="concept")]]


def passes(first, last, rank=0, processes=1):
    return list(StepSampler(samples=10, images=4, seed=3, first=first, last=last, rank=rank, processes=processes))


def test_every_epoch_shows_every_sample_once():
    seen = [sample for pairs in passes(0, 5) for sample, _ in pairs]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert len({seed for pairs in passes(0, 5) for _, seed in pairs}) == 20


def test_the_order_can_be_taken_up_anywhere():
    assert passes(0, 9)[4:] == passes(4, 9)


def test_processes_share_each_pass():
    whole = passes(0, 3)
    parts = [passes(0, 3, rank=rank, processes=2) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(pairs) for pairs in whole]
