"""The command ``inspect``: what a bundle holds."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from sam3i_edge import schema
from sam3i_edge.bundle import open_bundle
from sam3i_edge.targets import is_typed_half


def add(commands: Any) -> None:
    """Register ``inspect`` on an argparse sub-parsers object."""
    parser = commands.add_parser("inspect", help="show what a bundle holds")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--json", action="store_true", help="print the whole manifest")
    parser.set_defaults(command=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    manifest = open_bundle(arguments.bundle).manifest
    if arguments.json:
        print(json.dumps(schema.plain(manifest), indent=1))
        return 0
    print(f"target     {manifest.target.name} ({manifest.target.runtime}), {manifest.precision}")
    print(f"weights    {manifest.source.checkpoint} {manifest.source.sha256[:12]} {manifest.source.note}".rstrip())
    print(f"hardware   {manifest.target.hardware}")
    print(f"image      {manifest.model.image_size} x {manifest.model.image_size}")
    print(f"routes     {', '.join(manifest.routes)}")
    print("per call   " + ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(manifest.limits).items()))
    for name, graph in manifest.graphs.items():
        print(f"{name} graph ({graph.file})")
        for kind, specs in (("in ", graph.inputs), ("out", graph.outputs)):
            for spec in specs:
                print(f"  {kind} {spec.name:14} {spec.dtype:8} {' x '.join(map(str, spec.shape))}")
    print(f"at export, against the float model, in {manifest.checked_on or 'nothing: it was not compared'}")
    for output, difference in manifest.accuracy.items():
        print(f"  {output:22} {difference}")
    if manifest.tensorrt:
        judge = manifest.tensorrt.checked_by
        print(
            f"parsed and built by NVIDIA's {judge}" if judge else "checked by sam3i-edge only, not by NVIDIA's parser"
        )
        if is_typed_half(manifest.target, manifest.precision):
            print(f"attention  {manifest.target.attention or 'unfused'}")
        for engine in manifest.tensorrt.engines:
            print(f"  {engine.file}: {engine.built_by}, compute capability {', '.join(engine.compute_capabilities)}")
    if manifest.quantization:
        print(f"calibrated on {manifest.quantization.calibration}, {manifest.quantization.calibration_images} images")
        print(manifest.quantization.table())
    print(f"{len(manifest.files)} files, {manifest.total_bytes / 1e6:.1f} MB, all intact")
    return 0
