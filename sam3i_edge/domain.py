"""What a model was trained on, where that is little: it says so when it is asked for more."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError
from sam3i_edge.text_files import read_json

DOMAIN_FILE = "domain.json"
"""Beside a checkpoint: export puts it into the manifest."""

RIDGE = 1e-3
"""Added to the variances, in shares of their mean: directions that hardly vary are not measured to the last digit."""
MARGIN = 1.05
PIECE = re.compile(r"[^ \t\n\v\f\r]+")
WORD = re.compile("[a-z]{2,}")


@dataclass(frozen=True)
class FeatureStatistics:
    """Which images are like those of the training: a normal distribution of the means of D feature channels.

    Raises:
        ConfigError: the sizes do not fit each other, or ``limit`` is not above 0.
    """

    mean: tuple[float, ...]
    """(D,)"""
    precision: str
    """The inverse of the covariance, (D, D) float32, rows first, little-endian, in base64."""
    limit: float
    """An image at a greater Mahalanobis distance from the mean is unlike them."""

    def __post_init__(self) -> None:
        if self._matrix.size != len(self.mean) ** 2 or not self.mean:
            raise ConfigError(
                f"precision has {self._matrix.size} values; expected {len(self.mean)} x {len(self.mean)}."
            )
        if not self.limit > 0:
            raise ConfigError(f"limit is {self.limit}; it must be greater than 0.")

    @classmethod
    def of(cls, means: np.ndarray, others: np.ndarray) -> FeatureStatistics:
        """Fitted to the images with channel means (n, D); the limit lies a little beyond the farthest of ``others``."""
        covariance = np.cov(means.T)
        ridge = RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        precision = np.linalg.inv(covariance + ridge).astype("<f4")
        encoded = base64.b64encode(precision.tobytes()).decode("ascii")
        made = cls(tuple(float(value) for value in means.mean(0)), encoded, 1.0)
        return replace(made, limit=MARGIN * max(map(made.distance, others)))

    @cached_property
    def _matrix(self) -> np.ndarray:
        try:
            return np.frombuffer(base64.b64decode(self.precision, validate=True), "<f4").astype(np.float64)
        except ValueError as error:
            raise ConfigError(f"precision is not base64: {error}.") from error

    def distance(self, means: np.ndarray) -> float:
        """Mahalanobis distance of channel means (D,)."""
        away = means.astype(np.float64) - self.mean
        return float(np.sqrt(max(away @ self._matrix.reshape(len(away), -1) @ away, 0.0)))


@dataclass(frozen=True)
class Domain:
    """The things and the words that a model knows."""

    note: str
    """Shown to whoever uses the model."""
    kinds: tuple[str, ...]
    """Of things, for people."""
    words: tuple[str, ...]
    """Of all texts that it was trained on: lower case, a to z, two letters or more."""
    features: FeatureStatistics | None = None
    """Of ``coarse``, the vision graph's output; None: not known."""

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path) -> Domain | None:
        """The ``domain.json`` beside a checkpoint's file; None where there is none. Raises ConfigError naming it."""
        path = Path(checkpoint).parent / DOMAIN_FILE
        if not path.is_file():
            return None
        try:
            return schema.parse(cls, read_json(path))
        except (OSError, ValueError, ConfigError) as error:
            raise ConfigError(f"{path}: {error} Make one with `sam3i-edge data domain`, or remove it.") from error

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` that no text of the training held, in their order, each once.

        Words with anything but ASCII in them do not count: this is a hint, and it had better miss one than be wrong.
        """
        return [word for word in words_of(text) if word not in self._known]

    def is_unlike(self, coarse: np.ndarray) -> bool:
        """Whether an image with the features ``coarse``, (1, D, g, g), is unlike those of the training."""
        return self.features is not None and self.features.distance(coarse.mean((0, 2, 3))) > self.features.limit

    def image_advice(self) -> str:
        """What to say of an image that is."""
        return f"The image is unlike those that this model was trained on ({self.note})."

    def word_advice(self, word: str) -> str:
        """What to say of an unknown word."""
        return f"The word {word!r} is in none of the texts that this model was trained on ({self.note})."


def words_of(text: str) -> list[str]:
    """The words that ``Domain.words`` lists, of one text, each once."""
    pieces = (piece.lower() for piece in PIECE.findall(text) if piece.isascii())
    return list(dict.fromkeys(word for piece in pieces for word in WORD.findall(piece)))
