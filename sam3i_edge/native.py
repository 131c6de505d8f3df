"""``NativeEngine``: a bundle run by the C++ library, from pixels to the outputs of the grounding graph.

The library is the extension module ``sam3i_edge._native``, which ``pip install . -C wheel.cmake=true`` builds.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sam3i_edge.calls import Opened, counted, counting, opening
from sam3i_edge.engine import Observer, Outputs
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.image import check_image
from sam3i_edge.manifest import Manifest, fingerprint_of, manifest_bytes, parse_manifest
from sam3i_edge.prompt import Prompt
from sam3i_edge.runtimes import Tensor
from sam3i_edge.text_cleaning import fix_text


def extension() -> ModuleType:
    """The module ``sam3i_edge._native``. Raises RuntimeUnavailableError if this installation lacks it."""
    try:
        return importlib.import_module("sam3i_edge._native")
    except Exception as error:  # not there, or broken, or without the libraries that it was linked to
        raise RuntimeUnavailableError(
            f"The C++ library is not in this installation ({error}). From a checkout build it in: "
            f"pip install . -C wheel.cmake=true; docs/cpp.md says what that needs."
        ) from error


class NativeEngine:
    """An engine whose every step runs in C++. Threads may share one, and other Python threads run meanwhile.

    Attributes:
        manifest: what the bundle says of itself.
        precision: what the graphs compute in here.
        fingerprint: as ``Engine.fingerprint``.
        observer: as ``Engine.observer``.
        opened: when; a fork of the process asks for it.
    """

    def __init__(
        self,
        bundle: str | Path,
        *,
        runtime: str | None = None,
        device: str = "auto",
        threads: int | None = None,
        integrity: str = "full",
        expect: str | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Check a bundle and open its graphs.

        Args:
            bundle: the folder that ``sam3i-edge export`` wrote.
            runtime: one of ``extension().runtimes()``; None: that of the bundle's target.
            device: ``auto``: the device of the bundle's target; or a name of the runtime's, for example ``CPU``.
            threads: processor threads, 0: the runtime's own choice; None: the target's.
            integrity: ``full``: names, sizes and SHA-256 of the bundle's files are checked; ``size``: not the hashes.
            expect: the fingerprint that the bundle must have; None: any.
            observer: told after each stage how long it took.

        Raises:
            RuntimeUnavailableError: the extension, the runtime or the device is not available, or the number of threads
                is out of range.
            BundleError: the bundle is damaged, incomplete or newer than the library, its fingerprint is another than
                ``expect``, or ``integrity`` is unknown.
        """
        self.opened = Opened()
        with opening(runtime or _own_runtime(Path(bundle))):
            self._engine: Any = extension().Engine(
                os.fspath(bundle),
                runtime=runtime,
                device=device,
                threads=threads,
                integrity=integrity,
                expect=expect,
                observer=observer,
            )
        self.fingerprint: str = self._engine.fingerprint
        self.precision: str = self._engine.precision
        self.observer = observer
        content = manifest_bytes(Path(bundle))
        if fingerprint_of(content) != self.fingerprint:
            raise BundleError(f"{bundle} was changed while it was loaded. Load the bundle again.")
        self.manifest: Manifest = parse_manifest(content, Path(bundle))

    @property
    def device(self) -> str:
        """As ``Engine.device``."""
        return str(self._engine.device)

    @counted
    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """As ``Engine.preprocess``. Raises ImageError."""
        pixels: np.ndarray = self._engine.preprocess(_in_place(image))
        return pixels

    @counted
    def encode(self, image: np.ndarray) -> NativeFeatures:
        """As ``Engine.encode``; the image is read in place if its pixels lie side by side. Raises ImageError."""
        return NativeFeatures(self._engine, self._engine.encode(_in_place(image)))

    @counted
    def check_features(self, features: Mapping[str, Tensor]) -> None:
        """As ``Engine.check_features``."""
        if isinstance(features, NativeFeatures):
            self._engine.check_features(features.handle)

    @counted
    def encode_texts(self, texts: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """As ``Engine.encode_texts``. Raises PromptError for an empty text or an unknown route."""
        memory, padding = self._engine.encode_texts([(self._repaired(text), route) for text, route in texts])
        return memory, padding

    @counted
    def ground(self, features: Mapping[str, Tensor], prompts: Sequence[Prompt], width: int, height: int) -> Outputs:
        """As ``Engine.ground``, on features of ``encode``."""
        if not isinstance(features, NativeFeatures):
            raise RuntimeUnavailableError("The native engine grounds on features that it encoded itself.")
        outputs: Outputs = self._engine.ground(features.handle, [self._tuple(p) for p in prompts], width, height)
        return outputs

    @staticmethod
    @counting()
    def resize_masks(logits: np.ndarray, width: int, height: int) -> np.ndarray:
        """As ``Engine.resize_masks``."""
        masks: np.ndarray = extension().resize_masks(np.ascontiguousarray(logits), width, height)
        return masks

    @counted
    def route_of(self, prompt: Prompt) -> str:
        """As ``Engine.route_of``."""
        return str(self._engine.route_of(self._repaired(prompt.text), prompt.route))

    def _tuple(self, prompt: Prompt) -> tuple[Any, ...]:
        corners = ([(b.x0, b.y0, b.x1, b.y1) for b in some] for some in (prompt.boxes, prompt.negative_boxes))
        return self._repaired(prompt.text), prompt.route, *corners

    def _repaired(self, text: str) -> str:
        """``text`` as ftfy repairs it: its repair of mojibake is what the library lacks."""
        return fix_text(text, self.manifest.runtime.model.context_length)

    @counted
    def clear_caches(self) -> None:
        """As ``Engine.clear_caches``."""
        self._engine.clear_caches()

    @counting()
    def close(self) -> None:
        """Free the graphs, once the calls that run are over. Encoding then raises RuntimeUnavailableError."""
        self._engine.close()


class NativeFeatures(Mapping[str, np.ndarray]):
    """The vision graph's outputs in the library's memory, by name: read-only views; copies of what is on a device.

    Attributes:
        handle: the library's own.
    """

    def __init__(self, engine: Any, handle: Any) -> None:
        self._engine = engine
        self.handle = handle

    @counting()
    def __getitem__(self, name: str) -> np.ndarray:
        """Raises KeyError."""
        values: np.ndarray = self._engine.feature(self.handle, name)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self.handle.names())

    def __len__(self) -> int:
        return len(self.handle.names())


def _own_runtime(bundle: Path) -> str:
    """Of the bundle's target; empty where it has none, of which the library tells."""
    try:
        return parse_manifest(manifest_bytes(bundle), bundle).runtime.target.runtime
    except BundleError:
        return ""


def _in_place(image: np.ndarray) -> np.ndarray:
    """``image`` itself if its pixels lie side by side, however far apart its rows, as RGB or BGR; else a copy.

    Raises ImageError.
    """
    check_image(image)
    side_by_side = abs(image.strides[2]) == 1 and (image.strides[1] == 3 or image.shape[1] == 1)
    return image if side_by_side else np.ascontiguousarray(image)
