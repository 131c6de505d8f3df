"""``Segmenter``: load a bundle, encode an image once, ask it anything."""

from __future__ import annotations

import logging
import numbers
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from sam3i_edge.bundle import TOKENIZER_FILE, Bundle, Manifest, open_bundle
from sam3i_edge.cache import cache_folder
from sam3i_edge.errors import PromptError, RuntimeUnavailableError
from sam3i_edge.graphs import FEATURES
from sam3i_edge.image import check_image, preprocess
from sam3i_edge.instances import Instances, postprocess
from sam3i_edge.prompt import AUTO, Prompt, gates, pack_boxes
from sam3i_edge.route import ROUTE_FILE, RouteClassifier
from sam3i_edge.runtimes import NATIVE, Session, SessionOptions, Tensor, default_device, open_session
from sam3i_edge.runtimes.processor import int8_saturates
from sam3i_edge.targets import is_int8, is_typed_half
from sam3i_edge.tokenizer import PADDING_ID, Tokenizer

logger = logging.getLogger("sam3i_edge")

TEXT_CACHE_SIZE = 1024

Features = dict[str, Tensor]
Outputs = dict[str, np.ndarray]


class Segmenter:
    """Instruction-following segmentation on one device.

    >>> seg = Segmenter.load("bundle/")
    >>> frame = seg.encode(image)                             # (H, W, 3) uint8 RGB; the heavy step, once per image
    >>> found = frame.segment("the red mug left of the laptop")
    >>> found.masks, found.boxes, found.scores                # (n, H, W) bool, (n, 4) pixels, (n,) descending

    Threads may share one; a ``Frame``, too. ``close`` it, or use it in a ``with``, to free the device at once.
    """

    _threshold: float

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer,
        sessions: Mapping[str, Session],
        threshold: float = 0.5,
        classifier: RouteClassifier | None = None,
        precision: str = "fp32",
    ) -> None:
        """Put a segmenter together: ``load`` does it for a bundle, ``evaluate.segmenter_of`` for a torch model.

        Args:
            manifest: says the sizes and the limits of the graphs.
            tokenizer: makes texts of the model's length.
            sessions: by the graphs' names.
            threshold: in 0..1.
            classifier: chooses for the route ``auto``; None: the built-in one.
            precision: what the sessions compute in.
        """
        self.precision = precision
        self._manifest = manifest
        self._sessions = sessions
        self._tokens = tokens = lru_cache(TEXT_CACHE_SIZE)(tokenizer.encode)
        chooser = classifier or RouteClassifier.default()
        self._auto_route = lru_cache(TEXT_CACHE_SIZE)(lambda text: chooser.route(tokens(text)))
        self._text_cache: OrderedDict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._text_lock = threading.Lock()
        self.threshold = threshold

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        *,
        device: str = "auto",
        threshold: float = 0.5,
        runtime: str | None = None,
        verify: bool = False,
    ) -> Segmenter:
        """Check a bundle and open its graphs.

        Args:
            bundle: the folder that ``sam3i-edge export`` wrote.
            device: ``auto``: the device of the bundle's target; or a name of the runtime's, for example ``cpu``.
            threshold: instances scoring above this, in 0..1, are returned.
            runtime: overrides the runtime of the bundle's target. Its own defaults then stand for the target's device
                and settings, and what is not integer in the graphs it computes in fp32. ``native``: the C++ library
                does all of it, with its own runtimes; ``native:openvino`` and the like choose one.
            verify: replay the golden cases on this device first, if that was not done before.

        Raises:
            BundleError: the bundle is damaged, incomplete, or newer than this package; or, with ``verify``, its
                answers on this device are not the float model's.
            RuntimeUnavailableError: the runtime or the device is not to be had here.
            PromptError: the threshold is out of range.
        """
        threshold = check_threshold(threshold)  # before a large bundle is hashed and opened
        if runtime is not None and runtime.partition(":")[0] == NATIVE:
            from sam3i_edge.runtimes import native  # it is made of what this module defines

            return native.load(bundle, runtime, device, threshold, verify)
        opened = open_bundle(bundle)
        tokenizer = Tokenizer.from_file(opened.path / TOKENIZER_FILE, opened.manifest.model.text.context_length)
        classifier = RouteClassifier.load(opened.path / ROUTE_FILE)
        name = runtime or opened.manifest.target.runtime
        options = session_options(opened.manifest, name, device)
        manifest = opened.manifest
        sessions = open_sessions(opened, name, options)
        precision = precision_in(manifest, options)
        segmenter = cls(manifest, tokenizer, sessions, threshold, classifier, precision)
        if verify:
            from sam3i_edge.verify import verify_once  # it is made of what this module defines

            verify_once(segmenter, opened)
        return segmenter

    def close(self) -> None:
        """Free the graphs. Whoever encodes or segments afterwards gets a ``RuntimeUnavailableError``."""
        self._sessions = {}

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def threshold(self) -> float:
        """Instances scoring above this are returned. Setting it to anything but 0..1 raises PromptError."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold = check_threshold(value)

    @property
    def manifest(self) -> Manifest:
        """What the loaded bundle says of itself."""
        return self._manifest

    @property
    def device(self) -> str:
        """What really runs the graphs, in the runtime's words."""
        return self._session("vision").device

    def encode(self, image: np.ndarray) -> Frame:
        """Run the vision graph on ``image``, (H, W, 3) uint8 RGB of any size. Raises ImageError."""
        height, width = check_image(image).shape[:2]
        features = self._session("vision").run({"image": preprocess(image, self.manifest.model.image_size)})
        return Frame(self, features, width, height)

    @overload
    def segment(  # type: ignore[overload-overlap]  # a str is a Sequence[str], too; the first signature wins
        self, image: np.ndarray, prompt: str | Prompt
    ) -> Instances: ...
    @overload
    def segment(self, image: np.ndarray, prompt: Sequence[str | Prompt]) -> list[Instances]: ...
    def segment(self, image: np.ndarray, prompt: str | Prompt | Sequence[str | Prompt]) -> Instances | list[Instances]:
        """``encode(image).segment(prompt)`` in one step; a bad prompt is refused before the image is encoded."""
        height, width = check_image(image).shape[:2]
        pack_boxes(as_prompts(prompt), width, height, self.manifest.limits.max_boxes)
        return self.encode(image).segment(prompt)

    def route_of(self, prompt: Prompt) -> str:
        """The route that will run: the prompt's own, or what the bundle's classifier makes of the text for ``auto``."""
        return self._auto_route(prompt.text) if prompt.route == AUTO else prompt.route

    def encode_texts(self, texts: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Text memory (N, 32, D) float32 and padding (N, 32) bool of N >= 1 (text, route) pairs, cached by pair."""
        with self._text_lock:
            missing = [pair for pair in dict.fromkeys(texts) if pair not in self._text_cache]
            for start in range(0, len(missing), self.manifest.limits.max_prompts):
                self._encode_new_texts(missing[start : start + self.manifest.limits.max_prompts])
            encoded = [self._text_cache[pair] for pair in texts]
            for pair in texts:
                self._text_cache.move_to_end(pair)
            while len(self._text_cache) > TEXT_CACHE_SIZE:
                self._text_cache.popitem(last=False)
        return np.stack([row for row, _ in encoded]), np.stack([padding for _, padding in encoded])

    def _encode_new_texts(self, pairs: Sequence[tuple[str, str]]) -> None:
        tokens = np.stack([self._tokens(text) for text, _ in pairs])
        inputs = {"tokens": tokens, "gates": gates([route for _, route in pairs])}
        memory = np.asarray(self._session("text").run(inputs)["text"])
        for pair, row, padding in zip(pairs, memory, tokens == PADDING_ID, strict=True):
            self._text_cache[pair] = (row.copy(), padding)  # a view would keep the whole batch

    def ground(self, features: Features, prompts: Sequence[Prompt], width: int, height: int) -> Outputs:
        """Run the grounding graph for N >= 1 ``prompts`` on one image's features.

        Returns:
            The graph's outputs by name, N rows each: logits (N, K), presence (N, 1), boxes (N, K, 4) as fractions of
            the image, masks (N, K, 4g, 4g) logits, query_index (N, K).

        Raises:
            PromptError: a box is outside the image, or there are too many.
        """
        limits = self.manifest.limits
        routes = [self.route_of(prompt) for prompt in prompts]
        boxes, labels = pack_boxes(prompts, width, height, limits.max_boxes)
        texts, padding = self.encode_texts([(p.text, route) for p, route in zip(prompts, routes, strict=True)])
        per_prompt = {
            "text": texts,
            "text_padding": padding,
            "gates": gates(routes),
            "box_prompts": boxes,
            "box_labels": labels,
        }
        parts = []
        for start in range(0, len(prompts), limits.max_prompts):
            batch = {name: value[start : start + limits.max_prompts] for name, value in per_prompt.items()}
            parts.append(self._session("grounding").run({**features, **batch}))
        arrays = {name: [np.asarray(part[name]) for part in parts] for name in parts[0]}
        return {name: rows[0] if len(rows) == 1 else np.concatenate(rows) for name, rows in arrays.items()}

    def _session(self, graph: str) -> Session:
        try:
            return self._sessions[graph]
        except KeyError:
            raise RuntimeUnavailableError("This Segmenter is closed. Load the bundle again.") from None


class Frame:
    """An encoded image: prompts on it cost only text and grounding.

    Attributes:
        features: the pyramid, by name: (1, D, 4g, 4g), (1, D, 2g, 2g), (1, D, g, g) float32; where the runtime left
            them, ``np.asarray`` brings them to the processor.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """

    def __init__(self, segmenter: Segmenter, features: Features, width: int, height: int) -> None:
        self._segmenter = segmenter
        self.features = features
        self.width = width
        self.height = height

    @overload
    def segment(  # type: ignore[overload-overlap]  # as above
        self, prompt: str | Prompt
    ) -> Instances: ...
    @overload
    def segment(self, prompt: Sequence[str | Prompt]) -> list[Instances]: ...
    def segment(self, prompt: str | Prompt | Sequence[str | Prompt]) -> Instances | list[Instances]:
        """Find what ``prompt`` means.

        A list of prompts, of any routes and with or without boxes, runs as one batch; as several, if it is longer than
        the bundle's ``limits.max_prompts`` (1 for the full-size model, whose attention maps fill the memory).

        Raises:
            PromptError: a text is empty, a route unknown, a box outside the image, or there are too many boxes.
        """
        found = self._segment(as_prompts(prompt))
        return found[0] if isinstance(prompt, str | Prompt) else found

    def _segment(self, asked: Sequence[Prompt]) -> list[Instances]:
        if not asked:
            return []
        outputs = self._segmenter.ground(self.features, asked, self.width, self.height)
        found = [
            postprocess(
                outputs["logits"][i],
                outputs["presence"][i],
                outputs["boxes"][i],
                outputs["masks"][i],
                width=self.width,
                height=self.height,
                threshold=self._segmenter.threshold,
                route=self._segmenter.route_of(prompt),
            )
            for i, prompt in enumerate(asked)
        ]
        self._warn_if_full(found)
        return found

    def _warn_if_full(self, found: Sequence[Instances]) -> None:
        limit = self._segmenter.manifest.limits.max_instances
        queries = self._segmenter.manifest.model.num_queries
        if limit < queries and any(len(instances) == limit for instances in found):
            logger.warning("A prompt found %d instances, the most this bundle returns; there may be more.", limit)


def open_sessions(opened: Bundle, runtime: str, options: SessionOptions) -> dict[str, Session]:
    """The graphs of a bundle by name, with the engines that it brings. Raises as ``runtimes.open_session``."""
    return {
        name: open_session(runtime, opened.graph_path(name), replace(options, engine=opened.engine(name)))
        for name in opened.manifest.graphs
    }


def session_options(manifest: Manifest, runtime: str, device: str) -> SessionOptions:
    """How ``load`` opens a bundle's graphs with a runtime, its target's or another."""
    target, is_own = manifest.target, runtime == manifest.target.runtime
    usual = default_device(runtime)  # refuses an unknown runtime, before its name becomes a folder's
    chosen = device if device != "auto" else target.device if is_own else usual
    return SessionOptions(
        device=chosen,
        precision=manifest.precision if is_own else "int8" if is_int8(manifest.precision) else "fp32",
        threads=target.threads,
        max_prompts=manifest.limits.max_prompts,
        settings=target.settings if is_own else {},
        resident=frozenset(FEATURES),
        cache=cache_folder(runtime),
        as_written=is_int8(manifest.precision) and (not is_own or (chosen.lower() == "cpu" and int8_saturates())),
    )


def precision_in(manifest: Manifest, options: SessionOptions) -> str:
    """What the bundle computes in when it is opened so: another runtime than its target's has precisions of its own."""
    typed = is_typed_half(manifest.target, manifest.precision)  # then it stands in the graphs
    return manifest.precision if typed else options.precision


def as_prompts(prompt: str | Prompt | Sequence[str | Prompt]) -> list[Prompt]:
    """What ``segment`` takes, as a list of prompts. Raises PromptError."""
    if isinstance(prompt, str | Prompt):
        prompt = [prompt]
    if not isinstance(prompt, Sequence):
        raise PromptError(f"The prompt is a {type(prompt).__name__}; give a str, a Prompt, or a list of them.")
    return [item if isinstance(item, Prompt) else Prompt(item) for item in prompt]


def check_threshold(value: float) -> float:
    """``value`` as a float. Raises PromptError unless it is a number in 0..1."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value <= 1:
        raise PromptError(f"The threshold is {value!r}; it must be a number between 0 and 1.")
    return float(value)
