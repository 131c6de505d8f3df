"""What is measured: the bundles that were given, and baselines made of them."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sam3i_edge import demo_model
from sam3i_edge.bundle import sha256_of
from sam3i_edge.errors import BenchmarkError, unknown_name
from sam3i_edge.manifest import Manifest, read_manifest
from sam3i_edge.provenance import Provenance
from sam3i_edge.runtimes import RUNTIMES
from sam3i_edge.segmenter import PYTHON

TORCH, TORCH_COMPILE = "torch", "torch-compile"
BASELINES = (TORCH, TORCH_COMPILE, *(f"{runtime}-fp32" for runtime in RUNTIMES))
FLOAT_GRAPHS = ("fp32", "bf16")
"""Precisions whose graphs are fp32: bf16 is the runtime's setting."""


@dataclass(frozen=True)
class Candidate:
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
    engine: str = PYTHON
    """What runs a bundle: one of ``segmenter.ENGINES``."""


def find_candidates(
    bundles: Sequence[str],
    baselines: Sequence[str] = (),
    checkpoint: str | None = None,
    device: str = "auto",
    engine: str = PYTHON,
) -> list[Candidate]:
    """The bundles under unique names, then the baselines.

    Raises:
        BundleError: one of the folders is no bundle.
        BenchmarkError: a baseline is unknown, or cannot be made of these bundles.
    """
    for name in baselines:
        if name not in BASELINES:
            raise BenchmarkError(unknown_name("baseline", name, BASELINES))
    manifests = {bundle: read_manifest(Path(bundle)) for bundle in bundles}
    asked = [Candidate(Path(bundle).resolve().name, bundle, device=device, engine=engine) for bundle in bundles]
    asked += [_baseline(name, manifests, checkpoint) for name in dict.fromkeys(baselines)]
    labels = unique([candidate.label for candidate in asked])
    return [replace(candidate, label=label) for candidate, label in zip(asked, labels, strict=True)]


def foreign(manifest: Manifest) -> str:
    """Why a bundle is for another kind of machine than this; empty if it is not."""
    target = Provenance.of(manifest.provenance).target
    if target and not target.fits_processor:
        return f"it is for {' or '.join(target.machine)} (target {target.name}); this processor is {platform.machine()}"
    return ""


def unique(names: Sequence[str]) -> list[str]:
    """The second of a name becomes name#2."""
    free: list[str] = []
    for name in names:
        numbered = (f"{name}#{number}" for number in itertools.count(2))
        free.append(next(one for one in itertools.chain([name], numbered) if one not in free))
    return free


def _baseline(name: str, manifests: dict[str, Manifest], checkpoint: str | None) -> Candidate:
    first = next(iter(manifests))
    if name in (TORCH, TORCH_COMPILE):
        return Candidate(name, first, name, checkpoint=str(_checkpoint(manifests[first], checkpoint)))
    runtime = name.removesuffix("-fp32")
    for bundle, manifest in manifests.items():
        own = manifest.runtime.target.runtime == runtime
        precision = manifest.runtime.precision
        if precision == "fp32" or (precision in FLOAT_GRAPHS and not own):
            return Candidate(name, bundle, name, runtime)
    raise BenchmarkError(
        f"The baseline {name} needs a bundle with fp32 graphs; those given are "
        f"{', '.join(manifest.runtime.precision for manifest in manifests.values())}. Make one and give it, too: "
        f"sam3i-edge export --precision fp32 -o BUNDLE"
    )


def _checkpoint(manifest: Manifest, given: str | None) -> Path:
    """The weights that the bundle was made of."""
    path = Path(given) if given else demo_model.require(demo_model.CHECKPOINT, "name the checkpoint: --checkpoint FILE")
    if not path.is_file():
        raise BenchmarkError(f"There is no checkpoint {path}.")
    source = Provenance.of(manifest.provenance).source
    if source is None:
        raise BenchmarkError(
            "The bundle's provenance does not say which checkpoint it was made of, which the PyTorch baselines need. "
            "Leave them out, or export the bundle again."
        )
    if sha256_of(path) != source.sha256:
        raise BenchmarkError(
            f"{path} is not the checkpoint that the bundle was made of ({source.checkpoint}, SHA-256 "
            f"{source.sha256[:12]}). The PyTorch baselines need it: --checkpoint FILE"
        )
    return path
