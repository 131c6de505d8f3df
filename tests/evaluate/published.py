"""The authors' two scores for prediction files of their layout: ``1to1`` and ``multi_inst``.

A prediction is ``{"annotation_id", "image_id", "predictions": [{"rle", "score"}]}``: all instances found for one text
of one annotation. They differ from ours: what was found is scored as one mask, and an empty answer to nothing as 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from sam3i_edge.evaluate.average_precision import AveragePrecision
from sam3i_edge.evaluate.masks import Rle, overlap

HIT = 0.5


def one_to_one(truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Scores in percent, per annotation: the union of what was found for it against its mask.

    AP takes each union as one detection, with the best of its scores.

    Args:
        truth: an annotation file of the HMPL-Instruct layout, parsed.
        predictions: see the module.
    """
    annotations = {values["id"]: values for values in truth["annotations"]}
    by_image: dict[int, list[tuple[Rle, float]]] = {item["image_id"]: [] for item in predictions}
    ious, intersections, unions = [], 0, 0
    for item in predictions:
        if item["annotation_id"] not in annotations:
            continue
        found = [part["rle"] for part in item["predictions"]]
        intersection, union = overlap(found, [annotations[item["annotation_id"]]["segmentation"]])
        ious.append(intersection / union if union else 0.0)
        intersections, unions = intersections + intersection, unions + union
        if found:
            score = max(part.get("score", 1.0) for part in item["predictions"])
            by_image[item["image_id"]].append((coco.merge(found), score))
    ap = _average_precision(truth, by_image)
    return {
        "gIoU": 100 * float(np.mean(ious)),
        "mIoU": 100 * intersections / max(unions, 1),
        "Precision @ 0.50": 100 * float(np.mean(np.array(ious) >= HIT)),
        "AP (COCO 0.5:0.95)": 100 * (ap.mean or 0.0),
        "AP @ 0.50": 100 * (ap.at_half or 0.0),
    }


def multi_inst(truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Scores in percent, per image: each prediction's union against the union of all annotations, averaged.

    An image that no prediction speaks of counts as 0. Arguments as of ``one_to_one``.
    """
    targets: dict[int, list[Rle]] = defaultdict(list)
    for values in truth["annotations"]:
        targets[values["image_id"]].append(values["segmentation"])
    found: dict[int, list[list[Rle]]] = defaultdict(list)
    for item in predictions:
        found[item["image_id"]].append([part["rle"] for part in item["predictions"]])
    ious, hits = [], []
    for image in truth["images"]:
        each = [_iou(masks, targets[image["id"]]) for masks in found[image["id"]]] or [0.0]
        ious.append(np.mean(each))
        hits.append(np.mean(np.array(each) >= HIT))
    return {"gIoU": 100 * float(np.mean(ious)), "Precision @ 0.50": 100 * float(np.mean(hits))}


def _iou(found: Sequence[Rle], targets: Sequence[Rle]) -> float:
    if len({tuple(rle["size"]) for rle in (*found, *targets)}) > 1:
        return 0.0  # a prediction of another size than the image
    intersection, union = overlap(found, targets)
    return intersection / union if union else 0.0


def _average_precision(truth: Mapping[str, Any], found: Mapping[int, list[tuple[Rle, float]]]) -> Any:
    targets: dict[int, list[Rle]] = defaultdict(list)
    for values in truth["annotations"]:
        targets[values["image_id"]].append(values["segmentation"])
    ap = AveragePrecision()
    for image in sorted(found):
        ap.add([rle for rle, _ in found[image]], [score for _, score in found[image]], targets[image])
    return ap.result()
