"""The sizes of a SAM3-I model: what a state dict alone cannot tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.files import write_json
from sam3i_edge.graphs import MAX_SIZE, Limits, ModelSizes
from sam3i_edge.text_files import read_json

CONFIG_FILE = "config.json"
"""The sizes of the checkpoints that lie beside it."""

MAX_LAYERS = 1000
MAX_WINDOW = 1 << 10
"""No model comes near these; a mistyped size must not end in an exhausted memory."""


@dataclass(frozen=True)
class VisionConfig:
    """The ViT trunk. Layers not listed in ``global_attention_layers`` attend within windows.

    With a ``backbone`` there is no trunk: its sizes are checked, and nothing is built of them.
    """

    hidden_size: int = 1024
    num_layers: int = 32
    num_heads: int = 16
    mlp_ratio: float = 4.625
    window_size: int = 24
    global_attention_layers: tuple[int, ...] = (7, 15, 23, 31)
    backbone: str = ""
    """Name of a timm model with levels of strides 4, 8, 16 and 32; students have it. "": the ViT."""

    def __post_init__(self) -> None:
        _positive(self, "vision.", "hidden_size", "num_layers", "num_heads", "mlp_ratio", "window_size")
        _divisible("vision.hidden_size", self.hidden_size, "4 x vision.num_heads", 4 * self.num_heads)
        if self.window_size > MAX_WINDOW:
            raise ConfigError(f"vision.window_size is {self.window_size}; it must be at most {MAX_WINDOW}.")
        outside = [i for i in self.global_attention_layers if not 0 <= i < self.num_layers]
        if outside or not self.global_attention_layers:
            raise ConfigError(
                f"vision.global_attention_layers is {list(self.global_attention_layers)}; it must name at least one "
                f"layer, each between 0 and {self.num_layers - 1} (vision.num_layers - 1)."
            )


@dataclass(frozen=True)
class TextConfig:
    """The CLIP text transformer."""

    hidden_size: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    context_length: int = 32
    vocab_size: int = 49408
    embedding_size: int = 0
    """Width of a token's row, projected to ``hidden_size``; 0: that itself, as published. Students have it smaller."""

    def __post_init__(self) -> None:
        if self.embedding_size:
            _positive(self, "text.", "embedding_size")
        _positive(self, "text.", "hidden_size", "num_layers", "num_heads", "context_length", "vocab_size")
        _divisible("text.hidden_size", self.hidden_size, "text.num_heads", self.num_heads)


@dataclass(frozen=True)
class AdapterConfig:
    """The instruction adapters: bottleneck width, heads of the text adapters' attention, residual scale."""

    bottleneck_size: int = 64
    num_heads: int = 4
    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "adapter.", "bottleneck_size", "num_heads")


@dataclass(frozen=True)
class ModelConfig:
    """All sizes of a SAM3-I detector. The defaults are the published full-size model.

    ``hidden_size``, ``ffn_size`` and ``num_heads`` are those of the detector (geometry encoder, fusion encoder,
    decoder, mask head); the vision trunk and the text transformer have their own.
    """

    image_size: int = 1008
    patch_size: int = 14
    pretrain_image_size: int = 336
    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    hidden_size: int = 256
    ffn_size: int = 2048
    num_heads: int = 8
    geometry_layers: int = 3
    encoder_layers: int = 6
    decoder_layers: int = 6
    num_queries: int = 200
    projection_size: int = 256
    """Width of the projection that the alignment losses use; training stage 3 needs it to equal ``hidden_size``."""
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    separable_convs: bool = False
    """The 3 x 3 convolutions of pyramid and mask head as depthwise and pointwise ones; students have them."""

    def __post_init__(self) -> None:
        sizes = [f.name for f in dataclasses.fields(self) if type(getattr(self, f.name)) is int]
        _positive(self, "", *sizes)
        _divisible("image_size", self.image_size, "patch_size", self.patch_size)
        _divisible("pretrain_image_size", self.pretrain_image_size, "patch_size", self.patch_size)
        _divisible("hidden_size", self.hidden_size, "num_heads", self.num_heads)
        _divisible("hidden_size", self.hidden_size, "the groups of the mask head's GroupNorm", 8)
        _divisible("text.hidden_size", self.text.hidden_size, "adapter.num_heads", self.adapter.num_heads)
        if self.vision.backbone and self.grid_size % 2:
            raise ConfigError(
                f"With vision.backbone, the picture must have an even number of patches on a side, for a level of half "
                f"as many; image_size {self.image_size} has {self.grid_size} of {self.patch_size}."
            )

    @property
    def grid_size(self) -> int:
        """Patches per image side: the side of the stride-``patch_size`` feature map."""
        return self.image_size // self.patch_size

    @property
    def sizes(self) -> ModelSizes:
        """Those that a device must know."""
        return ModelSizes(self.image_size, self.grid_size, self.hidden_size, self.text.context_length, self.num_queries)

    @classmethod
    def preset(cls, name: str) -> ModelConfig:
        """The named configuration: ``full`` (as published), ``tabletop`` (ships trained) or ``small`` (for tests).

        Raises:
            ConfigError: the name is unknown.
        """
        if name not in PRESETS:
            raise ConfigError(unknown_name("preset", name, PRESETS))
        return PRESETS[name]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from nested plain values. Keys left out keep the full-size default; unknown keys are refused.

        Raises:
            ConfigError: a key is unknown, a value has the wrong type, or the sizes do not fit together.
        """
        try:
            return schema.parse(cls, values)
        except schema.SchemaError as error:
            raise ConfigError(f"Model config: {error}") from error

    @classmethod
    def from_json(cls, path: str | Path) -> ModelConfig:
        """Read ``from_dict``'s values from a JSON file. Raises ConfigError naming the file."""
        try:
            values = read_json(path)
        except OSError as error:
            raise ConfigError(f"Cannot read the model config {path}: {error.strerror}.") from error
        except ValueError as error:
            raise ConfigError(f"The model config {path} is not valid JSON: {error}.") from error
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path | None, config: ModelConfig | str | Path | None) -> ModelConfig:
        """The sizes of a checkpoint's model.

        Args:
            checkpoint: the file; None where there is none yet.
            config: the sizes themselves, a preset's name, or a JSON file. None: ``config.json`` beside the
                checkpoint, as training writes it, or else the published full size.

        Raises:
            ConfigError: the JSON file cannot be read.
        """
        if isinstance(config, ModelConfig):
            return config
        if config is not None:
            return PRESETS.get(str(config)) or cls.from_json(config)
        beside = Path(checkpoint).with_name(CONFIG_FILE) if checkpoint else None
        return cls.from_json(beside) if beside and beside.is_file() else cls.preset("full")

    def to_dict(self) -> dict[str, Any]:
        """Plain nested values, ready for JSON; ``from_dict`` reads them back."""
        values: dict[str, Any] = schema.plain(self)
        return values

    def write_beside(self, checkpoint: Path) -> None:
        """Write ``config.json`` where ``of_checkpoint`` looks for the sizes of ``checkpoint``."""
        write_json(checkpoint.with_name(CONFIG_FILE), self.to_dict())


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


def _positive(config: object, prefix: str, *names: str) -> None:
    for name in names:
        value, most = getattr(config, name), MAX_LAYERS if name.endswith("layers") else MAX_SIZE
        if not 0 < value <= most:
            raise ConfigError(f"{prefix}{name} is {value}; it must be greater than 0 and at most {most}.")


def _divisible(name: str, value: int, by_name: str, by: int) -> None:
    if value % by:
        raise ConfigError(f"{name} is {value}; it must be a multiple of {by_name} ({by}).")


PRESETS: dict[str, ModelConfig] = {
    "full": ModelConfig(),
    "small": ModelConfig(
        image_size=224,
        pretrain_image_size=112,
        vision=VisionConfig(hidden_size=64, num_layers=4, num_heads=4, window_size=8, global_attention_layers=(1, 3)),
        text=TextConfig(hidden_size=64, num_layers=3, num_heads=4),
        hidden_size=32,
        ffn_size=64,
        num_heads=4,
        geometry_layers=2,
        encoder_layers=2,
        decoder_layers=3,
        num_queries=20,
        adapter=AdapterConfig(bottleneck_size=16, num_heads=2),
    ),
    "tabletop": ModelConfig(
        image_size=224,
        pretrain_image_size=224,
        vision=VisionConfig(
            hidden_size=192,
            num_layers=6,
            num_heads=6,
            mlp_ratio=4.0,
            window_size=16,
            global_attention_layers=(0, 1, 2, 3, 4, 5),
        ),
        text=TextConfig(hidden_size=96, num_layers=4, num_heads=4),
        hidden_size=96,
        ffn_size=384,
        num_heads=4,
        geometry_layers=1,
        encoder_layers=3,
        decoder_layers=3,
        num_queries=24,
        projection_size=96,
        adapter=AdapterConfig(bottleneck_size=64, num_heads=4),
    ),
}
