"""The 24 kinds as meshes: what parts each is made of, and where other things can rest on or in it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from sam3i_edge.data.tabletop.catalogue import CATALOGUE
from sam3i_edge.data.tabletop.objects import fruit, goods, tools, vessels
from sam3i_edge.data.tabletop.objects.model import Model, Part
from sam3i_edge.data.tabletop.rotations import Array

__all__ = ["Model", "Part", "corners", "model"]

BUILDERS: dict[str, Callable[[int], Model]] = {
    "mug": vessels.mug,
    "cup": vessels.cup,
    "bottle": vessels.bottle,
    "bowl": vessels.bowl,
    "plate": vessels.plate,
    "can": vessels.can,
    "jar": vessels.jar,
    "box": goods.box,
    "book": goods.book,
    "ball": goods.ball,
    "apple": fruit.apple,
    "banana": fruit.banana,
    "lemon": fruit.lemon,
    "knife": tools.knife,
    "spoon": tools.spoon,
    "fork": tools.fork,
    "screwdriver": tools.screwdriver,
    "hammer": tools.hammer,
    "scissors": tools.scissors,
    "laptop": goods.laptop,
    "phone": goods.phone,
    "lamp": goods.lamp,
    "candle": goods.candle,
    "trivet": goods.trivet,
}


@functools.cache
def model(kind: str, variant: int) -> Model:
    """The shape of a kind: standing on z = 0, centred in x and y, its longest extent 1."""
    return BUILDERS[kind](variant % CATALOGUE[kind].variants).normalized()


@functools.cache
def corners(kind: str, variant: int) -> Array:
    """(n, 3): the model's vertices, all parts together."""
    return np.concatenate([part.mesh.vertices for part in model(kind, variant).parts])
