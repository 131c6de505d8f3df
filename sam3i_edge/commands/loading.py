"""Opening the bundle that a command is given."""

from __future__ import annotations

import argparse

from sam3i_edge.runtimes import RUNTIMES
from sam3i_edge.segmenter import ENGINES, PYTHON, Segmenter
from sam3i_edge.terminal import show


def add_device(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what runs a bundle, where, and which one it must be."""
    parser.add_argument("--engine", default=PYTHON, metavar="NAME", help=f"{' or '.join(ENGINES)} (%(default)s)")
    parser.add_argument("--runtime", metavar="NAME", help=f"{', '.join(RUNTIMES)}; default: the target's")
    parser.add_argument("--device", default="auto", metavar="NAME", help="of the runtime; auto: the target's")
    add_expect(parser)


def add_expect(parser: argparse.ArgumentParser) -> None:
    """The argument that says which bundle it must be."""
    parser.add_argument("--expect", metavar="FINGERPRINT", help="refuse the bundle if it has another fingerprint")


def add_postprocessing(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which candidates are instances."""
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="least score; none: the model's own, mostly 0.5"
    )
    parser.add_argument(
        "--nms",
        type=float,
        metavar="IOU",
        help="of two masks that overlap more, drop one; none: the model's own, mostly 1",
    )


def load_segmenter(
    arguments: argparse.Namespace, threshold: float | None = None, nms: float | None = None
) -> Segmenter:
    """The bundle's segmenter; what its manifest has to note goes to stderr."""
    segmenter = Segmenter.load(
        arguments.bundle,
        engine=arguments.engine,
        runtime=arguments.runtime,
        device=arguments.device,
        threshold=threshold,
        nms=nms,
        expect=arguments.expect,
    )
    if segmenter.manifest.runtime.note:
        show(f"sam3i-edge: note: {segmenter.manifest.runtime.note}", error=True)
    return segmenter
