"""What a tabletop can hold: 24 kinds of thing with their colours, materials, patterns, sizes and poses."""

from __future__ import annotations

from dataclasses import dataclass

from sam3i_edge.errors import ConfigError, unknown_name

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.09, 0.08),
    "orange": (0.96, 0.45, 0.06),
    "yellow": (0.98, 0.84, 0.14),
    "green": (0.13, 0.56, 0.20),
    "blue": (0.10, 0.30, 0.78),
    "purple": (0.46, 0.17, 0.62),
    "pink": (0.96, 0.52, 0.68),
    "brown": (0.42, 0.24, 0.12),
    "black": (0.07, 0.07, 0.08),
    "white": (0.95, 0.94, 0.92),
    "grey": (0.50, 0.51, 0.53),
}
"""Each colour name and its RGB in 0 to 1."""

ANY = tuple(COLOURS)
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
PATTERNS = ("plain", "striped", "dotted")


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    Attributes:
        colours: those it comes in.
        materials: those anyone would name, "" for none. A wooden thing is brown, and a brown one wooden if it can be.
        size: least and greatest longest extent, metres.
        patterned: it may be striped or dotted.
        lies: standing things that may also lie on their side.
        variants: number of shapes.
    """

    colours: tuple[str, ...]
    materials: tuple[str, ...]
    size: tuple[float, float]
    patterned: bool = False
    lies: bool = False
    variants: int = 2


TOOL = ("red", "orange", "yellow", "green", "blue", "black")
CUTLERY = ("grey", "red", "yellow", "green", "blue", "pink", "brown", "white")

CATALOGUE: dict[str, Kind] = {
    "mug": Kind(
        (*BRIGHT, "black", "white", "grey"), ("ceramic",), (0.115, 0.145), patterned=True, lies=True, variants=3
    ),
    "cup": Kind((*BRIGHT, "white", "brown"), ("ceramic",), (0.14, 0.18), patterned=True),
    "bottle": Kind(
        ("red", "orange", "green", "blue", "pink", "brown", "black", "white"),
        ("glass", "plastic"),
        (0.23, 0.30),
        lies=True,
        variants=3,
    ),
    "bowl": Kind(ANY, ("ceramic", "wooden", "plastic", "metal"), (0.16, 0.22), patterned=True),
    "plate": Kind((*BRIGHT, "white", "grey", "black"), ("ceramic",), (0.20, 0.26), patterned=True),
    "can": Kind((*BRIGHT, "black", "white", "grey"), ("metal",), (0.12, 0.16), patterned=True, lies=True),
    "jar": Kind(
        ("red", "orange", "yellow", "green", "blue", "purple", "brown", "white"),
        ("glass", "ceramic"),
        (0.13, 0.17),
        lies=True,
    ),
    "box": Kind((*BRIGHT, "brown", "black", "white"), ("paper", "wooden"), (0.14, 0.21), patterned=True, variants=3),
    "book": Kind(
        ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black"),
        ("paper",),
        (0.19, 0.25),
        patterned=True,
    ),
    "ball": Kind((*BRIGHT, "white", "black"), ("plastic",), (0.09, 0.14), patterned=True),
    "apple": Kind(("red", "green", "yellow"), ("",), (0.09, 0.115)),
    "banana": Kind(("yellow", "green"), ("",), (0.19, 0.23)),
    "lemon": Kind(("yellow", "green"), ("",), (0.09, 0.115), variants=1),
    "knife": Kind((*TOOL, "brown", "white"), ("metal",), (0.23, 0.28)),
    "spoon": Kind(CUTLERY, ("metal", "plastic", "wooden"), (0.20, 0.25)),
    "fork": Kind(CUTLERY, ("metal", "plastic", "wooden"), (0.20, 0.25)),
    "screwdriver": Kind((*TOOL, "purple"), ("plastic",), (0.20, 0.25)),
    "hammer": Kind((*TOOL, "brown"), ("metal",), (0.24, 0.30)),
    "scissors": Kind((*TOOL, "purple", "pink"), ("metal",), (0.18, 0.23)),
    "laptop": Kind(("grey", "black", "white", "blue", "pink"), ("metal",), (0.27, 0.34)),
    "phone": Kind((*BRIGHT, "black", "white"), ("plastic",), (0.15, 0.19)),
    "lamp": Kind(("red", "orange", "yellow", "green", "blue", "pink", "black", "white"), ("metal",), (0.30, 0.38)),
    "candle": Kind(
        ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white"), ("",), (0.12, 0.18), variants=3
    ),
    "trivet": Kind(
        ("brown", "red", "orange", "green", "blue", "black", "grey"), ("wooden", "metal"), (0.17, 0.22), variants=3
    ),
}

KINDS = tuple(CATALOGUE)
"""The 24 kinds, in a fixed order."""

HELD_OUT_FROM = 4
"""Kinds with fewer colours than this hold none out: their colour says too little."""


def kind(name: str) -> Kind:
    """The kind of that name. Raises ConfigError if there is none."""
    if name not in CATALOGUE:
        raise ConfigError(unknown_name("kind", name, KINDS))
    return CATALOGUE[name]


def held_out(name: str, colour: str) -> bool:
    """Whether things of this kind and colour appear in the split ``compose`` only, never in ``train`` and ``val``.

    One in eight combinations is held out. Raises ConfigError if the kind is unknown.
    """
    colours = kind(name).colours
    if len(colours) < HELD_OUT_FROM or colour not in colours:
        return False
    # A stride that shares no factor with 8 spreads the held-out pairs over the kinds and over the colours.
    return (3 * KINDS.index(name) + ANY.index(colour)) % 8 == 5


def materials_for(name: str, colour: str) -> tuple[str, ...]:
    """The materials a thing of this kind and colour may have: wood is brown, bare metal cutlery is grey."""
    names = kind(name).materials
    if colour == "brown" and "wooden" in names:
        return ("wooden",)
    rest = tuple(material for material in names if material != "wooden")
    if name in ("spoon", "fork"):
        return ("metal",) if colour == "grey" else ("plastic",)
    if name == "bowl":
        return ("metal", "ceramic") if colour == "grey" else ("ceramic", "plastic")
    if name == "box":
        return ("paper",)
    return rest
