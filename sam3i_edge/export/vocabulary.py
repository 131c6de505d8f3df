"""A smaller vocabulary: the token rows that given texts use, and what spells every other word."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from sam3i_edge.errors import DataError
from sam3i_edge.export.tokenizer_json import all_words, clip_merges
from sam3i_edge.model import Sam3i
from sam3i_edge.tokenizer import Tokenizer

Merges = list[tuple[str, str]]


def read_corpus(path: str | Path) -> list[str]:
    """The texts of a file, one a line, or of a dataset's folder. Raises DataError if there is none."""
    from sam3i_edge.data.hmpl import load_samples

    path = Path(path)
    if path.is_dir():
        samples = load_samples(path, "train").samples
        texts = sorted({query.text for sample in samples for query in sample.queries})
    else:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"Cannot read the texts {path}: {error}. Give a file with a text on each line.") from error
        texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise DataError(f"There is no text in {path}. Give a file with a text on each line, or a dataset's folder.")
    return texts


def used_merges(texts: Iterable[str], tokenizer: Tokenizer) -> Merges:
    """The byte-pair merges by which the texts become tokens, in their order.

    With these alone the same texts become the same tokens: each token is made in one way only, and of the pairs that
    could be joined at any moment the best ranked is still there.
    """
    merges = clip_merges()
    made_of = {"".join(pair): pair for pair in merges}
    words = dict(enumerate(all_words(merges)))
    open_ = {words[i] for text in texts for i in set(tokenizer.encode(text).tolist())}
    used: set[str] = set()
    while open_:
        word = open_.pop()
        if word in made_of and word not in used:
            used.add(word)
            open_.update(made_of[word])
    return [pair for pair in merges if "".join(pair) in used]


def prune_vocabulary(model: Sam3i, merges: Merges) -> Sam3i:
    """Keep the token rows that a tokenizer of these merges can ask for, in its order; in place."""
    old = {word: i for i, word in enumerate(all_words(clip_merges()))}
    rows = [old[word] for word in all_words(merges)]
    encoder = model.backbone.language_backbone.encoder
    encoder.token_embedding = nn.Embedding.from_pretrained(encoder.token_embedding.weight.detach()[rows].clone())
    model.config = dataclasses.replace(model.config, text=dataclasses.replace(model.config.text, vocab_size=len(rows)))
    return model
