"""The command ``build``: compile a bundle for this device ahead of its first use."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any

from sam3i_edge.cache import cache_folder
from sam3i_edge.commands.loading import add_device, load_segmenter
from sam3i_edge.commands.progress import steps
from sam3i_edge.errors import ConfigError
from sam3i_edge.manifest import fingerprint_of_bundle
from sam3i_edge.prebuilt_engines import build_engines


def add(commands: Any) -> None:
    """Register ``build`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "build",
        help="compile a bundle for this device, and keep the result",
        description="Optional: otherwise the first load compiles. TensorRT takes minutes, other runtimes seconds. "
        "With --for, engines for TensorRT-RTX are built without a GPU and stored in the bundle.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder that `sam3i-edge export` wrote")
    parser.add_argument(
        "--for",
        metavar="SM,SM",
        help="compute capabilities to build for, e.g. sm86,sm89,sm120 (rtx bundles only; replaces existing engines)",
    )
    add_device(parser)
    parser.set_defaults(command=_build)


def _build(arguments: argparse.Namespace) -> int:
    with steps() as step:
        return _compile(arguments, step)


def _compile(arguments: argparse.Namespace, step: Callable[[str], None]) -> int:
    if (wanted := getattr(arguments, "for")) is not None:
        if arguments.device != "auto" or arguments.runtime:
            raise ConfigError("--for builds without a device: leave --device and --runtime out.")
        manifest = build_engines(arguments.bundle, _capabilities(wanted), step, expect=arguments.expect)
        engines = manifest.runtime.engines
        size = sum(manifest.files[engine.file].bytes for engine in engines) / 1e6
        fingerprint = fingerprint_of_bundle(arguments.bundle)
        step(f"{len(engines)} engines, {size:.1f} MB, are in {arguments.bundle}; its fingerprint now: {fingerprint}")
        return 0
    step(f"compiling {arguments.bundle}")
    with load_segmenter(arguments) as segmenter:
        runtime = segmenter.manifest.runtime
        segmenter.warm_up(min(2, runtime.limits.max_prompts))  # OpenVINO compiles for several then
        folder = cache_folder(arguments.runtime or runtime.target.runtime)
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
