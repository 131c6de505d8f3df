"""The command ``build``: compile a bundle for this device ahead of its first use."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sam3i_edge.cache import cache_folder
from sam3i_edge.commands.loading import add_device, load_segmenter
from sam3i_edge.commands.stopping import steps
from sam3i_edge.engines import build_engines
from sam3i_edge.errors import ConfigError
from sam3i_edge.runtimes import NATIVE


def add(commands: Any) -> None:
    """Register ``build`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "build",
        help="compile a bundle for this device, and keep the result",
        description="Optional: otherwise the first load compiles. TensorRT takes minutes, other runtimes seconds. "
        "With --for, engines for TensorRT-RTX are built without a GPU and stored in the bundle.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--for",
        metavar="SM,SM",
        help="compute capabilities to build for, e.g. sm86,sm89,sm120 (rtx bundles only; replaces existing engines)",
    )
    add_device(parser)
    parser.set_defaults(command=_build)


def _build(arguments: argparse.Namespace) -> int:
    step = steps()
    if (wanted := getattr(arguments, "for")) is not None:
        if arguments.device != "auto" or arguments.runtime:
            raise ConfigError("--for builds without a device: leave --device and --runtime out.")
        manifest = build_engines(arguments.bundle, _capabilities(wanted), step)
        assert manifest.tensorrt
        size = sum(manifest.files[engine.file].bytes for engine in manifest.tensorrt.engines) / 1e6
        step(f"{len(manifest.tensorrt.engines)} engines, {size:.1f} MB, are in {arguments.bundle}")
        return 0
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


def _capabilities(given: str) -> Sequence[str]:
    """``sm86,sm120`` as compute capabilities, ``8.6`` and ``12.0``. Raises ConfigError."""
    found = []
    for name in given.split(","):
        match = re.fullmatch(r"(?:sm_?)?(\d+?)\.?(\d)", name.strip().lower())
        if match is None:
            raise ConfigError(f"--for has {name!r}; name compute capabilities, such as sm86,sm89,sm120.")
        found.append(".".join(match.groups()))
    return found
