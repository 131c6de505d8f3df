"""Opening what is measured: a bundle's segmenter, or the same weights in PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sam3i_edge.benchmarks.candidates import TORCH_COMPILE, Candidate
from sam3i_edge.engine import Observer
from sam3i_edge.errors import BenchmarkError, packages_for
from sam3i_edge.manifest import read_manifest
from sam3i_edge.provenance import Provenance, Source
from sam3i_edge.segmenter import PYTHON, Segmenter


def open_candidate(candidate: Candidate, observer: Observer | None = None) -> Segmenter:
    """Load it, with its stages observed.

    Raises:
        as ``Segmenter.load``; RuntimeUnavailableError, too, if PyTorch is needed and not installed.
    """
    if not candidate.checkpoint:
        return Segmenter.load(
            candidate.bundle,
            engine=candidate.engine,
            runtime=candidate.runtime,
            device=candidate.device,
            observer=observer,
        )
    with packages_for(f"The baseline {candidate.baseline}", "export"):
        return _open_torch(candidate, observer)


def _open_torch(candidate: Candidate, observer: Observer | None) -> Segmenter:
    import torch

    from sam3i_edge.evaluate import torch_engine
    from sam3i_edge.manifest import ROUTE_FILE
    from sam3i_edge.model import load
    from sam3i_edge.route import RouteClassifier

    provenance = Provenance.of(read_manifest(Path(candidate.bundle)).provenance)
    if provenance.model is None:
        raise BenchmarkError(
            f"The provenance of {candidate.bundle} does not say its model's sizes, which the PyTorch baselines need. "
            f"Leave them out, or export the bundle again."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load(Path(candidate.checkpoint), provenance.model).to(device)
    classifier = RouteClassifier.load(Path(candidate.bundle) / ROUTE_FILE)
    engine = torch_engine.engine_of(
        model,
        Provenance(provenance.source).plain(),
        classifier,
        read_manifest(Path(candidate.bundle)).runtime.postprocessing,
        compiled=candidate.baseline == TORCH_COMPILE,
        observer=observer,
    )
    return Segmenter(engine)


def describe(segmenter: Segmenter, candidate: Candidate) -> dict[str, Any]:
    """What a report says of it, beside the measurements: fields of ``report.Run``."""
    manifest, own = segmenter.manifest, segmenter.manifest.runtime
    provenance = Provenance.of(manifest.provenance)
    source = provenance.source or Source("", "")
    runtime = own.target.runtime if candidate.checkpoint else candidate.runtime or own.target.runtime
    return {
        "bundle": candidate.label,
        "baseline": bool(candidate.baseline),
        "runtime": runtime if candidate.engine == PYTHON else f"{candidate.engine}, {runtime}",
        "device": segmenter.device,
        "target": own.target.name,
        "precision": segmenter.precision,
        "threads": own.target.threads,
        "image_size": own.model.image_size,
        "checkpoint": source.checkpoint,
        "checkpoint_sha256": source.sha256,
        "bundle_mb": None if candidate.checkpoint else round(manifest.total_bytes / 1e6, 2),
        "note": read_manifest(Path(candidate.bundle)).runtime.note,
        "recipe": flat(provenance.quantization.recipe) if provenance.quantization else {},
    }


def flat(value: Any, name: str = "") -> dict[str, str]:
    """A nested value as dotted names with texts, for tables."""
    from sam3i_edge import schema

    value = schema.plain(value)
    if value is None:
        return {}
    if isinstance(value, dict):
        parts = [flat(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()]
        return {key: text for part in parts for key, text in part.items()}
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return flat({str(i): item for i, item in enumerate(value)}, name)
    text = ", ".join(map(str, value)) if isinstance(value, list) else value
    return {name or "recipe": text if isinstance(text, str) else json.dumps(text)}
