"""Which layers matter least: the ones without which the model's answers change least, measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sam3i_edge.distill.students import STACKS, layer_counts
from sam3i_edge.model import Sam3i
from sam3i_edge.model.vision import normalize
from sam3i_edge.tokenizer import PADDING_ID
from sam3i_edge.train.batches import Batch

Outputs = tuple[Tensor, ...]
Answers = Callable[[], Iterator[Outputs]]
"""To all batches, one after the other."""


def choose_layers(
    model: Sam3i,
    batches: Sequence[Batch],
    depths: Mapping[str, int],
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, tuple[int, ...]]:
    """The layers of each stack that stay: the least missed one is left out, then the least missed of the rest, …

    The trunk's last layer always stays: the trunk ends with it.

    Args:
        model: the teacher.
        batches: images and prompts to measure on; a few dozen images do.
        depths: how many layers are to stay, by the names of ``STACKS``.
        progress: told what was left out and at what cost.
    """
    kept = {}
    by_stack = _answers(model, batches)
    for stack, wanted in depths.items():
        count = layer_counts(model.config)[stack]
        if wanted == count:
            kept[stack] = tuple(range(count))
            continue
        answers = by_stack[stack]
        spared = {count - 1} if stack == "vision" else set()
        missing: set[int] = set()
        with torch.inference_mode():
            whole = list(answers())
            while count - len(missing) > wanted:
                candidates = sorted(set(range(count)) - missing - spared)
                costs = {i: _change(model, stack, missing | {i}, answers, whole) for i in candidates}
                least = min(costs, key=lambda i: costs[i])
                missing.add(least)
                progress(f"{stack}: without layer {least} the answers change by {costs[least]:.1%}")
        kept[stack] = tuple(i for i in range(count) if i not in missing)
    return kept


def choose_queries(model: Sam3i, batches: Sequence[Batch], count: int) -> tuple[int, ...]:
    """The queries that score highest on the whole: those that answer."""
    if count == model.config.num_queries:
        return tuple(range(count))
    answers = _answers(model, batches)["decoder"]
    with torch.inference_mode():
        total = torch.stack([scores.sum(0) for _, _, scores in answers()]).sum(0)
    return tuple(sorted(total.topk(count).indices.tolist()))


def _answers(model: Sam3i, batches: Sequence[Batch]) -> dict[str, Answers]:
    """What each stack is judged by: its part of the model's answers."""
    batches = [batch.to(next(model.parameters()).device) for batch in batches]

    def pyramids() -> Iterator[Outputs]:
        return (model.encode_image(normalize(batch.images)) for batch in batches)

    def texts() -> Iterator[Outputs]:
        return ((model.encode_text(*batch.texts[0]),) for batch in batches)

    @cache  # no layer of encoder or decoder changes them, and the trunk is most of the work
    def inputs() -> list[tuple[Batch, Outputs, Outputs]]:
        return list(zip(batches, pyramids(), texts(), strict=True))

    def detections() -> Iterator[Any]:
        for batch, (fine, middle, coarse), (memory,) in inputs():
            tokens, gates = batch.texts[0]
            levels = fine[batch.image_index], middle[batch.image_index], coarse[batch.image_index]
            yield model.detect(levels, memory, tokens == PADDING_ID, gates, batch.boxes, batch.box_labels)

    def memories() -> Iterator[Outputs]:
        return ((found.memory,) for found in detections())

    def queries() -> Iterator[Outputs]:
        for found in detections():
            yield found.queries, found.boxes, found.logits.sigmoid() * found.presence.sigmoid()

    return {"vision": pyramids, "text": texts, "encoder": memories, "decoder": queries}


def _change(model: Sam3i, stack: str, missing: Collection[int], answers: Answers, whole: Sequence[Outputs]) -> float:
    """Squared change of the answers without some layers, as a share of their squares; the mean over the outputs."""
    changes = []
    with without(model, stack, missing):
        for found, wanted in zip(answers(), whole, strict=True):
            changes += [float((a - b).square().sum() / b.square().sum()) for a, b in zip(found, wanted, strict=True)]
    return sum(changes) / len(changes)


@contextmanager
def without(model: Sam3i, stack: str, missing: Collection[int]) -> Iterator[None]:
    """Take some layers out of a stack: what is left is the student that keeps the others."""
    path, _, name = STACKS[stack].rpartition(".")
    parent = model.get_submodule(path)
    layers = parent.get_submodule(name)
    assert isinstance(layers, nn.ModuleList)
    read = layers[: layer_counts(model.config)[stack]]
    setattr(parent, name, nn.ModuleList(layer for i, layer in enumerate(read) if i not in missing))
    try:
        yield
    finally:
        setattr(parent, name, layers)
