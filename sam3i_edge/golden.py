"""Golden cases: an image, prompts on all routes with and without boxes, and what the float model says of them.

They travel in the bundle, so that any device can check itself without a workstation, a data set or torch.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam3i_edge import schema
from sam3i_edge.bundle import GOLDEN_PROMPTS_FILE, GOLDEN_TENSORS_FILE
from sam3i_edge.errors import BundleError, Sam3iEdgeError
from sam3i_edge.files import write_json
from sam3i_edge.graphs import FEATURES
from sam3i_edge.image import check_image
from sam3i_edge.prompt import Prompt

MAX_VALUES = 1 << 14
"""Of a larger tensor the golden file keeps every n-th value: the features of a full-size model have 28 million, and
all of the smallest model's values would weigh as much as its INT8 graphs."""


EXPECTED = (
    "preprocess/image",
    *(f"vision/{name}" for name in FEATURES),
    "text/text",
    *(f"grounding/{name}" for name in ("presence", "logits", "boxes", "masks", "query_index")),
)


@dataclass(frozen=True)
class _PromptsFile:
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class Golden:
    """Golden cases. ``expected`` is keyed ``stage/output``; ``sample`` says which values of a tensor it holds.

    Of the masks, ``inside`` has every pixel: which of them a sample holds must not decide how alike two masks are.
    """

    image: np.ndarray
    prompts: tuple[Prompt, ...]
    expected: Mapping[str, np.ndarray]
    inside: np.ndarray
    """As ``pixels_inside`` gives it, of the masks (N, K, h, w)."""


def pixels_inside(masks: np.ndarray) -> np.ndarray:
    """Which pixels of each mask's logits (..., h, w) lie inside, 8 to a byte: (masks, ceil(h * w / 8)) uint8."""
    return np.packbits(masks.reshape(-1, masks.shape[-2] * masks.shape[-1]) > 0, axis=1)


def sample(values: np.ndarray) -> np.ndarray:
    """``values`` flat; every n-th only, if there are more than ``MAX_VALUES``."""
    flat: np.ndarray = values.reshape(-1)[sampled_positions(values.size)]
    return flat


def sampled_positions(size: int) -> np.ndarray:
    """Which of ``size`` values ``sample`` keeps."""
    step = max(1, -(-size // MAX_VALUES))
    while math.gcd(step, size) != 1:  # or columns of maps, or colours of pixels, would be left out
        step += 1
    return np.arange(0, size, step)


def write_golden(path: Path, golden: Golden) -> None:
    """Write the golden files of the bundle folder ``path``."""
    (path / GOLDEN_PROMPTS_FILE).parent.mkdir(exist_ok=True)
    write_json(path / GOLDEN_PROMPTS_FILE, schema.plain(_PromptsFile(golden.prompts)))
    tensors = {f"expected/{name}": sample(values) for name, values in golden.expected.items()}
    with (path / GOLDEN_TENSORS_FILE).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, image=golden.image, inside=golden.inside, **tensors)


def read_golden(path: Path) -> Golden:
    """Read the golden files of the bundle folder ``path``. Raises BundleError."""
    try:
        content = schema.parse(_PromptsFile, json.loads((path / GOLDEN_PROMPTS_FILE).read_text(encoding="utf-8")))
        with np.load(path / GOLDEN_TENSORS_FILE, allow_pickle=False) as tensors:
            expected = {name: tensors[f"expected/{name}"].astype(np.float32) for name in EXPECTED}
            image, inside = check_image(tensors["image"]), tensors["inside"]
        if not content.prompts:
            raise ValueError("there are no prompts")
        answers, prompts = expected["grounding/query_index"].size, len(content.prompts)
        sizes = [expected[f"grounding/{name}"].size for name in ("logits", "presence")]
        if answers == 0 or answers % prompts or sizes != [answers, prompts]:
            raise ValueError("there are not as many answers as prompts")
        if inside.dtype != np.uint8 or inside.ndim != 2:
            raise ValueError("the masks are none")
        return Golden(image, content.prompts, expected, inside)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        zipfile.BadZipFile,
        Sam3iEdgeError,
    ) as error:
        raise BundleError(f"The golden cases of {path} cannot be read: {error}. Export the bundle anew.") from error
