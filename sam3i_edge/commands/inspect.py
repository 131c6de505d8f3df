"""The command ``inspect``: what a bundle holds."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from sam3i_edge.bundle import open_bundle
from sam3i_edge.commands.loading import add_expect
from sam3i_edge.manifest import MANIFEST_FILE, RuntimeSection
from sam3i_edge.provenance import Provenance
from sam3i_edge.runtimes import is_typed_half
from sam3i_edge.terminal import show, show_json


def add(commands: Any) -> None:
    """Register ``inspect`` on an argparse sub-parsers object."""
    parser = commands.add_parser("inspect", help="show what a bundle holds")
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder that `sam3i-edge export` wrote")
    add_expect(parser)
    parser.add_argument("--json", action="store_true", help="print the whole manifest")
    parser.set_defaults(command=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    bundle = open_bundle(arguments.bundle, expect=arguments.expect)
    if arguments.json:
        show_json(json.loads((bundle.path / MANIFEST_FILE).read_bytes()), indent=1)
        return 0
    _show_runtime(bundle.manifest.runtime)
    _show_provenance(Provenance.of(bundle.manifest.provenance))
    show(f"{len(bundle.manifest.files)} files, {bundle.manifest.total_bytes / 1e6:.1f} MB, all as the manifest says")
    show(f"fingerprint {bundle.fingerprint}")
    return 0


def _show_runtime(runtime: RuntimeSection) -> None:
    """What a device reads."""
    show(f"target     {runtime.target.name} ({runtime.target.runtime}), {runtime.precision}")
    if runtime.note:
        show(f"note       {runtime.note}")
    if runtime.domain:
        show(f"trained on {', '.join(runtime.domain.kinds)}; {len(runtime.domain.words)} words")
    show(f"image      {runtime.model.image_size} x {runtime.model.image_size}")
    show(f"routes     {', '.join(runtime.routes)}")
    show("per call   " + ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(runtime.limits).items()))
    if is_typed_half(runtime.target.runtime, runtime.precision):
        show(f"attention  {runtime.target.attention or 'unfused'}")
    for name, graph in runtime.graphs.items():
        show(f"{name} graph ({graph.file})")
        for kind, specs in (("in ", graph.inputs), ("out", graph.outputs)):
            for spec in specs:
                show(f"  {kind} {spec.name:14} {spec.dtype:8} {' x '.join(map(str, spec.shape))}")
    for engine in runtime.engines:
        show(f"{engine.file}: {engine.built_by}, compute capability {', '.join(engine.compute_capabilities)}")


def _show_provenance(made: Provenance) -> None:
    """How the bundle was made, as far as it says so."""
    if made.source:
        show(f"weights    {made.source.checkpoint} {made.source.sha256[:12]}")
    if made.target:
        show(f"tried on   {made.target.hardware} (bundles for this target; not this one)")
    show(f"at export, against the float model, in {made.checked_on or 'nothing: it was not compared'}")
    for output, difference in made.accuracy.items():
        show(f"  {output:22} {difference}")
    if made.tensorrt:
        show(made.tensorrt)
    if made.quantization:
        show(f"calibrated on {made.quantization.calibration}, {made.quantization.calibration_images} images")
        show(*made.quantization.lines())
