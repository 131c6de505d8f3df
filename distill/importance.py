"""Which layers matter least: the ones without which the model's answers change least, measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sam3i_edge.distill.students import STACKS, layer_counts
from sam3i_edge.model import Sam3i
from sam3i_edge.model.vision import normalize
from sam3i_edge.tokenizer import PADDING_ID
from sam3i_edge.train.batches import Batch

Answer = Callable[[Batch], tuple[Tensor, ...]]


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
    batches = [batch.to(next(model.parameters()).device) for batch in batches]
    for stack, wanted in depths.items():
        count = layer_counts(model.config)[stack]
        if wanted == count:
            kept[stack] = tuple(range(count))
            continue
        answer = _answers(model)[stack]
        spared = {count - 1} if stack == "vision" else set()
        missing: set[int] = set()
        with torch.inference_mode():
            whole = [answer(batch) for batch in batches]
            while count - len(missing) > wanted:
                candidates = sorted(set(range(count)) - missing - spared)
                costs = {i: _change(model, stack, missing | {i}, answer, batches, whole) for i in candidates}
                least = min(costs, key=lambda i: costs[i])
                missing.add(least)
                progress(f"{stack}: without layer {least} the answers change by {costs[least]:.1%}")
        kept[stack] = tuple(i for i in range(count) if i not in missing)
    return kept


def choose_queries(model: Sam3i, batches: Sequence[Batch], count: int) -> tuple[int, ...]:
    """The queries that score highest on the whole: those that answer."""
    if count == model.config.num_queries:
        return tuple(range(count))
    answer = _answers(model)["decoder"]
    device = next(model.parameters()).device
    with torch.inference_mode():
        total = torch.stack([answer(batch.to(device))[2].sum(0) for batch in batches]).sum(0)
    return tuple(sorted(total.topk(count).indices.tolist()))


def _answers(model: Sam3i) -> dict[str, Answer]:
    """What each stack is judged by: its part of the model's answer."""

    def pyramid(batch: Batch) -> tuple[Tensor, ...]:
        return model.encode_image(normalize(batch.images))

    def text(batch: Batch) -> tuple[Tensor, ...]:
        return (model.encode_text(*batch.texts[0]),)

    def detect(batch: Batch) -> Any:
        tokens, gates = batch.texts[0]
        fine, middle, coarse = pyramid(batch)
        levels = fine[batch.image_index], middle[batch.image_index], coarse[batch.image_index]
        (memory,) = text(batch)
        return model.detect(levels, memory, tokens == PADDING_ID, gates, batch.boxes, batch.box_labels)

    def memory(batch: Batch) -> tuple[Tensor, ...]:
        return (detect(batch).memory,)

    def queries(batch: Batch) -> tuple[Tensor, ...]:
        found = detect(batch)
        return found.queries, found.boxes, found.logits.sigmoid() * found.presence.sigmoid()

    return {"vision": pyramid, "text": text, "encoder": memory, "decoder": queries}


def _change(
    model: Sam3i,
    stack: str,
    missing: Collection[int],
    answer: Answer,
    batches: Sequence[Batch],
    whole: list[tuple[Tensor, ...]],
) -> float:
    """Squared change of the answers without some layers, as a share of their squares; the mean over the outputs."""
    changes = []
    with without(model, stack, missing):
        for batch, wanted in zip(batches, whole, strict=True):
            found = answer(batch)
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
