"""Opening the bundle that a command is given."""

from __future__ import annotations

import argparse
import sys

from sam3i_edge.segmenter import Segmenter


def load_segmenter(arguments: argparse.Namespace, threshold: float = 0.5) -> Segmenter:
    """The bundle's segmenter; what its manifest has to note goes to stderr."""
    segmenter = Segmenter.load(arguments.bundle, device=arguments.device, threshold=threshold)
    if segmenter.manifest.source.note:
        print(f"sam3i-edge: note: {segmenter.manifest.source.note}", file=sys.stderr)
    return segmenter
