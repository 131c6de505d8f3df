"""The command ``export``: a checkpoint becomes a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge import demo_model
from sam3i_edge.commands.progress import steps
from sam3i_edge.errors import ConfigError, packages_for
from sam3i_edge.manifest import ATTENTION, fingerprint_of_bundle
from sam3i_edge.signing import check_private_key, sign
from sam3i_edge.terminal import show

DEFAULT_STUDENT = "default"


def add(commands: Any) -> None:
    """Register ``export`` on an argparse sub-parsers object."""
    parser = commands.add_parser("export", help="export a checkpoint as a bundle")
    parser.add_argument("--checkpoint", metavar="FILE", help=".pt or .safetensors; none: the demo model")
    parser.add_argument(
        "--student",
        metavar="FILE",
        help="a distilled checkpoint, instead of --checkpoint; the word default: the demo student",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the model's sizes (JSON); none: config.json beside the checkpoint, or full size",
    )
    parser.add_argument("--target", default="x86-cpu", metavar="NAME", help="device to export for (%(default)s)")
    parser.add_argument(
        "--precision", metavar="NAME", help="of the weights and activations, or auto: int8 within --max-drop"
    )
    parser.add_argument(
        "--attention",
        choices=ATTENTION,
        help="half precision on TensorRT only: unfused avoids fused attention kernels, which are wrong on some GPUs "
        "(default: the target's setting)",
    )
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        help="for int8, and fp16 in TensorRT: a dataset, or images and a prompts.txt; none: the demo scenes",
    )
    parser.add_argument("--recipe", metavar="FILE", help="for int8: what each block computes in, as a bundle holds it")
    parser.add_argument(
        "--scored-images",
        type=int,
        default=50,
        metavar="N",
        help="for int8: measure accuracy before and after on so many images of the data (%(default)s); 0: do not",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="for int8: of gIoU per route, and of cgF1, that may be lost there; auto searches by it (1.0). Both need "
        "--calibration with a dataset that has a val split",
    )
    parser.add_argument("--force", action="store_true", help="write an int8 bundle that loses more than that")
    parser.add_argument(
        "--vocabulary",
        metavar="FILE|DIR",
        help="texts, one a line, or a dataset (train): keep only the token rows that they use; none: all",
    )
    parser.add_argument("--sign", metavar="KEY", help="sign the bundle with this private key (PEM)")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the bundle's folder, empty or new")
    parser.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    with packages_for("Exporting", "export"):
        from sam3i_edge.exporter import Int8Options, export
        from sam3i_edge.provenance import Provenance
    if arguments.sign:
        check_private_key(arguments.sign)
    with steps() as step:
        manifest = export(
            _checkpoint(arguments),
            arguments.config,
            arguments.output,
            target=arguments.target,
            precision=arguments.precision,
            attention=arguments.attention,
            int8=Int8Options(
                arguments.calibration, arguments.recipe, arguments.scored_images, arguments.max_drop, arguments.force
            ),
            vocabulary=arguments.vocabulary,
            progress=step,
        )
    made = Provenance.of(manifest.provenance)
    worst = min(made.accuracy.items(), key=lambda item: item[1].sqnr_db)
    size = manifest.total_bytes / 1e6
    show(f"wrote {arguments.output}, {size:.1f} MB; worst output {worst[0]}, SQNR {worst[1].sqnr_db:.0f} dB")
    if made.quantization:
        show(*made.quantization.lines())
    if made.tensorrt:
        show(made.tensorrt)
    if arguments.sign:
        show(f"signed: {sign(arguments.output, arguments.sign)}")
    show(f"fingerprint {fingerprint_of_bundle(arguments.output)}")
    show(f"checked in {made.checked_on}; on the device: sam3i-edge verify {arguments.output}")
    return 0


def _checkpoint(arguments: argparse.Namespace) -> str | Path | None:
    """The checkpoint to export; None: the demo model. Raises ConfigError."""
    if arguments.checkpoint and arguments.student:
        raise ConfigError("--checkpoint and --student both name a model. Give one of them.")
    if arguments.student == DEFAULT_STUDENT:
        return demo_model.require(demo_model.STUDENT, "give a student of your own")
    chosen: str | None = arguments.student or arguments.checkpoint
    return chosen
