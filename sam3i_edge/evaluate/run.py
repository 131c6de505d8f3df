"""``evaluate``: ask a segmenter all texts of a dataset, and score what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sam3i_edge.data.samples import Query, Sample, read_sample
from sam3i_edge.errors import PromptError, unknown_name
from sam3i_edge.evaluate.average_precision import AveragePrecision
from sam3i_edge.evaluate.cgf1 import CgF1, match
from sam3i_edge.evaluate.masks import Rle, overlap, pairwise_iou
from sam3i_edge.evaluate.scores import RouteScores, Scores
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import AUTO, ROUTES, Prompt
from sam3i_edge.segmenter import Frame, Segmenter

AP_FLOOR = 0.05
"""AP looks at all instances above this score, or the threshold if that is lower; the other scores at those above it."""

HIT = 0.5
DUPLICATE = 0.7
"""Two found masks with a greater IoU are the same thing, found twice."""

Ask = Callable[[np.ndarray, Frame, Sequence[Query], float], list[Instances]]
"""Segments one image, (H, W, 3) uint8 RGB, which is encoded in the frame, by texts: instances above a threshold."""

Progress = Callable[[int, int], None]
"""Called with the number of images that are done and of all."""


def own_route(image: np.ndarray, frame: Frame, queries: Sequence[Query], threshold: float | None) -> list[Instances]:
    """Ask every text on the route of its level; a threshold of None is the segmenter's own."""
    return frame.segment([Prompt(query.text, query.route) for query in queries], threshold=threshold)


def evaluate(
    segmenter: Segmenter,
    samples: Sequence[Sample],
    routes: Sequence[str] = ROUTES,
    progress: Progress | None = None,
    ask: Ask = own_route,
) -> Scores:
    """Score ``segmenter`` on all texts of the given levels. Images are read one at a time; no masks are kept.

    Args:
        segmenter: of a bundle, or of a torch model (``evaluate.torch_engine.segmenter_of``). Its thresholds decide what
            counts as found.
        samples: from ``load_samples``.
        routes: the levels whose texts to ask; "auto" adds all texts once more, each on the route chosen for it.
        progress: called after every image.
        ask: how the texts of a level are answered.

    Raises:
        PromptError: a route is unknown, or there is none.
        ImageError: an image cannot be read.
        DataError: an image has another size than its annotations say.
    """
    for route in routes:
        if route not in (*ROUTES, AUTO):
            raise PromptError(unknown_name("route", route, (*ROUTES, AUTO)))
    if not routes:
        raise PromptError(f"No route to evaluate. Name one or more of: {', '.join((*ROUTES, AUTO))}.")
    sums = {route: _Sum() for route in dict.fromkeys(routes)}
    cgf1 = CgF1() if "concept" in sums else None
    for done, sample in enumerate(samples, 1):
        _evaluate_sample(segmenter, sample, sums, cgf1, ask)
        if progress:
            progress(done, len(samples))
    return Scores(
        routes={route: total.result() for route, total in sums.items()},
        cgf1={name: 100 * value for name, value in cgf1.result().items()} if cgf1 and cgf1.defined else None,
        auto_route_accuracy=auto_route_accuracy(segmenter, samples),
        images=len(samples),
    )


def _evaluate_sample(segmenter: Segmenter, sample: Sample, sums: dict[str, _Sum], cgf1: CgF1 | None, ask: Ask) -> None:
    own = [query for query in sample.queries if query.route in sums]
    any_level = sample.queries if AUTO in sums else ()
    if not own and not any_level:
        return
    image = read_sample(sample)
    frame = segmenter.encode(image)
    thresholds = segmenter.postprocessing.thresholds
    least = min(AP_FLOOR, *thresholds.values())
    asked = [(query, query.route) for query in own] + [(query, AUTO) for query in any_level]
    answers = ask(image, frame, own, least) if own else []
    answers += frame.segment([Prompt(query.text, AUTO) for query in any_level], threshold=least)
    for (query, route), found in zip(asked, answers, strict=True):
        masks = found.rle()
        targets = [sample.instances[index].rle for index in query.targets]
        count = int((found.scores > thresholds[found.route]).sum())  # they are sorted
        sums[route].add(masks, found.scores.tolist(), targets, count)
        if route == "concept" and cgf1 is not None:
            cgf1.add(masks[:count], targets)


def auto_route_accuracy(segmenter: Segmenter, samples: Sequence[Sample]) -> float | None:
    """Percent of all texts, each text and level counted once, for which ``route="auto"`` picks their level."""
    texts = {(query.text, query.route) for sample in samples for query in sample.queries}
    right = sum(segmenter.route_of(Prompt(text)) == route for text, route in texts)
    return 100 * right / len(texts) if texts else None


class _Sum:
    """The running sums of one level."""

    def __init__(self) -> None:
        self._ious: list[float] = []
        self._intersections = self._unions = 0
        self._without_target = self._false_positives = self._duplicates = self._right_counts = 0
        self._hits = self._instances = 0
        self._ap = AveragePrecision()

    def add(self, masks: list[Rle], scores: list[float], targets: list[Rle], count: int) -> None:
        """Count one text; the first ``count`` masks score above the threshold."""
        self._ap.add(masks, scores, targets)
        found = masks[:count]
        self._duplicates += bool((np.triu(pairwise_iou(found, found), 1) > DUPLICATE).any())
        self._instances += len(found) + len(targets)
        if not targets:
            self._without_target += 1
            self._false_positives += count > 0
            return
        self._right_counts += len(found) == len(targets)
        if found:
            self._hits += int(match(pairwise_iou(found, targets)).true[0])  # at HIT
        intersection, union = overlap(found, targets)
        self._ious.append(intersection / union)
        self._intersections += intersection
        self._unions += union

    def result(self) -> RouteScores:
        ious = np.array(self._ious)
        ap = self._ap.result().mean
        texts = len(ious) + self._without_target
        return RouteScores(
            giou=100 * float(ious.mean()) if len(ious) else None,
            ciou=100 * self._intersections / self._unions if len(ious) else None,
            p50=100 * float((ious >= HIT).mean()) if len(ious) else None,
            ap=None if ap is None else 100 * ap,
            instance_f1=100 * 2 * self._hits / self._instances if self._instances else None,
            count_accuracy=100 * self._right_counts / len(ious) if len(ious) else None,
            duplicate_rate=100 * self._duplicates / texts if texts else None,
            false_positive_rate=100 * self._false_positives / self._without_target if self._without_target else None,
            count=texts,
            no_target_count=self._without_target,
        )
