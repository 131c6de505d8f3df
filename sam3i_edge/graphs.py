"""The three graphs of a bundle: what goes in, what comes out. Export writes by it, loading checks by it.

vision: an image to its features, once per frame. text: tokens to text memory, once per text. grounding: features, text
and boxes to the best instances, once per prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sam3i_edge.errors import ConfigError, unknown_name

GRAPHS = ("vision", "text", "grounding")

FEATURES = ("fine", "middle", "coarse")
"""The vision graph's outputs, which the grounding graph takes: the feature pyramid."""

FREE = "prompts"
"""Name of the one free dimension: how many prompts share a call."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of a graph's input or output; a str in the shape is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphSpec:
    """One graph file with its typed inputs and outputs."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


MAX_LIMIT = 1 << 12
MAX_SIZE = 1 << 16
"""No model comes near these; a mistyped size must not end in an exhausted memory."""


@dataclass(frozen=True)
class Limits:
    """What one call of the grounding graph takes and gives."""

    max_prompts: int
    max_boxes: int
    max_instances: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value <= MAX_LIMIT:
                raise ConfigError(f"limits.{name} is {value}; it must be between 1 and {MAX_LIMIT}.")


@dataclass(frozen=True)
class ModelSizes:
    """What a device must know of a model's sizes."""

    image_size: int
    """Side of the vision graph's image, in pixels."""
    grid_size: int
    """Side of the coarsest feature map."""
    hidden_size: int
    context_length: int
    """Tokens of a text."""
    num_queries: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value <= MAX_SIZE:
                raise ConfigError(f"model.{name} is {value}; it must be between 1 and {MAX_SIZE}.")


@dataclass(frozen=True)
class PrebuiltEngine:
    """An engine of a graph that was built ahead of time, without the GPU that it is for."""

    graph: str
    """``vision``, ``text`` or ``grounding``."""
    file: str
    """In the bundle's folder; with that folder's path when a session gets it."""
    compute_capabilities: tuple[str, ...]
    """Of the GPUs that it is for, such as ``8.6``."""
    built_by: str
    """Product and version, such as ``TensorRT-RTX 1.7.1.116``; no other version takes it."""

    def __post_init__(self) -> None:
        if self.graph not in GRAPHS:
            raise ConfigError(unknown_name("graph", self.graph, GRAPHS))
        if not self.compute_capabilities:
            raise ConfigError("compute_capabilities is empty; give some, such as 8.9.")
        for capability in self.compute_capabilities:
            check_capability(capability)


def check_capability(capability: str) -> None:
    """Raises ConfigError unless it has the form of a compute capability, such as ``8.9``."""
    if not re.fullmatch(r"[0-9]{1,2}\.[0-9]", capability):
        raise ConfigError(f"The compute capability {capability!r} is not of the form 8.9.")


def graph_specs(model: ModelSizes, limits: Limits) -> dict[str, GraphSpec]:
    """The graphs of a model with these sizes and limits, by name."""
    side, size, length, best = model.grid_size, model.hidden_size, model.context_length, limits.max_instances
    pyramid = tuple(
        TensorSpec(name, "float32", (1, size, scale * side, scale * side))
        for name, scale in zip(FEATURES, (4, 2, 1), strict=True)
    )
    image = TensorSpec("image", "uint8", (1, model.image_size, model.image_size, 3))
    tokens = TensorSpec("tokens", "int32", (FREE, length))
    gates = TensorSpec("gates", "float32", (FREE, 3))
    text = TensorSpec("text", "float32", (FREE, length, size))
    prompt = (
        text,
        TensorSpec("text_padding", "bool", (FREE, length)),
        gates,
        TensorSpec("box_prompts", "float32", (FREE, limits.max_boxes, 4)),
        TensorSpec("box_labels", "int32", (FREE, limits.max_boxes)),
    )
    instances = (
        TensorSpec("logits", "float32", (FREE, best)),
        TensorSpec("presence", "float32", (FREE, 1)),
        TensorSpec("boxes", "float32", (FREE, best, 4)),
        TensorSpec("masks", "float32", (FREE, best, 4 * side, 4 * side)),
        TensorSpec("query_index", "int32", (FREE, best)),
    )
    return {
        "vision": GraphSpec("graphs/vision.onnx", (image,), pyramid),
        "text": GraphSpec("graphs/text.onnx", (tokens, gates), (text,)),
        "grounding": GraphSpec("graphs/grounding.onnx", (*pyramid, *prompt), instances),
    }
