"""The three graphs of a bundle: what goes in, what comes out. Export writes by it, loading checks by it.

vision: an image to its features, once per frame. text: tokens to text memory, once per text. grounding: features, text
and boxes to the best instances, once per prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import ConfigError

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


def default_limits(config: ModelConfig, max_prompts: int = 16, attention_mb: int = 1024) -> Limits:
    """How much one grounding call takes.

    A call holds the encoder's self-attention of every prompt at once, heads x g⁴ floats; ``max_prompts`` is lowered to
    what keeps that below ``attention_mb`` MiB. With 1024 that is 1 prompt at full size: there, on a CPU, two prompts in
    one call took as long as in two calls. More prompts than that run in several calls.
    """
    attention_bytes = 4 * config.num_heads * config.grid_size**4
    return Limits(
        max_prompts=max(1, min(max_prompts, (attention_mb << 20) // attention_bytes)),
        max_boxes=16,
        max_instances=min(32, config.num_queries),
    )


def graph_specs(config: ModelConfig, limits: Limits) -> dict[str, GraphSpec]:
    """The graphs of a model with these sizes and limits, by name."""
    side, size, length, best = config.grid_size, config.hidden_size, config.text.context_length, limits.max_instances
    pyramid = tuple(
        TensorSpec(name, "float32", (1, size, scale * side, scale * side))
        for name, scale in zip(FEATURES, (4, 2, 1), strict=True)
    )
    image = TensorSpec("image", "uint8", (1, config.image_size, config.image_size, 3))
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
