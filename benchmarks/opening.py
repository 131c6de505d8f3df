"""Opening what is measured: a bundle's segmenter, or the same weights in PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sam3i_edge.benchmarks.subjects import TORCH_COMPILE, Subject
from sam3i_edge.bundle import read_manifest
from sam3i_edge.errors import packages_for
from sam3i_edge.segmenter import Segmenter


def open_subject(subject: Subject) -> Segmenter:
    """Load it. Raises as ``Segmenter.load``, and RuntimeUnavailableError if PyTorch is needed and not installed."""
    if not subject.checkpoint:
        return Segmenter.load(subject.bundle, device=subject.device, runtime=subject.runtime)
    with packages_for(f"The baseline {subject.baseline}", "export"):
        return _open_torch(subject)


def _open_torch(subject: Subject) -> Segmenter:
    import torch

    from sam3i_edge.evaluate import eager
    from sam3i_edge.model import load
    from sam3i_edge.route import ROUTE_FILE, RouteClassifier

    manifest = read_manifest(Path(subject.bundle))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load(Path(subject.checkpoint), manifest.model).to(device)
    classifier = RouteClassifier.load(Path(subject.bundle) / ROUTE_FILE)
    segmenter = eager.segmenter_of(model, source=manifest.source, classifier=classifier)
    if subject.baseline == TORCH_COMPILE:
        for session in segmenter._sessions.values():
            _compile(session)
    return segmenter


def _compile(session: Any) -> None:
    import torch

    session._module = torch.compile(session._module)
    session.device = f"{session.device}, compiled"


def describe(segmenter: Segmenter, subject: Subject) -> dict[str, Any]:
    """What a report says of it, beside the measurements: fields of ``report.Run``."""
    manifest = segmenter.manifest
    runtime = manifest.target.runtime if subject.checkpoint else subject.runtime or manifest.target.runtime
    return {
        "bundle": subject.label,
        "baseline": bool(subject.baseline),
        "runtime": runtime,
        "device": segmenter.device,
        "target": manifest.target.name,
        "precision": segmenter.precision,
        "threads": manifest.target.threads,
        "image_size": manifest.model.image_size,
        "checkpoint": manifest.source.checkpoint,
        "checkpoint_sha256": manifest.source.sha256,
        "bundle_mb": None if subject.checkpoint else round(manifest.total_bytes / 1e6, 2),
        "note": manifest.source.note,
        "recipe": flat(manifest.quantization.recipe) if manifest.quantization else {},
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
