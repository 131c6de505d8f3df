"""``runtime="native"``: the C++ library does it all, through the C functions of ``cpp/include/sam3i_edge.h``.

A runtime opens one graph; the library takes a whole bundle, its tokenizer, resize, caches and masks with it. So what is
adapted is the whole ``Segmenter``, not a ``Session``: its own steps between the graphs would otherwise run in Python.
"""

from __future__ import annotations

import ctypes
import logging
import os
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ftfy
import numpy as np

import sam3i_edge
from sam3i_edge.bundle import TOKENIZER_FILE, read_manifest
from sam3i_edge.errors import BundleError, ImageError, PromptError, RuntimeUnavailableError, Sam3iEdgeError
from sam3i_edge.image import check_image
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Box, Prompt
from sam3i_edge.route import ROUTE_FILE, RouteClassifier
from sam3i_edge.runtimes import NATIVE, Session
from sam3i_edge.segmenter import Features, Frame, Segmenter, precision_in, session_options
from sam3i_edge.tokenizer import Tokenizer

logger = logging.getLogger("sam3i_edge")

LIBRARY_VARIABLE = "SAM3I_EDGE_LIBRARY"
LIBRARY = f"libsam3i_edge.so.{sam3i_edge.__version__.rpartition('.')[0]}"
"""Its name, which changes with whatever would not fit this module."""

ERRORS = {1: BundleError, 2: ImageError, 3: PromptError, 4: RuntimeUnavailableError}
"""By the numbers of ``sam3i_status``; any other is a fault of ours, or memory ran out."""

RGB, THREADS_OF_TARGET = 0, -1

INSIDE = (
    f'With runtime="{NATIVE}" the C++ library keeps what single graphs give to itself. For verify, benchmark and the '
    f'like load the bundle without it, or with runtime="openvino" or the like. The C++ side verifies a bundle itself: '
    f"sam3i-segment --verify BUNDLE."
)


def _warn(text: bytes, _: object) -> None:
    logger.warning("%s", text.decode(errors="backslashreplace"))


_WARNING_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
_KEPT_WARN = _WARNING_HANDLER(_warn)  # the library may call it until the process ends


class _LoadOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("device", ctypes.c_char_p),
        ("runtime", ctypes.c_char_p),
        ("threshold", ctypes.c_double),
        ("threads", ctypes.c_int),
    ]


class _Image(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("format", ctypes.c_int),
        ("stride", ctypes.c_ssize_t),
    ]


class _Box(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in ("x0", "y0", "x1", "y1")]


class _Prompt(ctypes.Structure):
    _fields_ = [
        ("text", ctypes.c_char_p),
        ("route", ctypes.c_char_p),
        ("boxes", ctypes.POINTER(_Box)),
        ("box_count", ctypes.c_size_t),
        ("negative_boxes", ctypes.POINTER(_Box)),
        ("negative_box_count", ctypes.c_size_t),
    ]


class _Instances(ctypes.Structure):
    _fields_ = [
        ("route", ctypes.c_char_p),
        ("count", ctypes.c_size_t),
        ("scores", ctypes.POINTER(ctypes.c_float)),
        ("boxes", ctypes.POINTER(ctypes.c_float)),
        ("masks", ctypes.POINTER(ctypes.c_uint8)),
        ("mask_width", ctypes.c_int),
        ("mask_height", ctypes.c_int),
        ("mask_stride", ctypes.c_size_t),
    ]


_HANDLE, _OUT, _SIZE = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "sam3i_last_error": (ctypes.c_char_p, []),
    "sam3i_set_warning_handler": (ctypes.c_int, [_WARNING_HANDLER, ctypes.c_void_p]),
    "sam3i_segmenter_load": (ctypes.c_int, [ctypes.c_char_p, ctypes.POINTER(_LoadOptions), _OUT]),
    "sam3i_segmenter_close": (ctypes.c_int, [_HANDLE]),
    "sam3i_segmenter_free": (None, [_HANDLE]),
    "sam3i_segmenter_set_threshold": (ctypes.c_int, [_HANDLE, ctypes.c_double]),
    "sam3i_segmenter_device": (ctypes.c_int, [_HANDLE, ctypes.POINTER(ctypes.c_char_p)]),
    "sam3i_verify": (
        ctypes.c_int,
        [ctypes.c_char_p, ctypes.POINTER(_LoadOptions), ctypes.POINTER(ctypes.c_int), _OUT],
    ),
    "sam3i_string_free": (None, [ctypes.c_void_p]),
    "sam3i_segmenter_encode": (ctypes.c_int, [_HANDLE, ctypes.POINTER(_Image), _OUT]),
    "sam3i_frame_segment": (ctypes.c_int, [_HANDLE, ctypes.POINTER(_Prompt), _SIZE, ctypes.c_void_p, _OUT]),
    "sam3i_frame_free": (None, [_HANDLE]),
    "sam3i_results_get": (ctypes.c_int, [_HANDLE, _SIZE, ctypes.POINTER(_Instances)]),
    "sam3i_results_free": (None, [_HANDLE]),
}
"""Result and arguments of what is used here."""


class _Library:
    """The open library. Calls raise what their status says; they let other threads of Python run meanwhile."""

    def __init__(self, name: str) -> None:
        how = f"Build it (docs/cpp.md) and install it, or name its file in the environment variable {LIBRARY_VARIABLE}."
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise RuntimeUnavailableError(f"The C++ library {name} cannot be loaded ({error}). {how}") from error
        for function, (result, arguments) in FUNCTIONS.items():
            try:
                found = getattr(self._library, function)
            except AttributeError:
                raise RuntimeUnavailableError(
                    f"{name} has no function {function}: it is not the C++ library of sam3i-edge, or of another "
                    f"version than {sam3i_edge.__version__}. {how}"
                ) from None
            found.restype, found.argtypes = result, arguments
        self.call("sam3i_set_warning_handler", _KEPT_WARN, None)

    def call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            text = self._library.sam3i_last_error().decode(errors="backslashreplace")
            raise ERRORS.get(status, Sam3iEdgeError)(text)

    def make(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        """Call what writes a handle to its last argument."""
        handle = ctypes.c_void_p()
        self.call(function, *arguments, ctypes.byref(handle))
        return handle

    def free(self, function: str, handle: ctypes.c_void_p) -> None:
        getattr(self._library, function)(handle)


@cache
def _open(name: str) -> _Library:
    return _Library(name)


def load(bundle: str | Path, runtime: str, device: str, threshold: float, verify: bool) -> Segmenter:
    """What ``Segmenter.load`` does for ``runtime="native"``. Raises as that does.

    With ``verify`` the library replays the golden cases every time: it keeps no verdict.
    """
    segmenter = NativeSegmenter(bundle, runtime, device, threshold)
    if verify:
        segmenter.verify(bundle)
    return segmenter


class NativeSegmenter(Segmenter):
    """A ``Segmenter`` whose steps run in C++. What single graphs give stays there: ``ground`` and the like raise."""

    def __init__(self, bundle: str | Path, runtime: str, device: str, threshold: float) -> None:
        """Check a bundle and open its graphs.

        Args:
            bundle: as for ``Segmenter.load``.
            runtime: ``native``; or ``native:openvino`` and the like, for another of the library's own runtimes.
            device: as for ``Segmenter.load``.
            threshold: as for ``Segmenter.load``.

        Raises:
            RuntimeUnavailableError: the library is not found, or its runtime or the device is not to be had here.
            BundleError: as for ``Segmenter.load``.
        """
        self._library = _open(os.environ.get(LIBRARY_VARIABLE) or LIBRARY)
        inner = runtime.partition(":")[2]
        self._options = _LoadOptions(
            ctypes.sizeof(_LoadOptions), device.encode(), inner.encode() or None, threshold, THREADS_OF_TARGET
        )
        self._handle = self._library.make("sam3i_segmenter_load", os.fsencode(bundle), ctypes.byref(self._options))
        weakref.finalize(self, self._library.free, "sam3i_segmenter_free", self._handle)
        path = Path(bundle)  # the library has checked its files
        manifest = read_manifest(path)
        precision = precision_in(manifest, session_options(manifest, inner or manifest.target.runtime, device))
        tokenizer = Tokenizer.from_file(path / TOKENIZER_FILE, manifest.model.text.context_length)
        classifier = RouteClassifier.load(path / ROUTE_FILE)
        super().__init__(manifest, tokenizer, {}, threshold, classifier, precision)

    def verify(self, bundle: str | Path) -> None:
        """Replay the golden cases of the bundle that was loaded. Raises BundleError if its answers here are wrong."""
        passed, problem = ctypes.c_int(), ctypes.c_void_p()
        arguments = (ctypes.byref(self._options), ctypes.byref(passed), ctypes.byref(problem))
        self._library.call("sam3i_verify", os.fsencode(bundle), *arguments)
        text = ctypes.string_at(problem).decode(errors="backslashreplace")
        self._library.free("sam3i_string_free", problem)
        if not passed:
            raise BundleError(
                f"{bundle} on {self.device}, {self.precision}: {text}. Do not use it here; "
                f"sam3i-segment --verify {bundle} shows every output."
            )

    def close(self) -> None:
        """As ``Segmenter.close``."""
        self._library.call("sam3i_segmenter_close", self._handle)

    @property
    def device(self) -> str:
        """What really runs the graphs, in the runtime's words."""
        name = ctypes.c_char_p()
        self._library.call("sam3i_segmenter_device", self._handle, ctypes.byref(name))
        return (name.value or b"").decode(errors="backslashreplace")

    def encode(self, image: np.ndarray) -> Frame:
        """As ``Segmenter.encode``."""
        height, width = check_image(image).shape[:2]
        pixels = np.ascontiguousarray(image)
        view = _Image(pixels.ctypes.data, width, height, RGB, 0)
        return NativeFrame(self, self._library.make("sam3i_segmenter_encode", self._handle, ctypes.byref(view)), view)

    def segment_frame(self, frame: ctypes.c_void_p, asked: Sequence[Prompt]) -> list[Instances]:
        """What each of ``asked`` finds in an encoded image."""
        self._library.call("sam3i_segmenter_set_threshold", self._handle, self.threshold)
        prompts = (_Prompt * len(asked))(*map(_prompt, asked))
        results = self._library.make("sam3i_frame_segment", frame, prompts, len(asked), None)
        try:
            return [self._instances(results, i) for i in range(len(asked))]
        finally:
            self._library.free("sam3i_results_free", results)

    def _instances(self, results: ctypes.c_void_p, number: int) -> Instances:
        """A copy: the results' own memory goes back to the library."""
        found = _Instances()
        self._library.call("sam3i_results_get", results, number, ctypes.byref(found))
        count, height, width = found.count, found.mask_height, found.mask_width
        if count == 0:
            return Instances(
                np.zeros((0, height, width), bool), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), _route(found)
            )
        return Instances(
            np.ctypeslib.as_array(found.masks, (count, height, width)).astype(bool),
            np.ctypeslib.as_array(found.boxes, (count, 4)).copy(),
            np.ctypeslib.as_array(found.scores, (count,)).copy(),
            _route(found),
        )

    def _session(self, graph: str) -> Session:
        raise RuntimeUnavailableError(INSIDE)


class NativeFrame(Frame):
    """An encoded image whose features stay in the library."""

    def __init__(self, segmenter: NativeSegmenter, handle: ctypes.c_void_p, view: _Image) -> None:
        self._native = segmenter  # which frees the library's segmenter no sooner than this
        self._handle = handle
        self.width, self.height = view.width, view.height
        weakref.finalize(self, segmenter._library.free, "sam3i_frame_free", handle)

    @property
    def features(self) -> Features:  # type: ignore[override]  # nobody may ask for them, or set them
        """Raises RuntimeUnavailableError."""
        raise RuntimeUnavailableError(INSIDE)

    def _segment(self, asked: Sequence[Prompt]) -> list[Instances]:
        return self._native.segment_frame(self._handle, asked) if asked else []


def _prompt(prompt: Prompt) -> _Prompt:
    """As the library takes it. ftfy repairs the text here: its repair of mojibake is what the library lacks."""
    positive, negative = ((_Box * len(boxes))(*map(_box, boxes)) for boxes in (prompt.boxes, prompt.negative_boxes))
    text = ftfy.fix_text(prompt.text).encode()
    return _Prompt(text, prompt.route.encode(), positive, len(positive), negative, len(negative))


def _box(box: Box) -> _Box:
    return _Box(box.x0, box.y0, box.x1, box.y1)


def _route(found: _Instances) -> str:
    return str(found.route.decode())
