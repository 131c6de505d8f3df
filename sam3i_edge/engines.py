"""Engines in a bundle: built ahead of time with NVIDIA's TensorRT-RTX, which needs no GPU for it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sam3i_edge.bundle import (
    Manifest,
    TensorRtRecord,
    open_bundle,
    read_manifest,
    record_of,
    sha256_of,
    write_manifest,
)
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.runtimes import RUNTIMES, PrebuiltEngine
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart, check_capabilities

FOLDER = "engines"
RUNTIME = "tensorrt-rtx"
JUDGED_FOR = ("8.6",)
"""The compute capability that graphs for other runtimes are built for, only to see whether they can be."""

Progress = Callable[[str], None]


def is_builder_here() -> bool:
    """Whether TensorRT-RTX is installed."""
    try:
        return bool(TENSORRT_RTX.version)
    except ImportError:
        return False


def judge(folder: Path, manifest: Manifest, progress: Progress) -> TensorRtRecord:
    """Parse and build every graph of a bundle that is being made; for TensorRT-RTX keep the engines in it.

    Raises:
        GraphRefusedError: the parser or the builder does not take a graph.
        RuntimeUnavailableError: the target names a compute capability that is unknown.
    """
    if not is_builder_here():
        progress(
            "NVIDIA's parser and builder are not installed: only our own lint has looked at the graphs "
            f"({RUNTIMES[RUNTIME].install})"
        )
        return TensorRtRecord(checked_by="", engines=())
    capabilities = manifest.target.compute_capabilities if manifest.target.runtime == RUNTIME else ()
    if capabilities:
        engines = _build(folder, folder, manifest, capabilities, progress)
        return TensorRtRecord(str(TENSORRT_RTX), engines)
    with tempfile.TemporaryDirectory() as thrown_away:
        _build(folder, Path(thrown_away), manifest, JUDGED_FOR, progress)
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
    manifest = read_manifest(path)
    if manifest.target.runtime != RUNTIME:
        raise BundleError(
            f"{path} is for {manifest.target.runtime}, whose engines are built on the device. Ahead of time they are "
            f"built for TensorRT-RTX: sam3i-edge export --target rtx"
        )
    if not is_builder_here():
        raise RuntimeUnavailableError(f"TensorRT-RTX is not installed: {RUNTIMES[RUNTIME].install}")
    check_capabilities(TENSORRT_RTX, capabilities)
    _drop_unlisted(path, manifest)  # of a build that was killed
    open_bundle(path)
    try:
        engines = _build(path, path, manifest, capabilities, progress)
        files = {name: found for name, found in manifest.files.items() if not name.startswith(f"{FOLDER}/")}
        files |= {engine.file: record_of(path / engine.file) for engine in engines}
        made = dataclasses.replace(manifest, tensorrt=TensorRtRecord(str(TENSORRT_RTX), engines), files=files)
        write_manifest(path, made)
    except BaseException:
        _drop_unlisted(path, manifest)
        raise
    _drop_unlisted(path, made)
    return made


def _build(
    source: Path, output: Path, manifest: Manifest, capabilities: Sequence[str], progress: Progress
) -> tuple[PrebuiltEngine, ...]:
    """Build every graph of the bundle ``source``; the engines go to a folder in ``output``."""
    asked = tuple(dict.fromkeys(capabilities))
    options = BuildOptions(manifest.limits.max_prompts, manifest.target.settings, asked)
    engines = []
    (output / FOLDER).mkdir(exist_ok=True)
    for name, spec in manifest.graphs.items():
        progress(f"{TENSORRT_RTX} parses and builds the {name} graph for compute capability {', '.join(asked)}")
        made = output / FOLDER / f"{name}.partial"
        build_apart(TENSORRT_RTX, source / spec.file, options, made)
        # Named by content: an engine never takes the place of one that the manifest has the hash of.
        file = f"{FOLDER}/{name}-{sha256_of(made)[:8]}.engine"
        made.replace(output / file)
        engines.append(PrebuiltEngine(name, file, asked, str(TENSORRT_RTX)))
    return tuple(engines)


def _drop_unlisted(path: Path, manifest: Manifest) -> None:
    """Remove what lies among the engines and is none of the manifest's."""
    folder = path / FOLDER
    for file in folder.iterdir() if folder.is_dir() else ():
        if f"{FOLDER}/{file.name}" not in manifest.files:
            file.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
