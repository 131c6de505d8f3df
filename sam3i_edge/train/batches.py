"""Samples to batches: which prompts an image is asked, and everything about them as tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

import cv2
import numpy as np
import pycocotools.mask
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sam3i_edge.data.samples import Query, Sample, read_sample
from sam3i_edge.image import preprocess
from sam3i_edge.prompt import gates
from sam3i_edge.tokenizer import Tokenizer
from sam3i_edge.train.recipe import TrainRecipe
from sam3i_edge.train.targets import Targets

BOX_NOISE_PIXELS = 20
POSITIVE, UNUSED = 1, -1


class Prompts(NamedTuple):
    """One text for each of N prompts."""

    tokens: Tensor
    """(N, 32) int64"""
    gates: Tensor
    """(N, 3) float32"""

    def to(self, device: torch.device) -> Prompts:
        """The prompts on ``device``."""
        return Prompts(*(tensor.to(device, non_blocking=True) for tensor in self))


class Batch(NamedTuple):
    """B images and N prompts on them."""

    images: Tensor
    """(B, S, S, 3) uint8"""
    image_index: Tensor
    """(N,) which image a prompt is about"""
    texts: tuple[Prompts, ...]
    """the prompts' texts: one; for stage 3 three, simple, complex and concept, that mean the same targets"""
    boxes: Tensor
    """(N, 1, 4) normalised cx cy w h of an example"""
    box_labels: Tensor
    """(N, 1) 1, or -1 where there is no example"""
    targets: Targets
    masked: Tensor
    """(M,) the prompts whose masks are learned from"""
    concepts: tuple[str, ...] = ()
    """for stage 3: the N concept texts"""

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``."""
        tensors = (self.images, self.image_index, self.boxes, self.box_labels, self.masked, *self.targets)
        images, index, boxes, labels, masked, *targets = (tensor.to(device, non_blocking=True) for tensor in tensors)
        texts = tuple(text.to(device) for text in self.texts)
        return Batch(images, index, texts, boxes, labels, Targets(*targets), masked, self.concepts)


class TrainingPrompt(NamedTuple):
    """What one prompt asks: texts by route, and the instances that all of them mean."""

    texts: tuple[tuple[str, str], ...]
    """(text, route) pairs"""
    targets: tuple[int, ...]


class TrainingItem(NamedTuple):
    """One image of a batch with its prompts, before collation."""

    image: np.ndarray
    asked: list[TrainingPrompt]
    boxes: list[np.ndarray]
    """of each prompt's targets, (T, 4) normalised cx cy w h"""
    masks: list[np.ndarray]
    """(T, m, m) bool"""
    examples: list[np.ndarray | None]


Ask = Callable[[Sample], list[list[Query]]]
"""What can be asked of an image: groups of queries that mean the same targets, one text of each level in a group."""


class TrainingSet(Dataset[TrainingItem]):
    """The images that have something to ask.

    Indexed by (sample, seed): the same pair gives the same item, in any process and after any restart.
    """

    def __init__(self, samples: Sequence[Sample], ask: Ask, recipe: TrainRecipe, image_size: int) -> None:
        self._recipe, self._image_size = recipe, image_size
        questions = ((sample, ask(sample)) for sample in samples)
        self._samples = [(sample, asked) for sample, asked in questions if asked]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: tuple[int, int]) -> TrainingItem:
        position, seed = index
        rng = np.random.default_rng(seed)
        sample, questions = self._samples[position]
        asked = [pick_texts(group, rng) for group in self._choose(questions, rng)]
        scale = rng.uniform(self._recipe.least_scale, 1.0)
        masks = [self._masks(sample, question.targets, scale) for question in asked]
        boxes = [_boxes(sample, question.targets) * scale for question in asked]
        examples = [self._example(found, rng) for found in boxes]
        return TrainingItem(model_image(sample, self._image_size, scale), asked, boxes, masks, examples)

    def _choose(self, questions: list[list[Query]], rng: np.random.Generator) -> list[list[Query]]:
        """Those without targets, as far as their number is asked for, come last: masks are learned from the first."""
        order = rng.permutation(len(questions))
        wanted = ceil(self._recipe.prompts * self._recipe.no_target_share)
        last = [i for i in order if not questions[i][0].targets][:wanted]
        first = [i for i in order if i not in last][: self._recipe.prompts - len(last)]
        return [questions[i] for i in (*first, *last)]

    def _masks(self, sample: Sample, targets: tuple[int, ...], scale: float) -> np.ndarray:
        size = self._recipe.mask_size or self._image_size
        side = round(size * scale)
        masks = np.zeros((len(targets), size, size), bool)
        for mask, target in zip(masks, targets, strict=True):
            whole = pycocotools.mask.decode(sample.instances[target].rle)
            share = cv2.resize(whole.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
            mask[:side, :side] = (share >= min(0.5, share.max())) & (share > 0)  # of a small thing, the most there is
        return masks

    def _example(self, boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        if len(boxes) == 0 or rng.random() >= self._recipe.box_prompts:
            return None
        box = boxes[rng.integers(len(boxes))]
        most = BOX_NOISE_PIXELS / 1008
        sides = np.tile(box[2:], 2)
        noise = np.clip(rng.normal(0, self._recipe.box_noise, 4) * sides, -most, most)
        corners = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]) + noise
        x0, y0, x1, y1 = corners.clip(0, 1)
        noisy = np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], np.float32)
        return noisy if (noisy[2:] > 0).all() else box


def model_image(sample: Sample, size: int, scale: float = 1.0) -> np.ndarray:
    """The sample's image as the model reads it, (size, size, 3) uint8; shrunk by ``scale`` and padded with black.

    Raises as ``read_sample``.
    """
    shrunk = preprocess(read_sample(sample), round(size * scale))[0]
    image = np.zeros((size, size, 3), np.uint8)
    image[: shrunk.shape[0], : shrunk.shape[1]] = shrunk
    return image


class Collate:
    """Items to a batch; masks are learned from of ``mask_share`` of each image's prompts."""

    def __init__(self, tokenizer: Tokenizer, mask_share: float = 1.0) -> None:
        self._tokenizer = tokenizer
        self._mask_share = mask_share

    def __call__(self, items: list[TrainingItem]) -> Batch:
        asked = [question for item in items for question in item.asked]
        boxes = [boxes for item in items for boxes in item.boxes]
        examples = [example for item in items for example in item.examples]
        by_level = zip(*(question.texts for question in asked), strict=True)
        texts = tuple(prompts_of(pairs, self._tokenizer) for pairs in by_level)
        has_concept = len(texts) > 1
        counts = [len(item.asked) for item in items]
        starts = np.cumsum([0, *counts[:-1]])
        masked = [start + i for start, n in zip(starts, counts, strict=True) for i in range(ceil(n * self._mask_share))]
        return Batch(
            images=torch.from_numpy(np.stack([item.image for item in items])),
            image_index=torch.arange(len(items)).repeat_interleave(torch.tensor(counts)),
            texts=texts,
            boxes=torch.from_numpy(
                np.stack([np.full(4, 0.5) if box is None else box for box in examples])[:, None]
            ).float(),
            box_labels=torch.tensor([[UNUSED if box is None else POSITIVE] for box in examples]),
            targets=Targets(
                torch.from_numpy(np.concatenate(boxes)).float(),
                torch.from_numpy(np.concatenate([masks for item in items for masks in item.masks])),
                torch.tensor([len(found) for found in boxes]),
            ),
            masked=torch.tensor(masked),
            concepts=tuple(question.texts[-1][0].lower() for question in asked) if has_concept else (),
        )


def prompts_of(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Prompts:
    """(text, route) pairs as tensors."""
    tokens = np.stack([tokenizer.encode(text) for text, _ in pairs])
    return Prompts(torch.from_numpy(tokens), torch.from_numpy(gates([route for _, route in pairs])))


class StepSampler(Sampler[list[tuple[int, int]]]):
    """The (sample, seed) pairs of each forward pass, from any pass on: training resumes where it was.

    Every epoch is a permutation of its own. A process takes its share of each pass.
    """

    def __init__(self, samples: int, images: int, seed: int, first: int, last: int, rank: int, processes: int) -> None:
        self._samples, self._images, self._seed = samples, images, seed
        self._passes = range(first, last)
        self._mine = slice(rank, None, processes)

    def __len__(self) -> int:
        return len(self._passes)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, int)
        for number in self._passes:
            pairs = []
            for at in range(number * self._images, (number + 1) * self._images):
                if at // self._samples != epoch:
                    epoch = at // self._samples
                    order = np.random.default_rng([self._seed, epoch]).permutation(self._samples)
                item_seed = np.random.SeedSequence([self._seed, at]).generate_state(1)[0]
                pairs.append((int(order[at % self._samples]), int(item_seed)))
            yield pairs[self._mine]


def ask(sample: Sample, routes: tuple[str, ...], levels: tuple[str, ...] = ()) -> list[list[Query]]:
    """Groups of queries that mean the same targets, with a text for every route.

    With one route each query is a group of its own, and texts of other ``levels`` may be asked on it. With several, a
    group's concept text may mean more than its targets ("mug" beside "the red mug"): it names the kind, and is not
    segmented. The texts that mean nothing are a group, too, or a stage that sees no others would forget to say so.
    """
    if len(routes) == 1:
        asked = levels or routes
        return [[dataclasses.replace(query, route=routes[0])] for query in sample.queries if query.route in asked]
    groups: dict[tuple[int, ...], list[Query]] = {}
    for query in sample.queries:
        if query.route != "concept":
            groups.setdefault(query.targets, []).append(query)
    for targets, group in groups.items():
        kinds = [q for q in sample.queries if q.route == "concept" and bool(q.targets) == bool(targets)]
        group += [kind for kind in kinds if set(targets) <= set(kind.targets)]
    return [group for group in groups.values() if {query.route for query in group} >= set(routes)]


def ask_each(sample: Sample) -> list[list[Query]]:
    """Every text by itself, on the route of its level."""
    return [[query] for query in sample.queries]


def pick_texts(group: list[Query], rng: np.random.Generator) -> TrainingPrompt:
    """One text of each level in the group."""
    by_route: dict[str, list[Query]] = {}
    for query in group:
        by_route.setdefault(query.route, []).append(query)
    routes = sorted(by_route, key=("simple", "complex", "concept").index)
    texts = [(by_route[route][rng.integers(len(by_route[route]))].text, route) for route in routes]
    return TrainingPrompt(tuple(texts), group[0].targets)


def _boxes(sample: Sample, targets: tuple[int, ...]) -> np.ndarray:
    corners = np.array([sample.instances[i].box for i in targets], np.float32).reshape(-1, 4)
    corners /= np.array([sample.width, sample.height] * 2, np.float32)
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
