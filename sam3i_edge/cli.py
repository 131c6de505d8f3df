"""The command ``sam3i-edge``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import sam3i_edge
from sam3i_edge import schema
from sam3i_edge.bundle import open_bundle
from sam3i_edge.errors import PromptError, RuntimeUnavailableError, Sam3iEdgeError
from sam3i_edge.golden import read_golden
from sam3i_edge.overlay import check_writable, draw, write_image
from sam3i_edge.prompt import AUTO, ROUTES, Box, Prompt
from sam3i_edge.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(format="sam3i-edge: %(message)s", level=logging.WARNING)
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except (Sam3iEdgeError, OSError) as error:
        print(f"sam3i-edge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sam3i-edge: interrupted; nothing was left behind.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sam3i-edge", description="SAM3-I on the device at hand.")
    parser.add_argument("--version", action="version", version=f"sam3i-edge {sam3i_edge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    export = commands.add_parser("export", help="make a bundle of a checkpoint")
    export.add_argument("--checkpoint", metavar="FILE", help=".pt or .safetensors; none: random weights")
    export.add_argument(
        "--config", metavar="FILE", help="the model's sizes (JSON); none: full size, or small without --checkpoint"
    )
    export.add_argument("--target", default="x86-cpu", metavar="NAME", help="device to export for (%(default)s)")
    export.add_argument(
        "--precision", metavar="NAME", help="of the weights and activations; none: the target's default"
    )
    export.add_argument("-o", "--output", required=True, metavar="DIR", help="the bundle's folder, empty or new")
    export.set_defaults(command=_export)

    segment = commands.add_parser("segment", help="find in an image what a text means")
    segment.add_argument("bundle", metavar="BUNDLE")
    segment.add_argument("image", metavar="IMAGE")
    segment.add_argument("text", metavar="TEXT")
    segment.add_argument("--route", default=AUTO, metavar="NAME", help=f"{', '.join(ROUTES)} or auto (%(default)s)")
    segment.add_argument("--box", action="append", default=[], metavar="X0,Y0,X1,Y1", help="an example, in pixels")
    segment.add_argument("--negative-box", action="append", default=[], metavar="X0,Y0,X1,Y1", help="a counterexample")
    segment.add_argument("--threshold", type=float, default=0.5, metavar="SCORE", help="least score (%(default)s)")
    segment.add_argument("--device", default="auto", metavar="NAME", help="device of the runtime (%(default)s)")
    segment.add_argument("-o", "--output", metavar="FILE", help="write the image with the masks drawn on it")
    segment.add_argument("--json", action="store_true", help="print boxes, scores and masks (COCO RLE) as JSON")
    segment.set_defaults(command=_segment)

    verify = commands.add_parser("verify", help="replay the bundle's golden cases on this device")
    verify.add_argument("bundle", metavar="BUNDLE")
    verify.add_argument("--device", default="auto", metavar="NAME", help="device of the runtime (%(default)s)")
    verify.set_defaults(command=_verify)

    inspect = commands.add_parser("inspect", help="show what a bundle holds")
    inspect.add_argument("bundle", metavar="BUNDLE")
    inspect.add_argument("--json", action="store_true", help="print the whole manifest")
    inspect.set_defaults(command=_inspect)
    return parser


def _export(arguments: argparse.Namespace) -> int:
    try:
        from sam3i_edge.export import export
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"Exporting needs {error.name}, which is not installed: pip install 'sam3i-edge[export]'"
        ) from error
    start = time.monotonic()
    stopped = _stop_on_signals()

    def progress(message: str) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        print(f"[{time.monotonic() - start:6.1f} s] {message}", file=sys.stderr, flush=True)

    manifest = export(
        arguments.checkpoint,
        arguments.config,
        arguments.output,
        target=arguments.target,
        precision=arguments.precision,
        progress=progress,
    )
    worst = min(manifest.accuracy.items(), key=lambda item: item[1].sqnr_db)
    size = manifest.total_bytes / 1e6
    print(f"wrote {arguments.output}, {size:.1f} MB; worst output {worst[0]}, SQNR {worst[1].sqnr_db:.0f} dB")
    return 0


def _stop_on_signals() -> threading.Event:
    """Let SIGTERM end the command as Ctrl-C does, cleaning up. The event tells that either was received.

    The exception alone is not enough: Python drops it where it happens to hit a finalizer.
    """
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if not stopped.is_set():  # a second signal must not interrupt the cleaning up
            stopped.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopped


def _segment(arguments: argparse.Namespace) -> int:
    prompt = Prompt(
        arguments.text,
        route=arguments.route,
        boxes=[_box(text) for text in arguments.box],
        negative_boxes=[_box(text) for text in arguments.negative_box],
    )
    if arguments.output:
        check_writable(arguments.output)
    image = sam3i_edge.read_image(arguments.image)
    segmenter = _load(arguments, threshold=arguments.threshold)
    found = segmenter.segment(image, prompt)
    if arguments.json:
        header = {"image": arguments.image, "text": prompt.text, "threshold": arguments.threshold}
        print(json.dumps(header | found.to_dict(), ensure_ascii=False))
    else:
        print(f"{len(found)} found above {arguments.threshold} on the route {found.route}")
        for score, box, mask in zip(found.scores, found.boxes, found.masks, strict=True):
            corners = ", ".join(f"{value:.1f}" for value in box)
            print(f"  score {score:.3f}  box {corners}  mask {int(mask.sum())} pixels")
    if arguments.output:
        write_image(arguments.output, draw(image, found))
    return 0


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise PromptError(f"The box {text!r} is not of the form X0,Y0,X1,Y1, in pixels.") from error
    return Box(x0, y0, x1, y1)


def _load(arguments: argparse.Namespace, threshold: float = 0.5) -> sam3i_edge.Segmenter:
    segmenter = sam3i_edge.Segmenter.load(arguments.bundle, device=arguments.device, threshold=threshold)
    if segmenter.manifest.source.note:
        print(f"sam3i-edge: note: {segmenter.manifest.source.note}", file=sys.stderr)
    return segmenter


def _verify(arguments: argparse.Namespace) -> int:
    segmenter = _load(arguments)
    checks = verify(segmenter, read_golden(Path(arguments.bundle)))
    for check in checks:
        print(f"{check.name:22} {check.difference}  {'ok' if check.passed else 'FAILED'}")
    failed = [check.name for check in checks if not check.passed]
    on = f"on {segmenter.device}, {segmenter.manifest.precision}"
    print(f"FAILED {on}: first at {failed[0]}" if failed else f"passed {on}")
    return 1 if failed else 0


def _inspect(arguments: argparse.Namespace) -> int:
    manifest = open_bundle(arguments.bundle).manifest
    if arguments.json:
        print(json.dumps(schema.plain(manifest), indent=1, ensure_ascii=False))
        return 0
    print(f"target     {manifest.target.name} ({manifest.target.runtime}), {manifest.precision}")
    print(f"weights    {manifest.source.checkpoint} {manifest.source.sha256[:12]} {manifest.source.note}".rstrip())
    print(f"image      {manifest.model.image_size} x {manifest.model.image_size}")
    print(f"routes     {', '.join(manifest.routes)}")
    print("per call   " + ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(manifest.limits).items()))
    for name, graph in manifest.graphs.items():
        print(f"{name} graph ({graph.file})")
        for kind, specs in (("in ", graph.inputs), ("out", graph.outputs)):
            for spec in specs:
                print(f"  {kind} {spec.name:14} {spec.dtype:8} {' x '.join(map(str, spec.shape))}")
    print("at export, against the float model")
    for output, difference in manifest.accuracy.items():
        print(f"  {output:22} {difference}")
    print(f"{len(manifest.files)} files, {manifest.total_bytes / 1e6:.1f} MB, all intact")
    return 0
