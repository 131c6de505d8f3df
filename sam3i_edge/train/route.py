"""Fits the auto route: multinomial logistic regression over the classifier's hashed n-grams, rounded to int8.

``python -m sam3i_edge.train.route`` makes the built-in classifier anew, from the broad text alone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.hmpl import annotation_files
from sam3i_edge.data.phrases import phrases
from sam3i_edge.data.reading import Problems, read_tables
from sam3i_edge.data.records import read_texts
from sam3i_edge.errors import DataError
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import DEFAULT_FILE, RouteClassifier, buckets
from sam3i_edge.tokenizer import Tokenizer

CONTEXT_LENGTH = 32
MAX_WEIGHT = 127

BUCKETS = 1 << 14
"""On held-out words and wordings 97.0 % are right; of 8,192 buckets 96.6 %, of 4,096 95.0 %."""

BROAD_TEXTS = 6000
"""Of each route. Twice as many gain 0.1 %."""

MAX_TEXTS = 20_000
"""Of each route of a data set; of more, a random choice keeps the fit to seconds."""

L2 = 3e-5
ITERATIONS = 60
COMMON_TOKENS = 800
SEED = 0

logger = logging.getLogger("sam3i_edge")

Pair = tuple[str, str]
"""Text and route."""


def fit_built_in(tokenizer: Tokenizer) -> RouteClassifier:
    """The classifier for checkpoints that bring none: fitted on the broad text."""
    note = f"broad English text, {BROAD_TEXTS} per route, seed {SEED}"
    return fit([phrases(BROAD_TEXTS, SEED)], tokenizer, note)


def fit_to_texts(texts: Sequence[Pair], origin: str, tokenizer: Tokenizer) -> RouteClassifier:
    """A classifier for a data set's way of speaking: fitted on its ``texts`` and the broad text, half and half."""
    note = f"{len(texts)} texts of {origin}; broad English text, {BROAD_TEXTS} per route, seed {SEED}"
    return fit([texts, phrases(BROAD_TEXTS, SEED)], tokenizer, note)


def share_right(classifier: RouteClassifier, texts: Sequence[Pair], tokenizer: Tokenizer) -> dict[str, float]:
    """Of each route that ``texts`` have, the share in 0..1 for which ``classifier`` says so."""
    tokens = _encode(tokenizer, [text for text, _ in texts])
    right: dict[str, list[bool]] = {}
    for row, (_, route) in zip(tokens, texts, strict=True):
        right.setdefault(route, []).append(classifier.route(row) == route)
    return {route: float(np.mean(right[route])) for route in ROUTES if route in right}


def read_pairs(path: str | Path, split: str) -> list[Pair]:
    """The distinct texts of annotation files with their routes, at most ``MAX_TEXTS`` of each.

    Args:
        path: a file or folder of the HMPL-Instruct layout; the images need not be there.
        split: "train", "val", …; not looked at when ``path`` is a file.

    Raises:
        DataError: there is no such file or split, it is damaged, or has no text of one of the routes.
    """
    found: dict[Pair, None] = {}
    for file in annotation_files(Path(path), split):
        problems = Problems(file)
        for kind, table in zip(("image", "annotation"), read_tables(file, problems), strict=True):
            for i, record in enumerate(table):
                if isinstance(record, dict):
                    texts = read_texts(record, f"{kind} {record.get('id', f'number {i}')}", problems)
                    found |= {(text, route): None for route, text in texts}
        if problems.found:
            raise DataError(f"{problems.found[0]} Correct the data.")
    rng = np.random.default_rng(SEED)
    chosen = []
    for route in ROUTES:
        texts = [pair for pair in found if pair[1] == route]
        if not texts:
            raise DataError(f"{path} has no {route} text; fitting the auto route needs texts of {', '.join(ROUTES)}.")
        keep = np.sort(rng.permutation(len(texts))[:MAX_TEXTS])
        chosen += [texts[i] for i in keep]
    return chosen


def fit(sources: Sequence[Sequence[Pair]], tokenizer: Tokenizer, note: str, count: int = BUCKETS) -> RouteClassifier:
    """Fit a classifier with ``count`` buckets on several sources of texts, each counting alike, and so its routes.

    Every text is seen twice: as it is, and with its rarer tokens replaced by random ones, so that the small words
    decide and an unknown noun says nothing. The result depends on the arguments alone.
    """
    pairs = [pair for source in sources for pair in source]
    tokens = _encode(tokenizer, [text for text, _ in pairs])
    labels = torch.tensor([ROUTES.index(route) for _, route in pairs])
    importance = torch.cat([_balanced(source) for source in sources]) / len(sources)
    found = [buckets(row, count) for row in (*tokens, *_with_unknown_words(tokens))]
    weights = _regress(found, labels.repeat(2), importance.repeat(2) / 2, count)
    scale = MAX_WEIGHT / np.abs(weights).max()
    return RouteClassifier(np.rint(weights * scale).astype(np.int8).T.copy(), note)


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Tokens (N, context_length) int32; here a text that is too long is no news."""
    previous = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return np.stack([tokenizer.encode(text) for text in texts])
    finally:
        logger.setLevel(previous)


def _balanced(source: Sequence[Pair]) -> Tensor:
    """Weights (N,) summing to 1, to each route of ``source`` the same share."""
    sizes = Counter(route for _, route in source)
    return torch.tensor([1 / (len(sizes) * sizes[route]) for _, route in source], dtype=torch.float64)


def _with_unknown_words(tokens: np.ndarray) -> np.ndarray:
    """``tokens`` (N, L) with all but the ``COMMON_TOKENS`` most frequent ones replaced by random words."""
    ids, counts = np.unique(tokens, return_counts=True)
    common = ids[np.argsort(-counts, kind="stable")[:COMMON_TOKENS]]
    special = (0, int(tokens.max()), int(tokens.max()) - 1)  # padding, end, start
    is_rare = ~np.isin(tokens, [*common, *special])
    others = np.random.default_rng(SEED).integers(1, special[2], tokens.shape, dtype=tokens.dtype)
    return np.where(is_rare, others, tokens)


def _regress(found: Sequence[np.ndarray], labels: Tensor, importance: Tensor, count: int) -> np.ndarray:
    """Weights (count, 3) float64 of least cross-entropy plus L2 penalty: convex, so there is one answer."""
    grams = torch.from_numpy(np.concatenate(found))
    starts = torch.from_numpy(np.cumsum([0, *map(len, found[:-1])]))
    weights = torch.zeros(count, len(ROUTES), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = F.embedding_bag(grams, weights, starts, mode="sum")
        value = (F.cross_entropy(scores, labels, reduction="none") * importance).sum() + L2 * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().numpy()


if __name__ == "__main__":
    fit_built_in(clip_tokenizer(CONTEXT_LENGTH)).save(DEFAULT_FILE)
