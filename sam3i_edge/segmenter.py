"""``Segmenter``: load a bundle, encode an image once, segment it by any prompt."""

from __future__ import annotations

import logging
import numbers
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from sam3i_edge.bundle import check_integrity, open_bundle
from sam3i_edge.calls import Opened, counted, counting
from sam3i_edge.engine import Engine, Features, Observer, check_finite, timed
from sam3i_edge.errors import ImageError, PromptError, RuntimeUnavailableError, unknown_name
from sam3i_edge.graph_engine import GraphEngine
from sam3i_edge.image import RGB, ImageSource, as_image
from sam3i_edge.instances import Instances, postprocess
from sam3i_edge.manifest import Manifest
from sam3i_edge.native import NativeEngine
from sam3i_edge.postprocessing import Postprocessing, check_threshold
from sam3i_edge.prompt import Box, Prompt, pack_boxes
from sam3i_edge.verification import verify_once

logger = logging.getLogger("sam3i_edge")

PYTHON, NATIVE = "python", "native"
ENGINES = (PYTHON, NATIVE)
"""What can run a bundle: its graphs through a Python runtime, or the C++ library."""

Prompts = str | Prompt | Sequence[str | Prompt]


class Segmenter:
    """Instruction-following segmentation on one device.

    >>> seg = Segmenter.load("bundle/")
    >>> frame = seg.encode(image)                             # (H, W, 3) uint8 RGB; the heavy step, once per image
    >>> frame = seg.encode(cv2.imread(path), color="bgr")     # OpenCV's frames are BGR
    >>> found = frame.segment("the red mug left of the laptop")
    >>> found.masks, found.boxes, found.scores                # (n, H, W) bool, (n, 4) pixels, (n,) descending

    Threads may share one; a ``Frame``, too. ``close`` it, or use it in a ``with``, to free the device at once.

    Attributes:
        engine: what runs the bundle's graphs.
        opened: when; a fork of the process asks for it.
    """

    def __init__(self, engine: Engine, threshold: float | None = None, nms: float | None = None) -> None:
        """Put a segmenter on an engine; ``load`` does both for a bundle. Raises PromptError for a bad threshold."""
        self.engine = engine
        self.opened = Opened()
        self._postprocessing = engine.manifest.runtime.postprocessing.with_(threshold, nms)

    @classmethod
    @counting()
    def load(
        cls,
        bundle: str | Path,
        *,
        engine: str = PYTHON,
        runtime: str | None = None,
        device: str = "auto",
        threshold: float | None = None,
        nms: float | None = None,
        verify: bool = False,
        integrity: str = "full",
        expect: str | None = None,
        observer: Observer | None = None,
    ) -> Segmenter:
        """Check a bundle and open its graphs.

        Args:
            bundle: the folder that ``sam3i-edge export`` wrote.
            engine: ``python``, or ``native``: the C++ library, which must have been built with the package.
            runtime: overrides the runtime of the bundle's target. Its own defaults then stand for the target's device
                and settings, and what is not integer in the graphs it computes in fp32.
            device: ``auto``: the device of the bundle's target; or a name of the runtime's: ``cpu`` of ONNX Runtime,
                ``CPU`` of OpenVINO, ``cuda:0`` of TensorRT.
            threshold: instances scoring above this, in 0..1, are returned; None: above the bundle's own threshold of
                the prompt's route, 0.5 for most.
            nms: of two masks of a prompt with a greater IoU than this, above 0 and at most 1, the one that scores lower
                is left out; None: as the bundle says, and most say 1, which leaves out none.
            verify: replay the golden cases on this device first, if that was not done before.
            integrity: ``full``: read every file and compare its SHA-256; ``size``: compare sizes alone, which spares
                reading a bundle of gigabytes at every start, and promises nothing of their content.
            expect: the fingerprint that the bundle must have, as ``sam3i-edge inspect`` prints it; None: any.
            observer: called with each stage (``engine.STAGES``) and the nanoseconds it took, each time it ran.

        Raises:
            BundleError: the bundle is damaged, incomplete, newer than this package, or not the one expected; or, with
                ``verify``, its results on this device are not the float model's.
            RuntimeUnavailableError: the engine, the runtime or the device is not available here.
            PromptError: the threshold or ``nms`` is out of range.
            ConfigError: ``integrity`` is unknown.
        """
        check_integrity(integrity)
        Postprocessing().with_(threshold, nms)  # they are checked before a large bundle is hashed and opened
        if engine not in ENGINES:
            raise RuntimeUnavailableError(unknown_name("engine", engine, ENGINES))
        if not isinstance(device, str) or not isinstance(runtime, str | None):
            raise RuntimeUnavailableError(f"device={device!r}, runtime={runtime!r}: give names, such as device='cpu'.")
        if engine == NATIVE:
            running: Engine = NativeEngine(
                bundle, runtime=runtime, device=device, integrity=integrity, expect=expect, observer=observer
            )
        else:
            opened = open_bundle(bundle, integrity, expect=expect, run=True)
            running = GraphEngine.load(opened, runtime=runtime, device=device, observer=observer)
        logger.info("%s has the fingerprint %s", bundle, running.fingerprint)
        if verify:
            verify_once(running, Path(bundle))
        return cls(running, threshold, nms)

    def close(self) -> None:
        """Free the graphs. Encoding or segmenting afterwards raises RuntimeUnavailableError."""
        self.engine.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def postprocessing(self) -> Postprocessing:
        """The thresholds of the routes, and NMS: those of the bundle, or what took their place. A call may give its own
        threshold."""
        return self._postprocessing

    @property
    def manifest(self) -> Manifest:
        """What the loaded bundle says of itself."""
        return self.engine.manifest

    @property
    def fingerprint(self) -> str:
        """Of the loaded bundle: the SHA-256 of its manifest, which stands for all of its bytes."""
        return self.engine.fingerprint

    @property
    def device(self) -> str:
        """What really runs the graphs, in the runtime's words."""
        return self.engine.device

    @property
    def precision(self) -> str:
        """What the graphs compute in here."""
        return self.engine.precision

    def route_of(self, prompt: str | Prompt) -> str:
        """The route that will run: the prompt's own, or what the bundle's classifier makes of the text for ``auto``."""
        return self.engine.route_of(prompt if isinstance(prompt, Prompt) else Prompt(prompt))

    def warm_up(self, prompts: int = 1) -> None:
        """Run everything once on a blank image, with ``prompts`` prompts in one call, so that the first frame is as
        fast as the others: runtimes compile and allocate on first use. Raises PromptError unless they are 1 or more."""
        if not isinstance(prompts, numbers.Integral) or prompts < 1:
            raise PromptError(f"warm_up takes a number of prompts, 1 or more; it got {prompts!r}.")
        side = self.manifest.runtime.model.image_size
        self.encode(np.zeros((side, side, 3), np.uint8)).segment([f"warm-up {i}" for i in range(prompts)])
        self.engine.clear_caches()

    @counted
    def encode(self, image: ImageSource, *, color: str = RGB) -> Frame:
        """Run the vision graph on an image: (H, W, 3) uint8 of any size, a ``PIL.Image`` or a file's path.

        Args:
            image: the image.
            color: the order of an array's channels, ``rgb`` or ``bgr``. Frames of OpenCV (``cv2.imread``,
                ``cv2.VideoCapture``) are BGR; with the wrong order the results are other ones, without an error.

        Raises:
            ImageError: the image is none of these, or cannot be read; or ``color`` is unknown, or given with a file or
                a ``PIL.Image``, which know their own.
            BundleError: the graph fails, or computes values that are not finite, as half precision may.
        """
        pixels = as_image(image, color)
        height, width = pixels.shape[:2]
        features = self.engine.encode(pixels)
        self.engine.check_features(features)
        return Frame(self, features, width, height)

    def encode_batch(self, images: Sequence[ImageSource], *, color: str = RGB) -> list[Frame]:
        """``encode`` every image, of one camera each, say. All are checked before the first is encoded.

        The vision graph takes one image at a time. Raises as ``encode``.
        """
        if isinstance(images, str) or not isinstance(images, Iterable):
            raise ImageError(f"encode_batch takes a list of images; for one, a {type(images).__name__}, use encode.")
        return [self.encode(pixels) for pixels in [as_image(image, color) for image in images]]

    @overload
    def segment(  # type: ignore[overload-overlap]  # a str is a Sequence[str], too; the first signature wins
        self,
        image: ImageSource,
        prompt: str | Prompt,
        *,
        color: str = ...,
        route: str | None = ...,
        boxes: Sequence[Box] = ...,
        negative_boxes: Sequence[Box] = ...,
        threshold: float | None = ...,
    ) -> Instances: ...
    @overload
    def segment(
        self,
        image: ImageSource,
        prompt: Sequence[str | Prompt],
        *,
        color: str = ...,
        threshold: float | None = ...,
    ) -> list[Instances]: ...
    @counted
    def segment(
        self,
        image: ImageSource,
        prompt: Prompts,
        *,
        color: str = RGB,
        route: str | None = None,
        boxes: Sequence[Box] = (),
        negative_boxes: Sequence[Box] = (),
        threshold: float | None = None,
    ) -> Instances | list[Instances]:
        """``encode(image, color).segment(prompt, ...)`` in one step; a bad prompt is refused before the image is
        encoded."""
        pixels = as_image(image, color)
        asked = as_prompts(prompt, route, boxes, negative_boxes)
        pack_boxes(asked, pixels.shape[1], pixels.shape[0], self.manifest.runtime.limits.max_boxes)
        if threshold is not None:
            check_threshold(threshold)
        found = self.encode(pixels).segment(asked, threshold=threshold)
        return found[0] if isinstance(prompt, str | Prompt) else found


class Frame:
    """An encoded image: prompts on it cost only text and grounding.

    Attributes:
        opened: its segmenter's.
        features: the vision graph's outputs by name, where the engine left them; see ``engine.Features``.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """

    def __init__(self, segmenter: Segmenter, features: Features, width: int, height: int) -> None:
        self._segmenter = segmenter
        self.opened = segmenter.opened
        self.features = features
        self.width = width
        self.height = height

    @overload
    def segment(  # type: ignore[overload-overlap]  # as above
        self,
        prompt: str | Prompt,
        *,
        route: str | None = ...,
        boxes: Sequence[Box] = ...,
        negative_boxes: Sequence[Box] = ...,
        threshold: float | None = ...,
    ) -> Instances: ...
    @overload
    def segment(self, prompt: Sequence[str | Prompt], *, threshold: float | None = ...) -> list[Instances]: ...
    @counted
    def segment(
        self,
        prompt: Prompts,
        *,
        route: str | None = None,
        boxes: Sequence[Box] = (),
        negative_boxes: Sequence[Box] = (),
        threshold: float | None = None,
    ) -> Instances | list[Instances]:
        """Find what ``prompt`` means.

        A list of prompts, of any routes and with or without boxes, runs as one batch; as several, if it is longer than
        the bundle's ``limits.max_prompts`` (1 for the full-size model, whose attention maps fill the memory).

        Args:
            prompt: a text, a ``Prompt``, or a list of them.
            route: of the text; None: ``auto``. With a ``Prompt`` or a list set ``Prompt.route``.
            boxes: examples of what the text means, in pixels. With a ``Prompt`` or a list set ``Prompt.boxes``.
            negative_boxes: examples of what it does not mean, likewise.
            threshold: instances scoring above this, in 0..1, are returned; None: the segmenter's, of each prompt's
                route.

        Raises:
            PromptError: a text is empty, a route unknown, a box outside the image, there are too many boxes, or the
                threshold is out of range.
            BundleError: a graph fails, or computes values that are not finite.
        """
        asked = as_prompts(prompt, route, boxes, negative_boxes)
        own = self._segmenter.postprocessing.with_(threshold, None)
        found = self._segment(asked, own) if asked else []
        return found[0] if isinstance(prompt, str | Prompt) else found

    def _segment(self, asked: Sequence[Prompt], own: Postprocessing) -> list[Instances]:
        engine, found = self._segmenter.engine, []
        limits = engine.manifest.runtime.limits
        pack_boxes(asked, self.width, self.height, limits.max_boxes)  # a bad one is refused before the first call
        for start in range(0, len(asked), limits.max_prompts):  # so that the outputs of one call are held, not of all
            found += self._segment_at_once(asked[start : start + limits.max_prompts], own)
        limit, queries = limits.max_instances, engine.manifest.runtime.model.num_queries
        if limit < queries and any(len(instances) == limit for instances in found):
            logger.warning("A prompt found %d instances, the most this bundle returns; there may be more.", limit)
        return found

    def _segment_at_once(self, asked: Sequence[Prompt], own: Postprocessing) -> list[Instances]:
        engine = self._segmenter.engine
        outputs = engine.ground(self.features, asked, self.width, self.height)
        check_finite("grounding", outputs, engine.device)
        with timed(engine.observer, "postprocess"):
            routes = [engine.route_of(prompt) for prompt in asked]
            return [
                postprocess(
                    {name: values[i] for name, values in outputs.items()},
                    width=self.width,
                    height=self.height,
                    threshold=own.thresholds[route],
                    route=route,
                    prompt=prompt,
                    nms=own.nms,
                    resize=engine.resize_masks,
                )
                for i, (prompt, route) in enumerate(zip(asked, routes, strict=True))
            ]


def as_prompts(
    prompt: Prompts, route: str | None = None, boxes: Sequence[Box] = (), negative_boxes: Sequence[Box] = ()
) -> list[Prompt]:
    """What ``segment`` takes, as a list of prompts. Raises PromptError."""
    if isinstance(prompt, str):
        given = {} if route is None else {"route": route}
        return [Prompt(prompt, boxes=boxes, negative_boxes=negative_boxes, **given)]
    if route is not None or any(not isinstance(some, Sequence) or some for some in (boxes, negative_boxes)):
        raise PromptError(
            "route=, boxes= and negative_boxes= go with a single text. Set them in the Prompt: "
            "Prompt('mug', route='concept', boxes=[...])."
        )
    if isinstance(prompt, Prompt):
        return [prompt]
    if not isinstance(prompt, Sequence) or isinstance(prompt, bytes | bytearray):
        raise PromptError(f"The prompt is a {type(prompt).__name__}; give a str, a Prompt, or a list of them.")
    return [item if isinstance(item, Prompt) else Prompt(item) for item in prompt]
