"""``GraphEngine``: a bundle's graphs, run one by one through a Python runtime."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sam3i_edge.bundle import Bundle
from sam3i_edge.byte_lru import ByteLru
from sam3i_edge.cache import cache_folder
from sam3i_edge.calls import Opened, counted, counting
from sam3i_edge.engine import Features, Observer, Outputs, check_finite, on_host, timed
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.graphs import FEATURES
from sam3i_edge.image import preprocess
from sam3i_edge.instances import resize_masks
from sam3i_edge.manifest import Manifest
from sam3i_edge.precision import is_int8
from sam3i_edge.prompt import AUTO, Prompt, gates, pack_boxes
from sam3i_edge.route import RouteClassifier
from sam3i_edge.runtimes import (
    Session,
    SessionOptions,
    Tensor,
    default_device,
    device_name,
    is_typed_half,
    open_session,
)
from sam3i_edge.runtimes.processor import int8_saturates
from sam3i_edge.tokenizer import PADDING_ID, Tokenizer

logger = logging.getLogger("sam3i_edge")

TOKEN_CACHE_BYTES = 4 << 20
TEXT_CACHE_BYTES = 64 << 20
"""1024 texts of the full-size model."""
MOST_TOLD_WORDS = 100
OVERHEAD = 256
"""Bytes that an entry of a cache takes beside what it holds, roughly."""


class _Read(NamedTuple):
    """A text as the model reads it: its tokens (L,) int32, and the route that ``auto`` stands for."""

    tokens: np.ndarray
    auto_route: str


_Key = tuple[bytes, str]
"""Tokens and a route: what text memory depends on."""


class GraphEngine:
    """An ``Engine`` made of sessions: ``load`` opens those of a bundle, ``torch_engine`` those of a PyTorch model."""

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer,
        sessions: Mapping[str, Session],
        classifier: RouteClassifier | None = None,
        precision: str = "fp32",
        observer: Observer | None = None,
        fingerprint: str = "",
    ) -> None:
        """Put an engine together.

        Args:
            manifest: says the sizes and the limits of the graphs.
            tokenizer: makes texts of the model's length.
            sessions: by the graphs' names.
            classifier: chooses for the route ``auto``; None: the built-in one.
            precision: what the sessions compute in.
            observer: is told how long each stage took.
            fingerprint: of the bundle; empty: there is none.
        """
        self.manifest = manifest
        self.precision = precision
        self.fingerprint = fingerprint
        self.opened = Opened()
        self.sessions = sessions
        self.observer = observer
        self._tokenizer = tokenizer
        self._classifier = classifier or RouteClassifier.default()
        self._known_tokens: ByteLru[str, _Read] = ByteLru(TOKEN_CACHE_BYTES)
        self._known_texts: ByteLru[_Key, np.ndarray] = ByteLru(TEXT_CACHE_BYTES)
        self._told_words: set[str] = set()
        self._told_of_image = False

    @classmethod
    def load(
        cls, bundle: Bundle, *, runtime: str | None = None, device: str = "auto", observer: Observer | None = None
    ) -> GraphEngine:
        """Open the graphs of a bundle, opened to be run. ``runtime`` None: its target's.

        Raises:
            RuntimeUnavailableError: the runtime or the device is not available here.
            BundleError: a graph or the tokenizer cannot be read, or is not as the manifest says.
        """
        own = bundle.manifest.runtime
        name = own.target.runtime if runtime is None else runtime
        options = session_options(bundle.manifest, name, device)
        return cls(
            bundle.manifest,
            Tokenizer.from_file(
                bundle.path / own.tokenizer.file, own.model.context_length, bundle.read(own.tokenizer.file)
            ),
            open_sessions(bundle, name, options),
            RouteClassifier.load(bundle.path / own.router.file, bundle.read(own.router.file)),
            precision_in(bundle.manifest, options),
            observer,
            bundle.fingerprint,
        )

    @property
    def device(self) -> str:
        """As ``Engine.device``."""
        return self._session("vision").device

    @counted
    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """As ``Engine.preprocess``."""
        with timed(self.observer, "preprocess"):
            return preprocess(image, self.manifest.runtime.model.image_size)

    @counted
    def encode(self, image: np.ndarray) -> Features:
        """As ``Engine.encode``."""
        return self._encode_pixels(self.preprocess(image))

    def _encode_pixels(self, pixels: np.ndarray) -> Features:
        session = self._session("vision")
        with timed(self.observer, "vision"):
            outputs = session.run({"image": pixels})
        return {name: outputs[name] for name in FEATURES}  # a newer bundle's may be more

    @counted
    def check_features(self, features: Features) -> None:
        """As ``Engine.check_features``."""
        check_finite("vision", features, self.device)
        domain, coarse = self.manifest.runtime.domain, features["coarse"]
        if domain and not self._told_of_image and on_host(coarse) and domain.is_unlike(np.asarray(coarse)):
            self._told_of_image = True
            logger.warning(domain.image_advice())

    @counted
    def encode_texts(self, texts: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """As ``Engine.encode_texts``."""
        keys = [(self._read(text).tokens.tobytes(), route) for text, route in texts]
        memories = {key: memory for key in keys if (memory := self._known_texts.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in memories]
        most = self.manifest.runtime.limits.max_prompts
        for start in range(0, len(missing), most):
            memories |= self._encode_new_texts(missing[start : start + most])
        tokens = np.stack([np.frombuffer(tokens, np.int32) for tokens, _ in keys])
        return np.stack([memories[key] for key in keys]), tokens == PADDING_ID

    def _encode_new_texts(self, keys: Sequence[_Key]) -> dict[_Key, np.ndarray]:
        session = self._session("text")
        outputs = session.run(
            {
                "tokens": np.stack([np.frombuffer(tokens, np.int32) for tokens, _ in keys]),
                "gates": gates([route for _, route in keys]),
            }
        )
        check_finite("text", outputs, session.device)
        memories = {}
        for key, row in zip(keys, np.asarray(outputs["text"]), strict=True):
            memories[key] = row.copy()  # a view would keep the whole batch
            self._known_texts.put(key, memories[key], row.nbytes + len(key[0]) + OVERHEAD)
        return memories

    def _read(self, text: str) -> _Read:
        read = self._known_tokens.get(text)
        if read is None:
            tokens = self._tokenizer.encode(text)
            read = _Read(tokens, self._classifier.route(tokens))
            self._warn_of_unknown_words(text)
            self._known_tokens.put(text, read, sys.getsizeof(text) + tokens.nbytes + OVERHEAD)
        return read

    def _warn_of_unknown_words(self, text: str) -> None:
        """Say of a word, once, that the model has never seen it, if the bundle knows that."""
        domain = self.manifest.runtime.domain
        if domain is None:
            return
        for word in domain.unknown_words(text):
            if word not in self._told_words and len(self._told_words) < MOST_TOLD_WORDS:
                self._told_words.add(word)
                logger.warning(domain.word_advice(word))

    @counted
    def text_inputs(self, texts: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
        """What the text graph takes for N (text, route) pairs: tokens (N, L) int32, gates (N, 3) float32."""
        tokens = np.stack([self._read(text).tokens for text, _ in texts])
        return {"tokens": tokens, "gates": gates([route for _, route in texts])}

    @counted
    def ground(self, features: Features, prompts: Sequence[Prompt], width: int, height: int) -> Outputs:
        """As ``Engine.ground``, in as many calls as the bundle's ``limits.max_prompts`` makes of them."""
        inputs, most = self.prompt_inputs(prompts, width, height), self.manifest.runtime.limits.max_prompts
        session, parts = self._session("grounding"), []
        for start in range(0, len(prompts), most):
            batch = {name: value[start : start + most] for name, value in inputs.items()}
            with timed(self.observer, "grounding"):
                parts.append(session.run({**features, **batch}))
        arrays = {name: [np.asarray(part[name]) for part in parts] for name in parts[0]}
        return {name: rows[0] if len(rows) == 1 else np.concatenate(rows) for name, rows in arrays.items()}

    @counted
    def prompt_inputs(self, prompts: Sequence[Prompt], width: int, height: int) -> dict[str, np.ndarray]:
        """What the grounding graph takes of N prompts, beside the features. Raises as ``Engine.ground``."""
        boxes, labels = pack_boxes(prompts, width, height, self.manifest.runtime.limits.max_boxes)
        with timed(self.observer, "text"):
            routes = [self.route_of(prompt) for prompt in prompts]
            text, padding = self.encode_texts([(p.text, route) for p, route in zip(prompts, routes, strict=True)])
        return {
            "text": text,
            "text_padding": padding,
            "gates": gates(routes),
            "box_prompts": boxes,
            "box_labels": labels,
        }

    @staticmethod
    def resize_masks(logits: np.ndarray, width: int, height: int) -> np.ndarray:
        """As ``Engine.resize_masks``."""
        return resize_masks(logits, width, height)

    @counted
    def route_of(self, prompt: Prompt) -> str:
        """As ``Engine.route_of``."""
        return self._read(prompt.text).auto_route if prompt.route == AUTO else prompt.route

    @counted
    def graph_inputs(self, image: np.ndarray, prompts: Sequence[Prompt]) -> dict[str, dict[str, Tensor]]:
        """What one frame feeds each graph, by graph: for profilers, which run a graph alone."""
        height, width = image.shape[:2]
        texts, pixels = [(prompt.text, self.route_of(prompt)) for prompt in prompts], self.preprocess(image)
        return {
            "vision": {"image": pixels},
            "text": {**self.text_inputs(texts)},
            "grounding": {**self._encode_pixels(pixels), **self.prompt_inputs(prompts, width, height)},
        }

    @counted
    def clear_caches(self) -> None:
        """As ``Engine.clear_caches``."""
        self._known_tokens.clear()
        self._known_texts.clear()

    @counting()  # to free a graph may let other threads run
    def close(self) -> None:
        """As ``Engine.close``."""
        self.sessions = {}

    def _session(self, graph: str) -> Session:
        try:
            return self.sessions[graph]
        except KeyError:
            raise RuntimeUnavailableError("This Segmenter is closed. Load the bundle again.") from None


def open_sessions(opened: Bundle, runtime: str, options: SessionOptions) -> dict[str, Session]:
    """The graphs of a bundle by name, with the engines that it brings: what runs is what was hashed.

    Raises as ``runtimes.open_session``.
    """
    return {name: _open_session(opened, name, runtime, options) for name in opened.manifest.runtime.graphs}


def _open_session(opened: Bundle, name: str, runtime: str, options: SessionOptions) -> Session:
    content = opened.graph_content(name)
    own = replace(options, engine=opened.engine(name), engine_sha256=opened.engine_sha256(name))
    session = open_session(runtime, opened.graph_path(name), own, content)
    if content is None:
        opened.check_unchanged(name)
    return session


def session_options(manifest: Manifest, runtime: str, device: str) -> SessionOptions:
    """How ``load`` opens a bundle's graphs with a runtime, its target's or another."""
    own = manifest.runtime
    target, is_own = own.target, runtime == own.target.runtime
    usual = default_device(runtime)  # refuses an unknown runtime, before its name becomes a folder's
    chosen = device_name(runtime, device if device != "auto" else target.device if is_own else usual)
    return SessionOptions(
        device=chosen,
        precision=own.precision if is_own else "int8" if is_int8(own.precision) else "fp32",
        threads=target.threads,
        max_prompts=own.limits.max_prompts,
        settings=target.settings if is_own else {},
        resident=frozenset(FEATURES),
        cache=cache_folder(runtime),
        as_written=is_int8(own.precision) and (not is_own or (chosen.lower() == "cpu" and int8_saturates())),
    )


def precision_in(manifest: Manifest, options: SessionOptions) -> str:
    """What the bundle computes in when it is opened so: another runtime than its target's has precisions of its own."""
    own = manifest.runtime
    typed = is_typed_half(own.target.runtime, own.precision)  # then it stands in the graphs
    return own.precision if typed else options.precision
