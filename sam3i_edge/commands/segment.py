"""The command ``segment``: find in an image what a text means."""

from __future__ import annotations

import argparse
from typing import Any

from sam3i_edge.coco import coco_document
from sam3i_edge.commands.io import add_force, check_output
from sam3i_edge.commands.loading import add_device, add_postprocessing, load_segmenter
from sam3i_edge.errors import PromptError
from sam3i_edge.image import read_image
from sam3i_edge.overlay import check_writable, write_image
from sam3i_edge.prompt import AUTO, ROUTES, Box, Prompt
from sam3i_edge.terminal import show, show_json


def add(commands: Any) -> None:
    """Register ``segment`` on an argparse sub-parsers object."""
    parser = commands.add_parser(
        "segment",
        help="find in an image what a text means",
        description="Print the score, box and size of every instance that the text means, best first.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder that `sam3i-edge export` wrote")
    parser.add_argument("image", metavar="IMAGE", help="a file in any usual format")
    parser.add_argument("text", metavar="TEXT", help="a noun phrase, an instruction or a question, in English")
    parser.add_argument("--route", default=AUTO, metavar="NAME", help=f"{', '.join(ROUTES)} or auto (%(default)s)")
    parser.add_argument("--box", action="append", default=[], metavar="X0,Y0,X1,Y1", help="an example, in pixels")
    parser.add_argument("--negative-box", action="append", default=[], metavar="X0,Y0,X1,Y1", help="a counterexample")
    add_postprocessing(parser)
    add_device(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the image with the masks drawn on it")
    parser.add_argument(
        "--json", action="store_true", help="print a COCO dataset of what was found: boxes, scores, masks (RLE)"
    )
    add_force(parser)
    parser.set_defaults(command=_segment)


def _segment(arguments: argparse.Namespace) -> int:
    prompt = Prompt(
        arguments.text,
        route=arguments.route,
        boxes=[_box(text) for text in arguments.box],
        negative_boxes=[_box(text) for text in arguments.negative_box],
    )
    if arguments.output:
        check_writable(arguments.output)
        check_output(arguments.output, arguments.force)
    image = read_image(arguments.image)
    segmenter = load_segmenter(arguments, arguments.threshold, arguments.nms)
    found = segmenter.segment(image, prompt)
    thresholds = segmenter.postprocessing.thresholds
    if arguments.json:
        show_json(coco_document(arguments.image, [found], thresholds))
    else:
        show(f"{len(found)} found above {thresholds[found.route]:g} on the route {found.route}")
        for number, (score, box, area) in enumerate(zip(found.scores, found.boxes, found.area, strict=True), 1):
            corners = ", ".join(f"{value:.1f}" for value in box)
            show(f"{number:3} score {score:.3f}  box {corners}  mask {area} pixels")
    if arguments.output:
        write_image(arguments.output, found.plot(image))
        show(f"written to {arguments.output}", error=arguments.json)
    return 0


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise PromptError(f"The box {text!r} is not of the form X0,Y0,X1,Y1, in pixels.") from error
    return Box(x0, y0, x1, y1)
