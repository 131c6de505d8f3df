"""The command ``demo``: all of it on the model and the scenes that come with the package."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3i_edge.commands.stopping import steps
from sam3i_edge.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from sam3i_edge.data.samples import Query, Sample
    from sam3i_edge.segmenter import Segmenter


def add(commands: Any) -> None:
    """Register ``demo`` on an argparse sub-parsers object."""
    parser = commands.add_parser("demo", help="export the model that comes with the package, and let it see")
    parser.add_argument("-o", "--output", default="demo", metavar="DIR", help="a new or empty folder (%(default)s)")
    parser.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from sam3i_edge.export import export
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"The demo needs {error.name}, which is not installed: pip install 'sam3i-edge[export]'"
        ) from error
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.gallery import grid
    from sam3i_edge.overlay import write_image
    from sam3i_edge.segmenter import Segmenter
    from sam3i_edge.shipped import SCENES

    output, step = Path(arguments.output), steps()
    export(output=output / "bundle", progress=step)
    step("looking at the scenes that come with the package")
    segmenter = Segmenter.load(output / "bundle")
    rows, lines = [], []
    for sample in load_samples(SCENES, "demo").samples:
        pictures = []
        for query, iou, picture in _answers(segmenter, sample):
            pictures.append(picture)
            lines.append(f"{query.route:8} {query.text:52} IoU {iou:.2f}")
        rows.append(pictures)
    write_image(output / "gallery.jpg", grid(rows))
    print("\n".join(lines))
    print(f"\n{output / 'gallery.jpg'}   what it saw")
    print(f'{output / "bundle"}   the folder to copy to a robot: Segmenter.load("bundle")')
    return 0


def _answers(segmenter: Segmenter, sample: Sample) -> Iterator[tuple[Query, float, np.ndarray]]:
    """Each text of a scene with the IoU of its answer, and the picture of it."""
    import pycocotools.mask

    from sam3i_edge.gallery import captioned
    from sam3i_edge.image import read_image
    from sam3i_edge.overlay import draw
    from sam3i_edge.prompt import ROUTES, Prompt

    image = read_image(sample.path)
    frame = segmenter.encode(image)
    for query in sorted(sample.queries, key=lambda query: ROUTES.index(query.route)):
        found = frame.segment(Prompt(query.text))
        truth = np.any([pycocotools.mask.decode(sample.instances[i].rle) for i in query.targets], axis=0)
        seen = found.masks.any(axis=0)
        iou = float((seen & truth).sum() / (seen | truth).sum())
        yield query, iou, captioned(draw(image, found), query.text, f"route {found.route}, {len(found)} found")
