"""Engines in a bundle: built ahead of time with NVIDIA's TensorRT-RTX, which needs no GPU for it."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sam3i_edge.bundle import (
    ENGINES,
    Manifest,
    TensorRtRecord,
    check_files,
    read_manifest,
    record_of,
    sha256_of,
    write_manifest,
)
from sam3i_edge.cache import locked
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.runtimes import RUNTIMES, PrebuiltEngine
from sam3i_edge.runtimes.engine_layers import AMPERE, layers_in
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart, check_capabilities
from sam3i_edge.targets import is_typed_half

logger = logging.getLogger("sam3i_edge")

RUNTIME = "tensorrt-rtx"
OURS = re.compile(r"(vision|text|grounding)-[0-9a-f]{8}\.engine")

Progress = Callable[[str], None]


def builder_problem() -> str:
    """Why TensorRT-RTX cannot be used for building; empty if it can."""
    try:
        TENSORRT_RTX.version  # noqa: B018  # it is found when it is asked
    except (ImportError, OSError) as error:
        return f"TensorRT-RTX cannot be imported ({error}): {RUNTIMES[RUNTIME].install}"
    return ""


def judge(folder: Path, manifest: Manifest, progress: Progress) -> TensorRtRecord:
    """Parse and build every graph of a bundle that is being made; for TensorRT-RTX keep the engines in it.

    Raises:
        GraphRefusedError: the parser or the builder does not take a graph.
        RuntimeUnavailableError: the target names a compute capability that is unknown.
    """
    if problem := builder_problem():
        progress(f"the graphs were checked by sam3i-edge only, not by NVIDIA's parser and builder: {problem}")
        return TensorRtRecord(checked_by="", engines=())
    capabilities = manifest.target.compute_capabilities if manifest.target.runtime == RUNTIME else ()
    if capabilities:
        engines = _build(folder, folder, manifest, capabilities, progress)
        return TensorRtRecord(str(TENSORRT_RTX), engines)
    with tempfile.TemporaryDirectory() as thrown_away:  # only to see whether they can be built
        _build(folder, Path(thrown_away), manifest, AMPERE, progress)
    return TensorRtRecord(str(TENSORRT_RTX), ())


def build_engines(
    bundle: str | Path, capabilities: Sequence[str], progress: Progress = lambda message: None
) -> Manifest:
    """Build a bundle's engines for GPUs of some compute capabilities, in place of those that it has.

    If anything fails, or the user interrupts, the bundle stays as it was.

    Args:
        bundle: the folder, of a target whose runtime is TensorRT-RTX.
        capabilities: such as ``8.6``.
        progress: called with a line at each step.

    Returns:
        The new manifest.

    Raises:
        BundleError: the bundle is damaged, or for another runtime; or a graph is refused.
        RuntimeUnavailableError: TensorRT-RTX is not installed, or does not know one of the compute capabilities.
    """
    path = Path(bundle)
    runtime = read_manifest(path).target.runtime
    if runtime != RUNTIME:
        raise BundleError(
            f"{path} is for {runtime}, whose engines are built on the device. Ahead of time they are built for "
            f"TensorRT-RTX: sam3i-edge export --target rtx"
        )
    if problem := builder_problem():
        raise RuntimeUnavailableError(problem)
    check_capabilities(TENSORRT_RTX, capabilities)
    if (path / ENGINES).is_symlink() or not os.access(path, os.W_OK | os.X_OK):
        raise BundleError(f"{path} cannot be written, or its folder {ENGINES} is a link: copy the bundle first.")
    with locked(path):
        manifest = read_manifest(path)
        # Its engines may be missing or damaged: they are about to be replaced.
        rest = {name: found for name, found in manifest.files.items() if not name.startswith(f"{ENGINES}/")}
        check_files(path, dataclasses.replace(manifest, tensorrt=None, files=rest), unlisted_may_lie_in=ENGINES)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.partial-", dir=path.resolve().parent) as stage:
            engines = _build(path, Path(stage), manifest, capabilities, progress)
            files = rest | {engine.file: record_of(Path(stage) / engine.file) for engine in engines}
            made = dataclasses.replace(manifest, tensorrt=TensorRtRecord(str(TENSORRT_RTX), engines), files=files)
            _put_in_place(path, Path(stage), made)
    return made


def _put_in_place(path: Path, stage: Path, made: Manifest) -> None:
    """Move the engines of ``stage`` into the bundle; then its manifest names them; then what it does not name goes."""
    (path / ENGINES).mkdir(exist_ok=True)
    try:
        for file in (stage / ENGINES).iterdir():
            file.replace(path / ENGINES / file.name)
        write_manifest(path, made)
    finally:
        named = read_manifest(path).files  # the old ones, if anything went wrong
        for file in (path / ENGINES).iterdir():
            if OURS.fullmatch(file.name) and f"{ENGINES}/{file.name}" not in named:
                file.unlink()


def _must_be_unfused(manifest: Manifest) -> bool:
    return is_typed_half(manifest.target, manifest.precision) and manifest.target.attention != "fused"


def _warn_of_fused_attention(graph: str, log: Path) -> None:
    """Another builder, or a model of other sizes, may find a pattern that we do not know of."""
    layers = layers_in(log.read_text(encoding="utf-8", errors="replace"))
    log.unlink()
    if fused := [layer.name for layer in layers if layer.is_fused_attention]:
        logger.warning(
            "NVIDIA's builder fuses attention in the %s graph all the same (%s): verify the bundle on the device, or "
            "take another precision.",
            graph,
            fused[0],
        )


def _build(
    source: Path, output: Path, manifest: Manifest, capabilities: Sequence[str], progress: Progress
) -> tuple[PrebuiltEngine, ...]:
    """Build every graph of the bundle ``source``; the engines go to a folder in ``output``."""
    asked = tuple(dict.fromkeys(capabilities))
    options = BuildOptions(manifest.limits.max_prompts, manifest.target.settings, asked)
    engines = []
    (output / ENGINES).mkdir(exist_ok=True)
    for name, spec in manifest.graphs.items():
        progress(f"{TENSORRT_RTX} parses and builds the {name} graph for compute capability {', '.join(asked)}")
        made = output / ENGINES / f"{name}.partial"
        log = output / ENGINES / f"{name}.log.partial" if _must_be_unfused(manifest) else None
        build_apart(TENSORRT_RTX, source / spec.file, options, made, log)
        if log is not None:
            _warn_of_fused_attention(name, log)
        # Named by content: an engine never takes the place of one that the manifest has the hash of.
        file = f"{ENGINES}/{name}-{sha256_of(made)[:8]}.engine"
        made.replace(output / file)
        engines.append(PrebuiltEngine(name, file, asked, str(TENSORRT_RTX)))
    return tuple(engines)
