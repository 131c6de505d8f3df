"""Builds ``tokenizer.json`` from the CLIP merges that the ``open_clip_torch`` wheel carries."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
from collections.abc import Collection
from pathlib import Path

from sam3i_edge.errors import ExportError
from sam3i_edge.tokenizer import (
    END_OF_TEXT,
    END_OF_WORD,
    PADDING_ID,
    START_OF_TEXT,
    WORD_PATTERN,
    Tokenizer,
    words_of,
)

MERGES_FILE = "open_clip/bpe_simple_vocab_16e6.txt.gz"
VOCABULARY_SIZE = 49408


def clip_tokenizer(context_length: int) -> Tokenizer:
    """The CLIP tokenizer itself, for a model that has no bundle yet. Raises ExportError as ``build_tokenizer_json``."""
    return Tokenizer.from_json(build_tokenizer_json(context_length))


def build_tokenizer_json(context_length: int, kept_merges: Collection[tuple[str, str]] | None = None) -> str:
    """The content of a ``tokenizer.json``, in the format of the ``tokenizers`` package.

    ``kept_merges``: the merges of a smaller vocabulary, among CLIP's own; None: all. Words keep their ids.

    The wheel is only read, not imported: importing it would import torchvision, which a CPU build of torch cannot.
    Other readers of the format agree but for text that ftfy repairs and for special tokens inside a text.

    Raises:
        ExportError: ``open_clip_torch`` is not installed.
    """
    merges = clip_merges()
    ids = {word: i for i, word in enumerate(words_of(merges))}
    if kept_merges is not None:
        merges = [pair for pair in merges if pair in kept_merges]
    vocabulary = {word: ids[word] for word in words_of(merges)}
    special = [
        {"id": vocabulary[word], "content": word, "special": True} | _PLAIN for word in (START_OF_TEXT, END_OF_TEXT)
    ]
    content = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": context_length, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": context_length},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": PADDING_ID,
            "pad_type_id": 0,
            "pad_token": next(iter(vocabulary)),
        },
        "added_tokens": special,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Removed", "invert": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [END_OF_TEXT, vocabulary[END_OF_TEXT]],
            "cls": [START_OF_TEXT, vocabulary[START_OF_TEXT]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": END_OF_WORD,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
    return json.dumps(content, ensure_ascii=False)


_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def clip_merges() -> list[tuple[str, str]]:
    """CLIP's byte-pair merges, best first. Raises ExportError as ``build_tokenizer_json``."""
    try:
        path = Path(str(importlib.metadata.distribution("open_clip_torch").locate_file(MERGES_FILE)))
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise ExportError(
            f"The CLIP merges ({MERGES_FILE}) were not found. They come with: pip install 'sam3i-edge[export]'."
        ) from error
    count = VOCABULARY_SIZE - 2 * 256 - 2  # bytes, bytes that end a word, two special tokens
    return [(first, second) for first, second in (line.split() for line in lines[1 : count + 1])]
