"""CLIP's own tokenizer, from the merges that the ``open_clip_torch`` wheel carries."""

from __future__ import annotations

import gzip
import importlib.metadata
from collections.abc import Collection
from pathlib import Path

from sam3i_edge.errors import ExportError, install
from sam3i_edge.tokenizer import Merge, Tokenizer, format_merges

MERGES_FILE = "open_clip/bpe_simple_vocab_16e6.txt.gz"
VOCABULARY_SIZE = 49408


def clip_tokenizer(context_length: int) -> Tokenizer:
    """The tokenizer, for a model that has no bundle yet. Raises ExportError as ``clip_merges``."""
    return Tokenizer(clip_merges(), context_length)


def make_tokenizer_file(kept: Collection[Merge] | None = None) -> bytes:
    """The content of a bundle's tokenizer file, for ``Tokenizer.from_file``: the same bytes for the same merges.

    Args:
        kept: the merges of a smaller vocabulary, among CLIP's own; None: all. Words keep their ids.

    Raises:
        ExportError: as ``clip_merges``.
    """
    merges = [merge if kept is None or merge in kept else None for merge in clip_merges()]
    return format_merges(merges).encode("utf-8")


def clip_merges() -> list[Merge]:
    """CLIP's byte-pair merges, best first.

    The wheel is only read, not imported: importing it would import torchvision, which a CPU build of torch cannot.

    Raises:
        ExportError: ``open_clip_torch`` is not installed.
    """
    try:
        path = Path(str(importlib.metadata.distribution("open_clip_torch").locate_file(MERGES_FILE)))
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise ExportError(
            f"The CLIP merges ({MERGES_FILE}) were not found. They come with: {install('export')}."
        ) from error
    count = VOCABULARY_SIZE - 2 * 256 - 2  # bytes, bytes that end a word, two special tokens
    return [(first, second) for first, second in (line.split() for line in lines[1 : count + 1])]
