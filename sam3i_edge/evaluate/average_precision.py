"""COCO average precision, by pycocotools, without the whole set's masks in memory."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sam3i_edge.evaluate.masks import Rle

CATEGORY = 1
MAX_FOUND = 100
FLUSH_AT = 256


class Precision(NamedTuple):
    """AP over the IoU thresholds 0.5 to 0.95, and at 0.5, in 0..1; None if there is no target at all."""

    mean: float | None
    at_half: float | None


class AveragePrecision:
    """Sums up questions. To COCO each is an image of its own, with one category.

    >>> ap = AveragePrecision()
    >>> ap.add(found, scores, targets)
    >>> ap.result().mean
    """

    def __init__(self) -> None:
        self._images = 0
        self._targets: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []
        self._first = 0
        self._matched: list[Any] = []

    def add(self, found: Sequence[Rle], scores: Sequence[float], targets: Sequence[Rle]) -> None:
        """Count one question: what was found with which scores, and what was meant."""
        self._images += 1
        image = {"image_id": self._images, "category_id": CATEGORY}
        self._targets += [image | {"segmentation": rle} for rle in targets]
        self._found += [
            image | {"segmentation": rle, "score": float(score)} for rle, score in zip(found, scores, strict=True)
        ]
        if self._images - self._first >= FLUSH_AT:
            self._flush()

    def result(self) -> Precision:
        """AP over all questions so far. Where nothing was meant, all that was found is wrong."""
        self._flush()
        everything = _evaluator(list(range(1, self._images + 1)), [], [])
        everything.evalImgs = self._matched
        everything._paramsEval = copy.deepcopy(everything.params)
        return summarize(everything)

    def _flush(self) -> None:
        """Reduce the questions held to their matches, which are small."""
        evaluator = _evaluator(list(range(self._first + 1, self._images + 1)), self._targets, self._found)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator.evaluate()
        self._matched += evaluator.evalImgs
        self._targets, self._found, self._first = [], [], self._images


def summarize(evaluator: Any) -> Precision:
    """Accumulate a COCOeval over one area range and one number of detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, 0]  # (10 thresholds, 101 recalls); -1: no target
    if not precision.size or (precision < 0).all():
        return Precision(None, None)
    return Precision(float(precision.mean()), float(precision[0].mean()))


def _evaluator(images: list[int], targets: list[dict[str, Any]], found: list[dict[str, Any]]) -> Any:
    evaluator = COCOeval(_table(images, targets), _table(images, found), "segm")
    params = evaluator.params
    params.imgIds, params.catIds = images, [CATEGORY]
    params.areaRng, params.areaRngLbl, params.maxDets = [[0, 1e10]], ["all"], [MAX_FOUND]
    return evaluator


def _table(images: list[int], annotations: list[dict[str, Any]]) -> Any:
    """A COCO object, put together by hand: its own ``loadRes`` would compute boxes that nobody asks for."""
    table = COCO()
    for index, values in enumerate(annotations):
        values |= {"id": index + 1, "iscrowd": 0, "area": 1}
    table.dataset = {
        "images": [{"id": image, "height": 0, "width": 0} for image in images],  # run lengths know their size
        "annotations": annotations,
        "categories": [{"id": CATEGORY}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        table.createIndex()
    return table
