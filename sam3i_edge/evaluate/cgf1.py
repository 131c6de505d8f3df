"""cgF1, the metric of SA-Co: are the right instances found, and is it known when there are none?

One (image, phrase) pair at a time: found masks are matched to targets so that their summed IoU is largest. Over all
pairs that have targets, hits at ten IoU thresholds from 0.5 to 0.95 give the positive micro-F1; whether anything was
found where something was to be found gives, over all pairs, Matthews' correlation coefficient (IL_MCC). cgF1 is the
product. The small constants in the ratios are Meta's, so that the figures are theirs to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sam3i_edge.evaluate.masks import Rle, pairwise_iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
TINY, TINIER = 1e-4, 1e-6


class Hits(NamedTuple):
    """True positives, false positives and false negatives of some pairs, (10,) int64 each: one per IoU threshold."""

    true: np.ndarray
    false: np.ndarray
    missed: np.ndarray


def match(ious: np.ndarray) -> Hits:
    """The hits of one pair.

    Args:
        ious: (found, targets).
    """
    rows, columns = linear_sum_assignment(-ious)
    true = (ious[rows, columns][None] >= THRESHOLDS[:, None]).sum(1)
    return Hits(true, ious.shape[0] - true, ious.shape[1] - true)


class CgF1:
    """Sums up pairs; what it keeps does not grow with their number.

    >>> scores = CgF1()
    >>> scores.add(found, targets)      # the run lengths of one pair, as often as there are pairs
    >>> scores.result()["cgF1"]
    """

    def __init__(self) -> None:
        none = np.zeros(len(THRESHOLDS), np.int64)
        self._all = Hits(none, none, none)
        self._positive_false = none
        self._local = np.zeros(len(THRESHOLDS))
        self._answered = 0
        self._images = {(positive, answered): 0 for positive in (True, False) for answered in (True, False)}

    @classmethod
    def sum(cls, parts: Iterable[CgF1]) -> CgF1:
        """As if one had counted all the pairs."""
        total = cls()
        for part in parts:
            total._all = Hits(*(a + b for a, b in zip(total._all, part._all, strict=True)))
            total._positive_false = total._positive_false + part._positive_false
            total._local = total._local + part._local
            total._answered += part._answered
            total._images = {kind: count + part._images[kind] for kind, count in total._images.items()}
        return total

    def add(self, found: Sequence[Rle], targets: Sequence[Rle]) -> None:
        """Count one (image, phrase) pair: the masks that score above the threshold, and those that were meant."""
        self._images[bool(targets), bool(found)] += 1
        if not targets and not found:
            return
        hits = match(pairwise_iou(found, targets))
        self._all = Hits(*(total + new for total, new in zip(self._all, hits, strict=True)))
        if targets:
            self._positive_false = self._positive_false + hits.false
            if found:
                self._local += _f1(hits.true, hits.false, hits.missed)
                self._answered += 1

    @property
    def defined(self) -> bool:
        """Whether there were phrases with targets and phrases without: IL_MCC, so cgF1, has no meaning otherwise."""
        return all(self._images[positive, True] + self._images[positive, False] for positive in (True, False))

    def result(self) -> dict[str, float]:
        """cgF1 and its parts as fractions, under the names of Meta's evaluator; ``@0.5`` is one IoU threshold's."""
        mcc = self._image_level()
        curves = self._curves(mcc["IL_MCC"])
        result = {name: float(values.mean()) for name, values in curves.items()} | mcc
        for threshold in (0.5, 0.75):
            index = int(np.argmin(abs(THRESHOLDS - threshold)))
            result |= {f"{name}@{threshold}": float(values[index]) for name, values in curves.items()}
        return result

    def _curves(self, mcc: float) -> dict[str, np.ndarray]:
        true, false, missed = self._all
        positive_f1 = _f1(true, self._positive_false, missed)
        return {
            "cgF1": positive_f1 * mcc,
            "precision": true / (true + false + TINY),
            "recall": true / (true + missed + TINY),
            "F1": _f1(true, false, missed),
            "positive_macro_F1": self._local / max(self._answered, 1),
            "positive_micro_F1": positive_f1,
            "positive_micro_precision": true / (true + self._positive_false + TINY),
        }

    def _image_level(self) -> dict[str, float]:
        true, missed = self._images[True, True], self._images[True, False]
        false, rejected = self._images[False, True], self._images[False, False]
        precision, recall = true / (true + false + TINIER), true / (true + missed + TINIER)
        product = float(true + false) * float(true + missed) * float(rejected + false) * float(rejected + missed)
        return {
            "IL_precision": precision,
            "IL_recall": recall,
            "IL_F1": 2 * precision * recall / (precision + recall + TINIER),
            "IL_FPR": false / (false + rejected + TINIER),
            "IL_MCC": (true * rejected - false * missed) / (product**0.5 + TINIER),
        }


def _f1(true: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
    precision, recall = true / (true + false + TINY), true / (true + missed + TINY)
    return np.asarray(2 * precision * recall / (precision + recall + TINY))
