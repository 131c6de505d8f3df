"""``Engine``: what runs a bundle. ``Segmenter``, ``verify``, the evaluation and the benchmarks sit on it.

There are two: ``GraphEngine`` runs the graphs one by one through a Python runtime, ``NativeEngine`` is the C++ library.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from sam3i_edge.errors import BundleError
from sam3i_edge.manifest import Manifest
from sam3i_edge.prompt import Prompt
from sam3i_edge.runtimes import Tensor

STAGES = ("preprocess", "vision", "text", "grounding", "postprocess")
"""What a frame is made of, in its order. Text is the choice of a route, tokens, the cache and the graph."""

Observer = Callable[[str, int], None]
"""Called with a stage and the nanoseconds that it took, each time it ran, on the thread that ran it."""

Features = Mapping[str, Tensor]
"""The vision graph's outputs: (1, D, 4g, 4g), (1, D, 2g, 2g), (1, D, g, g) float32, where the engine left them;
``np.asarray`` brings one to the processor."""

Outputs = dict[str, np.ndarray]
"""The grounding graph's outputs, N rows each: logits (N, K), presence (N, 1), boxes (N, K, 4) as fractions of the
image, masks (N, K, 4g, 4g) logits, query_index (N, K)."""


class Engine(Protocol):
    """Runs a bundle's three graphs, with what stands between them. Threads may share one.

    What runs a graph raises RuntimeUnavailableError after ``close``, and BundleError where the graph fails.
    """

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        ...

    @property
    def device(self) -> str:
        """What really runs the graphs, in the runtime's words."""
        ...

    @property
    def precision(self) -> str:
        """What the graphs compute in here, one of ``precision.PRECISIONS``."""
        ...

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the bundle's manifest, which stands for all of its bytes; empty: there is no bundle."""
        ...

    @property
    def observer(self) -> Observer | None:
        """Told how long each stage took, those of ``Segmenter`` on this engine, too."""
        ...

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """``image`` (H, W, 3) uint8 RGB as the vision graph's input, (1, S, S, 3) uint8."""
        ...

    def encode(self, image: np.ndarray) -> Features:
        """Run the vision graph on ``image``, (H, W, 3) uint8 RGB of any size."""
        ...

    def check_features(self, features: Features) -> None:
        """Raise BundleError, as ``check_finite``, unless all ``features`` of ``encode`` are finite. What its runtime
        left in the memory of a GPU is not read: what is wrong there shows in what ``ground`` makes of it."""
        ...

    def encode_texts(self, texts: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Text memory (N, L, D) float32 and padding (N, L) bool of N >= 1 (text, route) pairs, cached by pair."""
        ...

    def ground(self, features: Features, prompts: Sequence[Prompt], width: int, height: int) -> Outputs:
        """Run the grounding graph for N >= 1 ``prompts`` on the features of an image, ``width`` x ``height`` pixels.

        Raises:
            PromptError: a box is outside the image, or there are too many.
        """
        ...

    def resize_masks(self, logits: np.ndarray, width: int, height: int) -> np.ndarray:
        """Masks (n, height, width) bool of ``logits`` (n, h, w) float32: resized (bilinear), above 0."""
        ...

    def route_of(self, prompt: Prompt) -> str:
        """The route that will run: the prompt's own, or what the bundle's classifier makes of the text for ``auto``."""
        ...

    def clear_caches(self) -> None:
        """Forget every text: the next one is tokenized and encoded again."""
        ...

    def close(self) -> None:
        """Free the graphs."""
        ...


def check_finite(graph: str, tensors: Mapping[str, Tensor], device: str) -> None:
    """Refuse what a graph computed if any of it is infinite or not a number: half precision overflows so on single
    images, and the rest would look as if nothing were there, or be a mask without a pixel.

    Costs one sum a tensor. Tensors in the memory of a device are not read.

    Raises:
        BundleError: it names the graph, its outputs and what to do.
    """
    wrong = [name for name, values in tensors.items() if on_host(values) and not _is_finite(np.asarray(values))]
    if wrong:
        raise BundleError(not_finite(graph, wrong, device))


def not_finite(graph: str, outputs: Sequence[str], device: str) -> str:
    """What ``check_finite`` says, the C++ library, too."""
    return (
        f"The {graph} graph computed values that are not finite ({', '.join(outputs)}) on {device}. Do not use this "
        "bundle here: sam3i-edge verify shows every output. If they are right, this input overflows in half precision: "
        "export again with --precision fp32 or int8."
    )


def on_host(values: Tensor) -> bool:
    """Whether ``np.asarray`` reads a tensor in place: it does not lie in the memory of a device."""
    return isinstance(values, np.ndarray) or getattr(values, "is_on_host", False)


def _is_finite(values: np.ndarray) -> bool:
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())  # only the sum may be too large


@contextmanager
def timed(observer: Observer | None, stage: str) -> Iterator[None]:
    """Tell ``observer`` how long the block took; do nothing if there is none."""
    if observer is None:
        yield
        return
    start = time.perf_counter_ns()
    try:
        yield
    finally:
        observer(stage, time.perf_counter_ns() - start)
