"""The students: smaller models with the same graphs, routes and checkpoints, made out of their teacher."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.model import Sam3i
from sam3i_edge.train.matching import MOST_QUERIES
from sam3i_edge.train.stages import initialize

STACKS = {
    "vision": "backbone.vision_backbone.trunk.blocks",
    "text": "backbone.language_backbone.encoder.transformer.resblocks",
    "encoder": "transformer.encoder.layers",
    "decoder": "transformer.decoder.layers",
}
"""The stacks of layers of which a student may keep some."""
WIDTH_STEP = 32
POSITIONS = "backbone.vision_backbone.trunk.pos_embed"
QUERIES = ("transformer.decoder.query_embed.weight", "transformer.decoder.reference_points.weight")


@dataclass(frozen=True)
class Preset:
    """A student in shares of its teacher, so that one preset fits teachers of every size."""

    about: str
    vision: float = 1.0
    """Share of the trunk's layers that stay. Which, is measured: see ``importance``."""
    text: float = 1.0
    encoder: float = 1.0
    decoder: float = 1.0
    text_width: float = 1.0
    """Share of the text transformer's width. A narrower one begins with random weights."""
    embedding: float = 1.0
    """Width of a token's row, as a share of the student's text width."""
    separable_convs: bool = False
    picture: float = 1.0
    """Share of the picture's side."""
    queries: float = 1.0
    """Share of the decoder's queries that stay. Which, is measured, too."""
    backbone: str = ""
    """A model of timm instead of the trunk; it begins with random weights, or with timm's."""


_DEFAULT = Preset(
    "all of it: pruned trunk, small text encoder, slim fusion and decoder",
    vision=2 / 3,
    text=0.5,
    encoder=2 / 3,
    decoder=2 / 3,
    text_width=2 / 3,
    embedding=0.25,
    separable_convs=True,
)


def _lite(backbone: str) -> Preset:
    about = f"{backbone} of timm instead of the trunk, small text encoder, slim fusion and decoder"
    return dataclasses.replace(_DEFAULT, about=about, vision=1.0, backbone=backbone)


PRESETS = {
    "same": Preset("nothing smaller: for the stage int8 alone"),
    "pruned": Preset("two thirds of the trunk's layers, separable convolutions", vision=2 / 3, separable_convs=True),
    "pruned-half": Preset("half of the trunk's layers, separable convolutions", vision=1 / 2, separable_convs=True),
    "text": Preset(
        "half of the text layers, two thirds as wide, short token rows", text=0.5, text_width=2 / 3, embedding=0.25
    ),
    "slim": Preset("two thirds of the fusion's and the decoder's layers", encoder=2 / 3, decoder=2 / 3),
    "default": _DEFAULT,
    "small": dataclasses.replace(
        _DEFAULT, about="half of the trunk's layers, a third of the fusion's", vision=1 / 2, encoder=1 / 3
    ),
    "low-res": Preset("three quarters of the picture's side, so 0.56 of its cells", picture=3 / 4),
    "few-queries": Preset("half of the decoder's queries", queries=1 / 2),
    "lite": Preset(
        "efficientvit_b0 of timm instead of the trunk, separable convolutions",
        separable_convs=True,
        backbone="efficientvit_b0",
    ),
    "lite-efficientvit": _lite("efficientvit_b2"),
    "lite-repvit": _lite("repvit_m1_1"),
    "lite-fastvit": _lite("fastvit_t12"),
    "lite-tinyvit": _lite("tiny_vit_11m_224"),
}


def get_preset(name: str) -> Preset:
    """One of ``PRESETS``, or several of them on top of one another, such as ``low-res+slim``: shares multiply.

    Raises:
        ConfigError: there is no such preset; two of them have a backbone.
    """
    names = name.split("+")
    for one in names:
        if one not in PRESETS:
            raise ConfigError(unknown_name("student", one, PRESETS) + " Or give the path of a checkpoint.")
    return functools.reduce(_both, (PRESETS[one] for one in names))


def _both(first: Preset, second: Preset) -> Preset:
    """``second`` made of ``first``."""
    if first.backbone and second.backbone:
        raise ConfigError(f"A student has one backbone, not {first.backbone} and {second.backbone}.")
    shares = {
        share.name: getattr(first, share.name) * getattr(second, share.name)
        for share in dataclasses.fields(Preset)
        if share.type == "float"
    }
    backbone = first.backbone or second.backbone
    if backbone:
        shares["vision"] = 1.0  # of no trunk, no layers are chosen
    return Preset(
        f"{first.about}; {second.about}",
        separable_convs=first.separable_convs or second.separable_convs,
        backbone=backbone,
        **shares,
    )


@dataclass(frozen=True)
class StudentPlan:
    """What a student keeps of its teacher."""

    config: ModelConfig
    kept: Mapping[str, tuple[int, ...]]
    """By the names of ``STACKS``: which of the teacher's layers, ascending."""
    queries: tuple[int, ...]
    """Which of the teacher's queries, ascending."""


def depths(preset: Preset, teacher: ModelConfig) -> dict[str, int]:
    """How many layers of each stack the student has; at least one.

    Raises:
        ConfigError: the teacher has no trunk of which some could stay.
    """
    if teacher.vision.backbone and preset.vision < 1:
        raise ConfigError(
            f"The teacher sees with {teacher.vision.backbone}, which has no layers to leave out. Give a preset that "
            f"keeps it (text, slim), or another backbone (lite)."
        )
    have = layer_counts(teacher)
    return {stack: max(1, round(getattr(preset, stack) * count)) for stack, count in have.items()}


def layer_counts(config: ModelConfig) -> dict[str, int]:
    """Layers of each stack. The trunk ends with its last global layer; what may stand behind that is never read."""
    return {
        "vision": max(config.vision.global_attention_layers) + 1,
        "text": config.text.num_layers,
        "encoder": config.encoder_layers,
        "decoder": config.decoder_layers,
    }


def query_count(preset: Preset, teacher: ModelConfig) -> int:
    """How many queries the student has; at least as many as one-to-many matching takes for a target."""
    return min(teacher.num_queries, max(MOST_QUERIES, round(preset.queries * teacher.num_queries)))


def plan(
    preset: Preset,
    teacher: ModelConfig,
    kept: Mapping[str, Sequence[int]] | None = None,
    queries: Sequence[int] | None = None,
) -> StudentPlan:
    """The student's sizes.

    Args:
        preset: what to make smaller.
        teacher: its sizes.
        kept: which layers stay, by stack; None: evenly spread ones, which tells sizes and times but not scores.
        queries: which queries stay; None: likewise.

    Raises:
        ConfigError: the sizes do not fit together.
    """
    wanted = depths(preset, teacher)
    chosen = (
        {stack: tuple(kept[stack]) for stack in STACKS}
        if kept
        else {stack: _spread(count, wanted[stack]) for stack, count in layer_counts(teacher).items()}
    )
    attending = teacher.vision.global_attention_layers
    vision = dataclasses.replace(
        teacher.vision,
        num_layers=len(chosen["vision"]),
        global_attention_layers=tuple(i for i, layer in enumerate(chosen["vision"]) if layer in attending),
        backbone=preset.backbone or teacher.vision.backbone,
    )
    step = math.lcm(WIDTH_STEP, teacher.text.num_heads, teacher.adapter.num_heads)
    width = _share(preset.text_width, teacher.text.hidden_size, step)
    row = min(teacher.text.embedding_size or width, width)  # the teacher may be a student, with short rows
    if preset.embedding < 1:
        row = min(row, _share(preset.embedding, width, 16))
    text = dataclasses.replace(
        teacher.text, hidden_size=width, num_layers=len(chosen["text"]), embedding_size=0 if row == width else row
    )
    multiple = 2 if vision.backbone else 1  # its levels want an even number of patches
    cells = multiple * max(1, round(preset.picture * teacher.grid_size / multiple))
    chosen_queries = tuple(queries or _spread(teacher.num_queries, query_count(preset, teacher)))
    config = dataclasses.replace(
        teacher,
        image_size=cells * teacher.patch_size,
        pretrain_image_size=min(teacher.pretrain_image_size, cells * teacher.patch_size),
        num_queries=len(chosen_queries),
        vision=vision,
        text=text,
        encoder_layers=len(chosen["encoder"]),
        decoder_layers=len(chosen["decoder"]),
        separable_convs=preset.separable_convs or teacher.separable_convs,
    )
    return StudentPlan(config, chosen, chosen_queries)


def build(teacher: Sam3i, plan: StudentPlan) -> Sam3i:
    """The student with all that it can take over: kept layers as they are, convolutions split in two.

    Parts of another width begin with random weights, drawn from torch's generator.
    """
    student = initialize(Sam3i(plan.config))
    source = teacher.state_dict()
    state = student.state_dict()
    for name, value in state.items():
        found = _teachers_value(name, value, source, plan)
        if found is not None:
            state[name] = found.clone()
    student.load_state_dict(state)
    return student


def _teachers_value(name: str, value: Tensor, source: Mapping[str, Tensor], plan: StudentPlan) -> Tensor | None:
    origin = _origin(name, plan)
    if origin in QUERIES:
        return source[origin][list(plan.queries)]
    if origin == POSITIONS:
        return _resampled(source[origin], plan.config)
    if origin in source:
        return source[origin] if source[origin].shape == value.shape else None
    part = re.fullmatch(r"(.*)\.(depthwise|pointwise)\.(weight|bias)", origin)
    if not part or f"{part[1]}.weight" not in source:
        return None
    if part[3] == "bias":
        return source[f"{part[1]}.bias"]
    return _separated(source[f"{part[1]}.weight"])[part[2] == "pointwise"]


def _origin(name: str, plan: StudentPlan) -> str:
    """The teacher's name of a student's parameter: layers are numbered anew."""
    for stack, path in STACKS.items():
        if name.startswith(path + "."):
            number, _, rest = name.removeprefix(path + ".").partition(".")
            return f"{path}.{plan.kept[stack][int(number)]}.{rest}"
    return name


def _resampled(positions: Tensor, config: ModelConfig) -> Tensor:
    """Positions (1, 1 + side², C) of a square grid, the class token's first, on a grid of the config's side."""
    side, wanted = round((positions.shape[1] - 1) ** 0.5), config.pretrain_image_size // config.patch_size
    if side == wanted:
        return positions
    grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    smaller = F.interpolate(grid, size=(wanted, wanted), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([positions[:, :1], smaller.flatten(2).transpose(1, 2)], dim=1)


def _separated(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest depthwise (I, 1, 3, 3) and pointwise (O, I, 1, 1) pair of a convolution (O, I, 3, 3).

    For each input channel the best product of one 3 x 3 filter and one weight per output.
    """
    by_input = weight.flatten(2).transpose(0, 1)  # (I, O, 9)
    outputs, strengths, filters = torch.linalg.svd(by_input, full_matrices=False)
    strength = strengths[:, :1].sqrt()
    depthwise = (filters[:, 0] * strength).view(-1, 1, *weight.shape[2:])
    pointwise = (outputs[:, :, 0] * strength).T[:, :, None, None]
    return depthwise, pointwise


def _spread(count: int, wanted: int) -> tuple[int, ...]:
    """``wanted`` of ``count`` layers, evenly, the last among them."""
    return tuple(round((i + 1) * count / wanted) - 1 for i in range(wanted))


def _share(share: float, whole: int, step: int) -> int:
    """All of it, or a share, rounded to a multiple of ``step``: at least one, at most the whole."""
    return whole if share == 1 else min(whole, max(step, round(share * whole / step) * step))
