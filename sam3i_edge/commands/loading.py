"""Opening the bundle that a command is given."""

from __future__ import annotations

import argparse
import sys

from sam3i_edge.runtimes import NATIVE, RUNTIMES
from sam3i_edge.segmenter import Segmenter


def add_device(parser: argparse.ArgumentParser, whole: bool = True) -> None:
    """The arguments that say where a bundle runs, ``whole`` or graph by graph, which the C++ library cannot show."""
    runtimes = [*RUNTIMES, NATIVE] if whole else [*RUNTIMES]
    parser.add_argument("--device", default="auto", metavar="NAME", help="of the runtime; auto: the target's")
    parser.add_argument(
        "--runtime", metavar="NAME", help=f"{', '.join(runtimes[:-1])} or {runtimes[-1]}; none: the target's"
    )


def load_segmenter(arguments: argparse.Namespace, threshold: float = 0.5) -> Segmenter:
    """The bundle's segmenter; what its manifest has to note goes to stderr."""
    segmenter = Segmenter.load(
        arguments.bundle, device=arguments.device, threshold=threshold, runtime=arguments.runtime
    )
    if segmenter.manifest.source.note:
        print(f"sam3i-edge: note: {segmenter.manifest.source.note}", file=sys.stderr)
    return segmenter
