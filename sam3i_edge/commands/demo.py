"""The command ``demo``: export, run and compare the demo model, its INT8 and its student on the demo scenes."""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3i_edge import demo_model
from sam3i_edge.commands.io import output_folder
from sam3i_edge.commands.progress import steps
from sam3i_edge.errors import packages_for
from sam3i_edge.terminal import show

if TYPE_CHECKING:
    from sam3i_edge.data.samples import Query, Sample
    from sam3i_edge.segmenter import Segmenter


TARGET = "intel-cpu"
"""OpenVINO, on any x86-64 or Arm processor: of the two runtimes on a processor the faster one."""
ROUNDS = 5
SHOWN = {
    "fp32": ("bundle", demo_model.CHECKPOINT, "fp32"),
    "int8": ("bundle-int8", demo_model.CHECKPOINT, "int8"),
    "student int8": ("bundle-student", demo_model.STUDENT, "int8"),
}
"""By the name in the table: a bundle's folder, weights and precision. The first is what the others are held against."""


def add(commands: Any) -> None:
    """Register ``demo`` on an argparse sub-parsers object."""
    parser = commands.add_parser("demo", help="export and run the demo model on the demo scenes")
    parser.add_argument("-o", "--output", default="demo", metavar="DIR", help="a new or empty folder (%(default)s)")
    parser.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    with packages_for("The demo", "export"):
        importlib.import_module("sam3i_edge.exporter")
    for path in (demo_model.CHECKPOINT, demo_model.STUDENT, demo_model.SCENES):
        demo_model.require(path, "export a checkpoint of your own: sam3i-edge export --checkpoint FILE -o DIR")
    with output_folder(arguments.output) as output:
        return _run(output)


def _run(output: Path) -> int:
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.exporter import Int8Options, export
    from sam3i_edge.gallery import grid
    from sam3i_edge.overlay import write_image
    from sam3i_edge.segmenter import Segmenter

    bundles = {name: output / folder for name, (folder, _, _) in SHOWN.items()}
    with steps() as step:
        for name, (folder, checkpoint, precision) in SHOWN.items():
            step(f"exporting the demo model: {name}")
            options = Int8Options(scored_images=0) if precision == "int8" else None
            export(checkpoint, output=output / folder, target=TARGET, precision=precision, int8=options, progress=step)
        step("segmenting the demo scenes")
    samples = load_samples(demo_model.SCENES, "demo").samples
    segmenters = {name: Segmenter.load(bundle) for name, bundle in bundles.items()}
    rows, lines = [], [f"{'IoU with what is meant':61}" + "".join(f"{name:>14}" for name in bundles)]
    ious: dict[str, list[float]] = {name: [] for name in bundles}
    for sample in samples:
        answers = {name: list(_answers(segmenter, sample)) for name, segmenter in segmenters.items()}
        rows.append([picture for _, _, picture in answers["fp32"]])
        for name, found in answers.items():
            ious[name] += [iou for _, iou, _ in found]
        for of_text in zip(*answers.values(), strict=True):
            query = of_text[0][0]
            lines.append(f"{query.route:8} {query.text:52}" + "".join(f"{iou:14.2f}" for _, iou, _ in of_text))
    write_image(output / "gallery.jpg", grid(rows))
    show(*lines)
    seconds = _frame_seconds(segmenters, samples)
    show("", f"{'':14}{'MB':>8}{'ms a frame':>12}{'times as fast':>15}{'mean IoU':>10}")
    for name, bundle in bundles.items():
        size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 1e6
        faster = seconds["fp32"] / seconds[name]
        show(f"{name:14}{size:8.1f}{1000 * seconds[name]:12.1f}{faster:15.2f}{np.mean(ious[name]):10.3f}")
    show("A frame has three prompts; medians of frames taken by turns. IoU of 18 texts is no measure: see evaluate.")
    show("", f"{output / 'gallery.jpg'}   what it saw, in fp32")
    show(f'{output / "bundle"}   the folder to copy to a robot: Segmenter.load("bundle"); or one of the smaller ones')
    return 0


def _frame_seconds(segmenters: Mapping[str, Segmenter], samples: Sequence[Sample]) -> dict[str, float]:
    """Median time from an image to the masks of three prompts, the segmenters taken by turns; one round to warm up."""
    from sam3i_edge.image import read_image
    from sam3i_edge.prompt import Prompt

    frames = [(read_image(s.path), [Prompt(query.text, query.route) for query in s.queries]) for s in samples]
    taken: dict[str, list[float]] = {name: [] for name in segmenters}
    for number in range(1 + ROUNDS):
        for image, prompts in frames:
            for name, segmenter in segmenters.items():
                start = time.perf_counter()
                for found in segmenter.segment(image, prompts):
                    assert found.masks is not None  # made when they are asked for
                if number:
                    taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def _answers(segmenter: Segmenter, sample: Sample) -> Iterator[tuple[Query, float, np.ndarray]]:
    """Each text of a scene with the IoU of its answer, and the picture of it."""
    import pycocotools.mask

    from sam3i_edge.gallery import captioned
    from sam3i_edge.image import read_image
    from sam3i_edge.prompt import ROUTES, Prompt

    image = read_image(sample.path)
    frame = segmenter.encode(image)
    for query in sorted(sample.queries, key=lambda query: ROUTES.index(query.route)):
        found = frame.segment(Prompt(query.text))
        truth = np.any([pycocotools.mask.decode(sample.instances[i].rle) for i in query.targets], axis=0)
        seen = found.masks.any(axis=0)
        iou = float((seen & truth).sum() / (seen | truth).sum())
        yield query, iou, captioned(found.plot(image), query.text, f"route {found.route}, {len(found)} found")
