"""The command ``verify``: replay the golden cases of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.commands.loading import add_device, load_segmenter
from sam3i_edge.commands.outputs import check_output, write_output
from sam3i_edge.golden import read_golden
from sam3i_edge.verify import verify


def add(commands: Any) -> None:
    """Register ``verify`` on an argparse sub-parsers object."""
    parser = commands.add_parser("verify", help="replay the bundle's golden cases on this device")
    parser.add_argument("bundle", metavar="BUNDLE")
    add_device(parser, whole=False)
    parser.add_argument("--json", metavar="FILE", help="write everything that was compared")
    parser.set_defaults(command=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    check_output(arguments.json)
    segmenter = load_segmenter(arguments)
    verdict = verify(segmenter, read_golden(Path(arguments.bundle)))
    for check in verdict.checks:
        print(f"{check.name:25} {check.difference}  {_word(check.passed)}")
    for answer in verdict.answers:
        changes = f"mask IoU >= {answer.mask_iou:.4f}  score change <= {answer.score_change:.1e}"
        print(f"{answer.prompt!r} ({answer.route})\n{'':25} {changes}  {_word(answer.passed)}")
    on = f"on {verdict.device}, {verdict.precision}"
    print(f"passed {on}" if verdict.passed else f"FAILED {on}: {verdict.problem}")
    write_output(arguments.json, schema.plain(verdict) | {"passed": verdict.passed, "problem": verdict.problem})
    return 0 if verdict.passed else 1


def _word(passed: bool) -> str:
    return "ok" if passed else "FAILED"
