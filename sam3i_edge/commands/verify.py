"""The command ``verify``: replay the golden cases of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.bundle import check_fingerprint
from sam3i_edge.commands.io import add_force, check_output, write_output
from sam3i_edge.commands.loading import add_device, load_segmenter
from sam3i_edge.golden import read_golden
from sam3i_edge.signing import verified_fingerprint
from sam3i_edge.terminal import show
from sam3i_edge.verification import verify


def add(commands: Any) -> None:
    """Register ``verify`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "verify",
        help="replay the bundle's golden cases on this device",
        description="Run the recorded image and prompts of the bundle on this device, compare every output with the "
        "float model's, and end with status 1 if one is beyond its tolerance.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder that `sam3i-edge export` wrote")
    add_device(parser)
    parser.add_argument(
        "--key", metavar="PUBKEY", help="check first that the owner of this key signed the bundle (PEM)"
    )
    parser.add_argument("--json", metavar="FILE", help="write everything that was compared")
    add_force(parser)
    parser.set_defaults(command=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    check_output(arguments.json, arguments.force)
    if arguments.key:
        signed = verified_fingerprint(arguments.bundle, arguments.key)
        check_fingerprint(Path(arguments.bundle), signed, arguments.expect)
        arguments.expect = signed
        show(f"signed by the owner of {arguments.key}")
    segmenter = load_segmenter(arguments)
    verdict = verify(segmenter.engine, read_golden(Path(arguments.bundle)))
    for check in verdict.checks:
        show(f"{check.name:25} {check.difference}  {_word(check.passed)}")
    for answer in verdict.answers:
        changes = f"mask IoU >= {answer.mask_iou:.4f}  score change <= {answer.score_change:.1e}"
        show(f"{answer.prompt!r} ({answer.route})", f"{'':25} {changes}  {_word(answer.passed)}")
    on = f"on {verdict.device}, {verdict.precision}"
    show(f"passed {on}" if verdict.passed else f"FAILED {on}: {verdict.problem}")
    show(f"fingerprint {segmenter.fingerprint}")
    write_output(
        arguments.json,
        schema.plain(verdict)
        | {"fingerprint": segmenter.fingerprint, "passed": verdict.passed, "problem": verdict.problem},
    )
    return 0 if verdict.passed else 1


def _word(passed: bool) -> str:
    return "ok" if passed else "FAILED"
