"""How far a bundle's outputs may be off on a device: the rules, resolved at export into the manifest's numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from sam3i_edge.precision import PRECISIONS, is_int8
from sam3i_edge.tolerances import MAX_SQNR_DB, Difference, InstanceTolerance, Tolerance, Tolerances

INT8 = tuple(precision for precision in PRECISIONS if is_int8(precision))

PIXELS = Tolerance(max_abs=0.0, min_sqnr_db=MAX_SQNR_DB)
"""For the resized image: integer arithmetic is equal everywhere."""

TOLERANCES = {
    "fp32": Tolerance(max_abs=1e-3, min_sqnr_db=60.0),
    "fp16": Tolerance(max_abs=0.05, min_sqnr_db=40.0),
    "bf16": Tolerance(max_abs=0.25, min_sqnr_db=25.0),
    **dict.fromkeys(INT8, Tolerance(max_abs=1.0, min_sqnr_db=10.0)),
}
"""Per precision for every output of every graph."""

LOSS_DB = {"fp32": 25.0, **dict.fromkeys(INT8, 6.0)}
"""How much of the SQNR reached at export a device may lose. In fp32 it only sums in another order than the one that
checked the bundle; a weight that is 1 % off loses more (of 44 in the small model all, but for one of no effect). With
integers the error is the recipe's, and the same everywhere but for roundings."""

SINGLE = "/presence"
"""One logit for each prompt. A few values near 0 have no signal to hold the noise against: below fp32 the worst value
and the scores, which it is a factor of, decide alone. (0.007 off in bf16 was 24 dB in a model that is unsure.)"""

_FLOAT = InstanceTolerance(0.99, 2e-3, min_score=0.0, best=5, min_pixels=100)
"""Five instances of each prompt are compared; of smaller masks one pixel of their edge would decide in fp32."""
_INT8 = dataclasses.replace(_FLOAT, min_mask_iou=0.75, max_score_change=0.2, min_score=0.3)
"""Only instances that a threshold might return have their masks compared: the others' are vague, and what the recipe
costs on real images is measured at export."""

INSTANCES = {
    "fp32": _FLOAT,
    "fp16": dataclasses.replace(_FLOAT, min_mask_iou=0.95, max_score_change=0.02),
    "bf16": dataclasses.replace(_FLOAT, min_mask_iou=0.85, max_score_change=0.1),
    **dict.fromkeys(INT8, _INT8),
}
"""Per precision, for masks and scores."""


def resolve(precision: str, outputs: Iterable[str], accuracy: Mapping[str, Difference]) -> dict[str, Tolerances]:
    """What a bundle is allowed in its own precision, and in the one it has in another runtime than its target's.

    Args:
        precision: the bundle's.
        outputs: see ``golden.checked_outputs``.
        accuracy: what the outputs reached at export; empty before that is known.
    """
    elsewhere = "int8" if is_int8(precision) else "fp32"
    return {
        one: Tolerances({name: _output(one, name, accuracy) for name in outputs}, INSTANCES[one])
        for one in dict.fromkeys((precision, elsewhere))
    }


def _output(precision: str, name: str, accuracy: Mapping[str, Difference]) -> Tolerance:
    if name.startswith("preprocess/"):
        return PIXELS
    general = TOLERANCES[precision]
    if precision != "fp32" and name.endswith(SINGLE):
        return dataclasses.replace(general, min_sqnr_db=-MAX_SQNR_DB)
    if precision not in LOSS_DB or name not in accuracy:
        return general
    reached = accuracy[name].sqnr_db - LOSS_DB[precision]
    return dataclasses.replace(general, min_sqnr_db=max(general.min_sqnr_db, reached))
