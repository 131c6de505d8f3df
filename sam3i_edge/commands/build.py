"""The command ``build``: compile a bundle for this device ahead of its first use."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from sam3i_edge.cache import cache_folder
from sam3i_edge.commands.loading import add_device, load_segmenter
from sam3i_edge.commands.stopping import steps
from sam3i_edge.runtimes import NATIVE


def add(commands: Any) -> None:
    """Register ``build`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "build",
        help="compile a bundle for this device, and keep the result",
        description="Every first load on a device does the same: TensorRT's engines take minutes, others seconds.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    add_device(parser)
    parser.set_defaults(command=_build)


def _build(arguments: argparse.Namespace) -> int:
    step = steps()
    step(f"compiling {arguments.bundle}")
    with load_segmenter(arguments) as segmenter:
        # OpenVINO compiles for several prompts when they are first asked.
        segmenter.segment(np.zeros((64, 64, 3), np.uint8), ["mug", "cup"])
        own = segmenter.manifest.target.runtime
        asked = (arguments.runtime or own).partition(":")[0]
        folder = cache_folder(own if asked == NATIVE else asked)
        kept = folder is not None and any(folder.iterdir())
        why = "" if kept else "; nothing is kept: this runtime prepares its graphs at every load, or the cache is off"
        step(f"ready on {segmenter.device}{why}")
    return 0
