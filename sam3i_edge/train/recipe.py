"""How long, how fast and on what a training stage runs: plain values, from a preset or a TOML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.prompt import ROUTES

MOST_SEED = 2**32 - 1
"""NumPy's."""


@dataclass(frozen=True)
class LearningRates:
    """Highest learning rate of each part. The trunk's falls by ``trunk_decay`` for every layer below its last."""

    vision: float = 2.5e-4
    text: float = 5e-5
    detector: float = 8e-4
    backbone: float = 2.5e-4
    """Of a backbone of timm and its neck instead of the trunk. With batch norms and from random weights it stands, and
    with ``muon`` wants, much higher rates than a trunk."""
    trunk_decay: float = 0.9

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ConfigError(f"recipe: rates.{name} is {value}; it must be 0 or more.")


@dataclass(frozen=True)
class TrainRecipe:
    """One stage of training. A step is one update of the weights; the defaults are the published stage 1.

    The learning rate rises over ``warmup_steps``, then falls as 1 / sqrt(step / timescale), and falls to zero over
    the last ``cooldown_steps``.
    """

    epochs: float = 8.0
    steps: int = 0
    """If not 0, this many steps instead of ``epochs`` passes over the images."""
    images: int = 8
    """Images per forward pass, over all processes together."""
    prompts: int = 1
    """Prompts per image."""
    no_target_share: float = 0.0
    """Least share of an image's prompts that mean nothing in it, as far as it has such texts: they teach presence. With
    0 they come as often as the data has them."""
    levels: tuple[str, ...] = ()
    """Levels of the texts that a stage of one route is asked; none: the route's own. Adapters of a few values cannot
    teach a detector what it has never seen: a base trained from little is asked relations and uses, too."""
    accumulate: int = 1
    """Forward passes per step."""
    rates: LearningRates = field(default_factory=LearningRates)
    rate_scale: float = 12.8
    warmup_steps: int = 3
    cooldown_steps: int = 3
    timescale: float = 3.0
    weight_decay: float = 0.1
    muon: bool = False
    """Muon for the matrices between hidden layers, and for the convolutions of a backbone of timm; AdamW for the rest:
    fewer steps, each somewhat longer."""
    clip_norm: float = 0.1
    dropout: float = 0.1
    least_scale: float = 480 / 1008
    """Images are shrunk by a random factor between this and 1, and padded back to the model's size."""
    box_prompts: float = 0.0
    """Share of prompts that come with the box of one of their targets."""
    box_noise: float = 0.1
    """Standard deviation of such a box's corners, in shares of its sides; at most ``BOX_NOISE_PIXELS``."""
    ema: float = 0.0
    """Decay of the moving average of the weights that checkpoints hold in place of the last ones; 0: none."""
    mask_size: int = 0
    """Side of the target masks, in pixels; 0: the model's image size."""
    mask_share: float = 1.0
    """Share of each image's prompts whose masks are learned from; the others teach boxes, scores and presence alone.
    Masks are nearly half of a prompt's work."""
    negative_weight: float = 1.0
    """Weight of an unmatched query in the score loss; published: 1, beside a matched one's 10. A query then scores one
    half as soon as it is the right one in one case of 14, and one thing is found twice. With 10 it must be so in 6."""
    one_to_many_weight: float = 2.0
    """Weight of the losses of the queries' one-to-many copies; published: 2. With 0 there are no copies."""
    precision: str = "bf16"
    """"no", "bf16" or "fp16": the type of ``accelerate``'s mixed precision."""
    save_every: int = 500
    """Steps between checkpoints."""
    validate_every: int = 1000
    """Steps between validations; 0: never."""
    validation_images: int = 200
    workers: int = 2
    """Processes that prepare batches."""
    seed: int = 123

    def __post_init__(self) -> None:
        if self.precision not in ("no", "bf16", "fp16"):
            raise ConfigError(unknown_name("precision", self.precision, ("no", "bf16", "fp16")))
        if self.precision == "fp16" and self.muon:  # accelerate's scaler takes each for the only one
            raise ConfigError("recipe: with muon there are two optimizers, which fp16 does not fit: give bf16 or no.")
        least_one = ("images", "prompts", "accumulate", "save_every", "validation_images")
        for name in (*least_one, "timescale", "rate_scale", "clip_norm", "negative_weight"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"recipe: {name} is {getattr(self, name)}; it must be greater than 0.")
        if not 0 <= self.seed <= MOST_SEED:
            raise ConfigError(f"recipe: seed is {self.seed}; it must lie between 0 and {MOST_SEED}.")
        counts = ("steps", "warmup_steps", "cooldown_steps", "mask_size", "validate_every", "workers")
        for name in (*counts, "weight_decay", "one_to_many_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"recipe: {name} is {getattr(self, name)}; it must be 0 or more.")
        if self.ema == 1:
            raise ConfigError("recipe: ema is 1; it must be less, or the average stays with the first weights.")
        for name in ("dropout", "box_prompts", "least_scale", "mask_share", "no_target_share", "ema"):
            if not 0 <= getattr(self, name) <= 1 or (name in ("least_scale", "mask_share") and not getattr(self, name)):
                raise ConfigError(f"recipe: {name} is {getattr(self, name)}; it must lie between 0 and 1.")
        for level in self.levels:
            if level not in ROUTES:
                raise ConfigError("recipe: " + unknown_name("level", level, ROUTES))
        if not self.steps and self.epochs <= 0:
            raise ConfigError(f"recipe: epochs is {self.epochs} and steps {self.steps}; one must be greater than 0.")

    def total_steps(self, images: int) -> int:
        """Updates of the weights that a training set of ``images`` takes."""
        return self.steps or max(1, round(self.epochs * images / (self.images * self.accumulate)))


Book = Mapping[str, TrainRecipe]
"""A recipe for each stage by the tables of a TOML file: ``encoders``, ``base``, ``stage1``, …"""


def load_recipe(
    name_or_file: str | Path,
    stage: str,
    overrides: Mapping[str, Any] | None = None,
    presets: Mapping[str, Book] | None = None,
) -> TrainRecipe:
    """The recipe of ``stage`` in a preset or a TOML file, with some values replaced.

    Args:
        name_or_file: a name among ``presets``, or the path of a .toml file with a table for ``stage``.
        stage: one of them.
        overrides: values by field; of ``rates``, those that differ.
        presets: None: those of training, ``published`` and ``tabletop``.

    Raises:
        ConfigError: no such preset, file or stage, or a value does not fit.
    """
    presets = presets or RECIPES
    tables = list(next(iter(presets.values())))
    stages = [table.removeprefix("stage") for table in tables]
    if stage not in stages:
        raise ConfigError(unknown_name("stage", stage, stages))

    def check(content: Mapping[str, Any]) -> None:
        for name in content:
            if name not in tables:
                raise ConfigError(unknown_name("key", name, tables))

    path, table = Path(name_or_file), tables[stages.index(stage)]
    if str(name_or_file) in presets:
        book = presets[str(name_or_file)]
    elif path.suffix == ".toml":
        book = schema.read_toml(dict[str, TrainRecipe], path, "recipe", check)
    else:
        raise ConfigError(unknown_name("recipe", str(name_or_file), presets) + " Or give the path of a .toml file.")
    if table not in book:
        listed = ", ".join(f"[{name}]" for name in book) or "an empty file"
        raise ConfigError(f"recipe: there is no table [{table}], which that stage needs; only {listed}.")
    try:
        values = schema.plain(book[table])
        for name, value in (overrides or {}).items():
            is_table = isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
            values[name] = {**values[name], **value} if is_table else value
        return schema.parse(TrainRecipe, values)
    except schema.SchemaError as error:
        raise ConfigError(f"recipe: {error}") from error


_PUBLISHED = TrainRecipe()
TABLETOP = TrainRecipe(
    steps=6000,
    images=4,
    prompts=8,
    mask_share=0.25,
    rates=LearningRates(vision=2e-4, text=2e-4, detector=4e-4, backbone=2e-4, trunk_decay=1.0),
    rate_scale=1.0,
    warmup_steps=60,
    cooldown_steps=4000,  # most of what is learned is learned while the rate falls
    timescale=4000.0,
    weight_decay=0.02,
    dropout=0.0,
    least_scale=1.0,
    box_prompts=0.15,
    mask_size=112,
    precision="no",
    save_every=200,
    validate_every=1000,
    validation_images=100,
    workers=1,
)

RECIPES: dict[str, Book] = {
    "published": {
        "encoders": dataclasses.replace(_PUBLISHED, rate_scale=1.0, epochs=20.0),
        "base": dataclasses.replace(_PUBLISHED, rate_scale=1.0, epochs=20.0),
        "stage1": _PUBLISHED,
        "stage2": _PUBLISHED,
        "stage3": dataclasses.replace(_PUBLISHED, epochs=4.0, rate_scale=3.2, warmup_steps=1, cooldown_steps=1),
    },
    "tabletop": {
        "encoders": dataclasses.replace(
            TABLETOP,
            steps=2200,
            images=16,
            prompts=24,  # beside the trunk's work they cost nothing
            rate_scale=2.4,
            warmup_steps=40,
            cooldown_steps=1500,
            timescale=1500.0,
            box_prompts=0.0,
            validate_every=0,
        ),
        "base": TABLETOP,
        "stage1": TABLETOP,
        "stage2": TABLETOP,
        "stage3": TABLETOP,
    },
}
"""``published``: as the paper's authors train the full-size model (the base is theirs, so its entry is a suggestion).
``tabletop``: the one that the small model that ships began with, on two CPU cores."""
