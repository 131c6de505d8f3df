"""What a modelled thing is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sam3i_edge.data.tabletop.meshes import Mesh

ROLES = (
    "main",  # the thing's colour, material and pattern
    "lining",  # a lighter shade of it
    "hollow",  # it in a hollow, where less light comes
    "trim",  # a darker shade of it
    "accent",  # a second, neutral colour
    "steel",
    "dark",
    "paper",
    "wood",
    "leaf",
    "screen",
    "flame",
    "bulb",
)
"""Where a part gets its looks from."""


@dataclass(frozen=True)
class Part:
    """A piece of one look."""

    role: str
    mesh: Mesh


@dataclass(frozen=True)
class Model:
    """A thing's shape.

    Attributes:
        parts: its pieces.
        support: height and radius of a flat place on which another thing can rest, or None.
        hollow: floor height, inner radius and rim height of an opening that another thing fits into, or None.
        hollow_centre: x, y of the opening's axis.
    """

    parts: tuple[Part, ...]
    support: tuple[float, float] | None = None
    hollow: tuple[float, float, float] | None = None
    hollow_centre: tuple[float, float] = (0.0, 0.0)

    def normalized(self) -> Model:
        """Standing on z = 0, centred in x and y, the longest extent 1."""
        points = np.concatenate([part.mesh.vertices for part in self.parts])
        low, high = points.min(0), points.max(0)
        shift = (-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2])
        factor = 1 / float((high - low).max())
        parts = tuple(replace(part, mesh=part.mesh.moved(shift).scaled(factor)) for part in self.parts)
        support, hollow = self.support, self.hollow
        return Model(
            parts,
            support and ((support[0] + shift[2]) * factor, support[1] * factor),
            hollow and ((hollow[0] + shift[2]) * factor, hollow[1] * factor, (hollow[2] + shift[2]) * factor),
            ((self.hollow_centre[0] + shift[0]) * factor, (self.hollow_centre[1] + shift[1]) * factor),
        )
