"""The command ``data domain``: write down what a model was trained on, from a dataset's texts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from sam3i_edge import schema
from sam3i_edge.commands.io import add_force, check_output
from sam3i_edge.commands.progress import counted
from sam3i_edge.data.texts import read_texts
from sam3i_edge.domain import DOMAIN_FILE, Domain, FeatureStatistics, words_of
from sam3i_edge.errors import DataError, packages_for
from sam3i_edge.files import write_json
from sam3i_edge.terminal import show

MOST_IMAGES = 1000


def add(commands: Any) -> None:
    """Register ``domain`` on the argparse sub-parsers object of ``data``."""
    domain = commands.add_parser(
        "domain", help="list the words of a dataset's texts: a model says which it has never seen"
    )
    domain.add_argument(
        "--texts", required=True, metavar="FILE|DIR", help="a text on each line, or a dataset: its train split"
    )
    domain.add_argument("--note", required=True, metavar="TEXT", help="what the model was trained on, in a few words")
    domain.add_argument(
        "--features",
        metavar="FILE",
        help="the checkpoint: it tells other images from those of the dataset's two splits",
    )
    domain.add_argument("--kinds", default="", metavar="A,B,C", help="the things in it, for `sam3i-edge inspect`")
    domain.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=f"{DOMAIN_FILE}; put it beside the checkpoint"
    )
    add_force(domain)
    domain.set_defaults(command=_domain)


def _domain(arguments: argparse.Namespace) -> int:
    check_output(arguments.output, arguments.force)
    words = sorted({word for text in read_texts(arguments.texts) for word in words_of(text)})
    if not words:
        raise DataError(f"The texts of {arguments.texts} hold no English word.")
    kinds = tuple(kind.strip() for kind in arguments.kinds.split(",") if kind.strip())
    features = _features(arguments) if arguments.features else None
    write_json(Path(arguments.output), schema.plain(Domain(arguments.note, kinds, tuple(words), features)))
    show(f"wrote {arguments.output}: {len(words)} words")
    return 0


def _features(arguments: argparse.Namespace) -> FeatureStatistics:
    """Fitted to images of the split ``train``, with its limit from those of ``val``."""
    with packages_for("Looking at images", "export"):
        from sam3i_edge.evaluate.torch_engine import engine_of
        from sam3i_edge.model import load
    from sam3i_edge.config import ModelConfig
    from sam3i_edge.data.hmpl import load_samples
    from sam3i_edge.data.samples import read_sample, spread

    engine = engine_of(load(arguments.features, ModelConfig.of_checkpoint(arguments.features, None)))

    def means(split: str) -> np.ndarray:
        samples = spread(load_samples(arguments.texts, split).samples, MOST_IMAGES)
        progress, found = counted(split, "images"), []
        for done, sample in enumerate(samples, 1):
            found.append(np.asarray(engine.encode(read_sample(sample))["coarse"]).mean((0, 2, 3)))
            progress(done, len(samples))
        return np.stack(found)

    return FeatureStatistics.of(means("train"), means("val"))
