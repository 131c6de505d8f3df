"""``verify``: does this bundle, on this device and runtime, still say what the float model said?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam3i_edge.compare import TOLERANCES, Difference, Tolerance, measure
from sam3i_edge.errors import BundleError, unknown_name
from sam3i_edge.golden import Golden, sample
from sam3i_edge.graphs import FEATURES
from sam3i_edge.image import preprocess
from sam3i_edge.segmenter import Features, Segmenter


@dataclass(frozen=True)
class Check:
    """One output of one stage against the golden one."""

    name: str
    difference: Difference
    passed: bool


def verify(segmenter: Segmenter, golden: Golden) -> list[Check]:
    """Replay the golden cases stage by stage, each stage on the outputs of the one before.

    All prompts run together, though the float model answered them singly.

    Returns:
        A check per output, in the order of the stages: the first that failed is where to look.

    Raises:
        BundleError: the golden cases do not fit the bundle, or a graph fails to run.
    """
    precision = segmenter.manifest.precision
    known = [name for name in segmenter.manifest.target.precisions if name in TOLERANCES]
    if precision not in known:
        raise BundleError(unknown_name("precision", precision, known))
    height, width = golden.image.shape[:2]
    frame = segmenter.encode(golden.image)
    texts, _ = segmenter.encode_texts([(prompt.text, segmenter.route_of(prompt)) for prompt in golden.prompts])
    found = align(
        segmenter.ground(frame.features, golden.prompts, width, height), golden.expected["grounding/query_index"]
    )
    pixels = preprocess(golden.image, segmenter.manifest.model.image_size)
    return [
        _check(golden, "preprocess/image", pixels, TOLERANCES["pixels"]),
        *(_check(golden, f"vision/{name}", frame.features[name], TOLERANCES[precision]) for name in FEATURES),
        _check(golden, "text/text", texts, TOLERANCES[precision]),
        *(_check(golden, f"grounding/{name}", values, TOLERANCES[precision]) for name, values in found.items()),
    ]


def _check(golden: Golden, name: str, actual: np.ndarray, tolerance: Tolerance) -> Check:
    expected = golden.expected[name]
    difference = measure(sample(actual), expected)
    return Check(name, difference, tolerance.allows(difference, float(np.abs(expected).max())))


def align(outputs: Features, query_index: np.ndarray) -> Features:
    """Grounding outputs with the instances in the order of the expected ``query_index`` (N x K, flat or not).

    Two queries that score alike may come in either order on another device; that is no error. A query that is missing
    altogether keeps a place of zeros, which no tolerance allows.
    """
    found = outputs["query_index"]
    if query_index.size != found.size:
        raise BundleError(f"The golden cases name {query_index.size} instances, the bundle finds {found.size}.")
    expected = query_index.reshape(found.shape)
    matches = expected[:, :, None] == found[:, None, :]
    place, known = matches.argmax(-1), matches.any(-1)
    aligned = {"presence": outputs["presence"]}
    for name in ("logits", "boxes", "masks"):
        values = outputs[name]
        rest = (1,) * (values.ndim - 2)
        picked = np.take_along_axis(values, place.reshape(*place.shape, *rest), axis=1)
        aligned[name] = picked * known.reshape(*known.shape, *rest)
    return aligned
