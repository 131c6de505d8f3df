"""What is measured: the bundles that were given, and baselines made of them."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sam3i_edge import shipped
from sam3i_edge.bundle import Manifest, read_manifest, sha256_of
from sam3i_edge.errors import BenchmarkError, unknown_name
from sam3i_edge.runtimes import RUNTIMES

TORCH, TORCH_COMPILE = "torch", "torch-compile"
BASELINES = (TORCH, TORCH_COMPILE, *(f"{runtime}-fp32" for runtime in RUNTIMES))
FLOAT_GRAPHS = ("fp32", "bf16")
"""Precisions whose graphs are fp32: bf16 is the runtime's setting."""


@dataclass(frozen=True)
class Subject:
    """One thing to measure."""

    label: str
    """Unique in a report."""
    bundle: str
    """A folder."""
    baseline: str = ""
    """One of ``BASELINES``; empty: the bundle as it is."""
    runtime: str | None = None
    """Overrides the one of the bundle's target, in fp32."""
    checkpoint: str = ""
    """Of the PyTorch baselines."""
    device: str = "auto"


def subjects(
    bundles: Sequence[str], baselines: Sequence[str] = (), checkpoint: str | None = None, device: str = "auto"
) -> list[Subject]:
    """The bundles under unique names, then the baselines.

    Raises:
        BundleError: one of the folders is no bundle.
        BenchmarkError: a baseline is unknown, or cannot be made of these bundles.
    """
    for name in baselines:
        if name not in BASELINES:
            raise BenchmarkError(unknown_name("baseline", name, BASELINES))
    manifests = {bundle: read_manifest(Path(bundle)) for bundle in bundles}
    asked = [Subject(Path(bundle).resolve().name, bundle, device=device) for bundle in bundles]
    asked += [_baseline(name, manifests, checkpoint) for name in dict.fromkeys(baselines)]
    labels = _unique([subject.label for subject in asked])
    return [replace(subject, label=label) for subject, label in zip(asked, labels, strict=True)]


def foreign(manifest: Manifest) -> str:
    """Why a bundle is for another kind of machine than this; empty if it is not."""
    target = manifest.target
    if not target.fits_processor:
        return f"it is for {' or '.join(target.machine)} (target {target.name}); this processor is {platform.machine()}"
    return ""


def _unique(names: Sequence[str]) -> list[str]:
    """The second of a name becomes name#2."""
    seen: Counter[str] = Counter()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def _baseline(name: str, manifests: dict[str, Manifest], checkpoint: str | None) -> Subject:
    first = next(iter(manifests))
    if name in (TORCH, TORCH_COMPILE):
        return Subject(name, first, name, checkpoint=str(_checkpoint(manifests[first], checkpoint)))
    runtime = name.removesuffix("-fp32")
    for bundle, manifest in manifests.items():
        own = manifest.target.runtime == runtime
        if manifest.precision == "fp32" or (manifest.precision in FLOAT_GRAPHS and not own):
            return Subject(name, bundle, name, runtime)
    raise BenchmarkError(
        f"The baseline {name} needs a bundle with fp32 graphs; those given are "
        f"{', '.join(manifest.precision for manifest in manifests.values())}. Make one and give it, too: "
        f"sam3i-edge export --precision fp32 -o BUNDLE"
    )


def _checkpoint(manifest: Manifest, given: str | None) -> Path:
    """The weights that the bundle was made of."""
    path = Path(given) if given else shipped.CHECKPOINT
    if not path.is_file():
        raise BenchmarkError(f"There is no checkpoint {path}.")
    if sha256_of(path) != manifest.source.sha256:
        raise BenchmarkError(
            f"{path} is not the checkpoint that the bundle was made of ({manifest.source.checkpoint}, SHA-256 "
            f"{manifest.source.sha256[:12]}). The PyTorch baselines need it: --checkpoint FILE"
        )
    return path
