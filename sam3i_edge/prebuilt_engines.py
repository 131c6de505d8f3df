"""Engines in a bundle: built ahead of time with NVIDIA's TensorRT-RTX, which needs no GPU for it."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sam3i_edge.bundle import Bundle, check_files, check_fingerprint, record_of, sha256_of
from sam3i_edge.cache import locked
from sam3i_edge.errors import BundleError, RuntimeUnavailableError
from sam3i_edge.files import partial_folder
from sam3i_edge.graphs import PrebuiltEngine
from sam3i_edge.manifest import (
    ENGINES,
    FORMAT_VERSION,
    MANIFEST_FILE,
    Manifest,
    RuntimeSection,
    fingerprint_of,
    manifest_bytes,
    parse_manifest,
    read_manifest,
    write_manifest,
)
from sam3i_edge.runtimes import RUNTIMES, is_typed_half
from sam3i_edge.runtimes.engine_layers import AMPERE, layers_in
from sam3i_edge.runtimes.nvidia_build import TENSORRT_RTX, BuildOptions, build_apart, check_capabilities

logger = logging.getLogger("sam3i_edge")

RUNTIME = "tensorrt-rtx"
OURS = re.compile(r"(vision|text|grounding)-[0-9a-f]{8}\.engine")

Progress = Callable[[str], None]


def builder_problem() -> str:
    """Why TensorRT-RTX cannot be used for building; empty if it can."""
    try:
        TENSORRT_RTX.version  # noqa: B018  # it is found when it is asked
    except Exception as error:  # not there, or broken
        return f"TensorRT-RTX cannot be imported ({error}): {RUNTIMES[RUNTIME].install}"
    return ""


def judge(
    folder: Path, runtime: RuntimeSection, compute_capabilities: Sequence[str], progress: Progress
) -> tuple[str, tuple[PrebuiltEngine, ...]]:
    """Parse and build every graph of a bundle that is being made; for TensorRT-RTX keep the engines in it.

    Args:
        folder: of the bundle.
        runtime: of its manifest.
        compute_capabilities: those that the target wants engines for.
        progress: called with a line at each step.

    Returns:
        The product and version that took every graph, empty if there is none here; and the engines.

    Raises:
        GraphRefusedError: the parser or the builder does not take a graph.
        RuntimeUnavailableError: the target names a compute capability that is unknown.
    """
    if problem := builder_problem():
        progress(f"the graphs were checked by sam3i-edge only, not by NVIDIA's parser and builder: {problem}")
        return "", ()
    if runtime.target.runtime == RUNTIME and compute_capabilities:
        return str(TENSORRT_RTX), _build(folder, folder, runtime, compute_capabilities, progress)
    with tempfile.TemporaryDirectory() as thrown_away:  # only to see whether they can be built
        _build(folder, Path(thrown_away), runtime, AMPERE, progress)
    return str(TENSORRT_RTX), ()


def build_engines(
    bundle: str | Path,
    capabilities: Sequence[str],
    progress: Progress = lambda message: None,
    *,
    expect: str | None = None,
) -> Manifest:
    """Build a bundle's engines for GPUs of some compute capabilities, in place of those that it has.

    If anything fails, or the user interrupts, the bundle stays as it was.

    Args:
        bundle: the folder, of a target whose runtime is TensorRT-RTX.
        capabilities: such as ``8.6``.
        progress: called with a line at each step.
        expect: the fingerprint that the bundle must have before; None: any. It has another one afterwards.

    Returns:
        The new manifest.

    Raises:
        BundleError: the bundle is damaged, or for another runtime; or a graph is refused.
        RuntimeUnavailableError: TensorRT-RTX is not installed, or does not know one of the compute capabilities.
    """
    path = Path(bundle)
    content = manifest_bytes(path)
    check_fingerprint(path, fingerprint_of(content), expect)
    before = parse_manifest(content, path)
    if (name := before.runtime.target.runtime) != RUNTIME:
        raise BundleError(
            f"{path} is for {name}, whose engines are built on the device. Ahead of time they are built for "
            f"TensorRT-RTX: sam3i-edge export --target rtx"
        )
    if before.is_newer:
        raise BundleError(
            f"{path} has bundle format version {before.format_version}; this version of sam3i-edge writes "
            f"{FORMAT_VERSION} and would lose what is new. Update sam3i-edge."
        )
    if problem := builder_problem():
        raise RuntimeUnavailableError(problem)
    check_capabilities(TENSORRT_RTX, capabilities)
    if any((path / name).is_symlink() for name in (ENGINES, MANIFEST_FILE)) or not os.access(path, os.W_OK | os.X_OK):
        raise BundleError(
            f"{path} cannot be written, or its {ENGINES} or {MANIFEST_FILE} is a link: copy the bundle first (cp -rL)."
        )
    with locked(path):
        manifest = read_manifest(path)
        # Its engines may be missing or damaged: they are about to be replaced.
        rest = {name: found for name, found in manifest.files.items() if not name.startswith(f"{ENGINES}/")}
        without = dataclasses.replace(manifest.runtime, engines=())
        held_to = dataclasses.replace(manifest, runtime=without, files=rest)
        check_files(Bundle(path, held_to, ""), unlisted_may_lie_in=ENGINES)
        with partial_folder(path.resolve()) as stage:
            engines = _build(path, stage, without, capabilities, progress)
            files = rest | {engine.file: record_of(stage / engine.file) for engine in engines}
            made = dataclasses.replace(
                manifest,
                format_version=FORMAT_VERSION,
                runtime=dataclasses.replace(without, engines=engines),
                provenance=manifest.provenance | {"tensorrt": {"checked_by": str(TENSORRT_RTX)}},
                files=files,
            )
            _put_in_place(path, stage, made)
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
    source: Path, output: Path, runtime: RuntimeSection, capabilities: Sequence[str], progress: Progress
) -> tuple[PrebuiltEngine, ...]:
    """Build every graph of the bundle ``source``; the engines go to a folder in ``output``."""
    asked = tuple(dict.fromkeys(capabilities))
    options = BuildOptions(runtime.limits.max_prompts, runtime.target.settings, asked)
    unfused = is_typed_half(runtime.target.runtime, runtime.precision) and runtime.target.attention != "fused"
    engines = []
    (output / ENGINES).mkdir(exist_ok=True)
    for name, spec in runtime.graphs.items():
        progress(f"{TENSORRT_RTX} parses and builds the {name} graph for compute capability {', '.join(asked)}")
        made = output / ENGINES / f"{name}.partial"
        log = output / ENGINES / f"{name}.log.partial" if unfused else None
        build_apart(TENSORRT_RTX, source / spec.file, options, made, log)
        if log is not None:
            _warn_of_fused_attention(name, log)
        # Named by content: an engine never takes the place of one that the manifest has the hash of.
        file = f"{ENGINES}/{name}-{sha256_of(made)[:8]}.engine"
        made.replace(output / file)
        engines.append(PrebuiltEngine(name, file, asked, str(TENSORRT_RTX)))
    return tuple(engines)
