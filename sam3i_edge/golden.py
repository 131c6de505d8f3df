"""Golden cases: an image, prompts on all routes with and without boxes, and what the float model says of them.

They travel in the bundle, so that any device can check itself without a workstation, a data set or torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from sam3i_edge import schema
from sam3i_edge.calls import counting
from sam3i_edge.errors import BundleError
from sam3i_edge.files import write_json
from sam3i_edge.graphs import FEATURES, Limits
from sam3i_edge.image import check_image
from sam3i_edge.manifest import GOLDEN_PROMPTS_FILE, GOLDEN_TENSORS_FILE, read_manifest
from sam3i_edge.prompt import Prompt, pack_boxes

MOST_BYTES = 1 << 20
"""Of the prompts, and of the header of the tensors."""

GROUNDING = ("presence", "logits", "boxes", "masks")
"""The grounding graph's outputs that are compared."""

EXPECTED = (
    "preprocess/image",
    *(f"vision/{name}" for name in FEATURES),
    "text/text",
    *(f"grounding/{name}" for name in (*GROUNDING, "query_index")),
)


def checked_outputs(limits: Limits) -> tuple[str, ...]:
    """All that ``verify`` compares, by name: prompts run alone, and in calls as full as the limits allow."""
    full = [f"{full_stage(limits)}/{name}" for name in GROUNDING] if limits.max_prompts > 1 else []
    return (*EXPECTED[:-1], *full)


def full_stage(limits: Limits) -> str:
    """The name of the grounding stage in calls of all the prompts that it takes."""
    return f"grounding of {limits.max_prompts}"


@dataclass(frozen=True)
class _PromptsFile:
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class Golden:
    """Golden cases. Of the masks ``inside`` has every pixel: a sample must not decide how alike two masks are."""

    image: np.ndarray
    prompts: tuple[Prompt, ...]
    expected: Mapping[str, np.ndarray]
    """By ``stage/output``, flat: every n-th value of the tensor,"""
    steps: Mapping[str, int]
    """by these."""
    inside: np.ndarray
    """As ``pixels_inside`` gives it, of the masks (N, K, h, w)."""


def pixels_inside(masks: np.ndarray) -> np.ndarray:
    """Which pixels of each mask's logits (..., h, w) lie inside, 8 to a byte: (masks, ceil(h * w / 8)) uint8."""
    return np.packbits(masks.reshape(-1, masks.shape[-2] * masks.shape[-1]) > 0, axis=1)


def write_golden(path: Path, golden: Golden) -> None:
    """Write the golden files of the bundle folder ``path``."""
    (path / GOLDEN_PROMPTS_FILE).parent.mkdir(exist_ok=True)
    write_json(path / GOLDEN_PROMPTS_FILE, schema.plain(_PromptsFile(golden.prompts)))
    expected = {f"expected/{name}": np.asarray(values, np.float32) for name, values in golden.expected.items()}
    tensors = {"image": golden.image, "inside": golden.inside, **expected}
    content = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
    (path / GOLDEN_TENSORS_FILE).write_bytes(content)


def _check_sizes(prompts: int, tensors: bytes) -> None:
    """Raises ValueError where there is more to parse than any bundle has."""
    header = int.from_bytes(tensors[:8], "little")
    for what, size in (("the prompts have", prompts), ("the header has", header)):
        if size > MOST_BYTES:
            raise ValueError(f"{what} {size} bytes, more than {MOST_BYTES}")


@counting(holds=False)  # safetensors, in Rust, calls Python
def read_golden(path: Path) -> Golden:
    """Read the golden cases of the bundle folder ``path``. Raises BundleError."""
    runtime = read_manifest(path).runtime
    section = runtime.golden
    try:
        stored = (path / section.tensors).read_bytes()  # no map of it: another process may cut it short
        _check_sizes((path / section.prompts).stat().st_size, stored)
        content = schema.parse(_PromptsFile, json.loads((path / section.prompts).read_text(encoding="utf-8")))
        tensors = load(stored)
        expected = {name: tensors[f"expected/{name}"].reshape(-1) for name in EXPECTED}
        if any(values.dtype != np.float32 for values in expected.values()):
            raise ValueError("the expected values are not all float32")
        image, inside = check_image(tensors["image"]), tensors["inside"]
        if not content.prompts:
            raise ValueError("there are no prompts")
        pack_boxes(content.prompts, image.shape[1], image.shape[0], runtime.limits.max_boxes)
        answers, prompts = expected["grounding/query_index"].size, len(content.prompts)
        sizes = [expected[f"grounding/{name}"].size for name in ("logits", "presence")]
        if answers == 0 or answers % prompts or sizes != [answers, prompts]:
            raise ValueError("there are not as many answers as prompts")
        if inside.dtype != np.uint8 or inside.ndim != 2:
            raise ValueError("the masks are none")
        steps = {name: section.steps[name] for name in EXPECTED}
        return Golden(image, content.prompts, expected, steps, inside)
    except Exception as error:  # what safetensors raises shares no base: AttributeError for a type that NumPy lacks
        raise BundleError(f"The golden cases of {path} cannot be read: {error}. Export the bundle again.") from error
