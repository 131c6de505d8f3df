"""Apple, banana, lemon."""

from __future__ import annotations

import numpy as np

from sam3i_edge.data.tabletop.meshes import ellipsoid, joined, lathe, lying, sweep
from sam3i_edge.data.tabletop.objects.model import Model, Part
from sam3i_edge.data.tabletop.rotations import about


def apple(variant: int) -> Model:
    """An apple with dimple, stem and leaf."""
    wide = (1.0, 0.92)[variant]
    profile = [(0, 0.14), (0.12, 0.06), (0.28, 0.0), (0.5, 0.05), (0.72, 0.22), (0.88, 0.5), (0.97, 0.85), (0.98, 1.1)]
    profile += [(0.9, 1.38), (0.75, 1.58), (0.52, 1.69), (0.3, 1.68), (0.14, 1.58), (0, 1.46)]
    body = lathe([(r * wide, z * (1.0, 1.08)[variant]) for r, z in profile])
    base = 1.46 * (1.0, 1.08)[variant]
    stem = sweep(
        [(0, 0, base - 0.02), (0.03, 0, base + 0.25), (0.13, 0, base + 0.55)], [0.055, 0.05, 0.075], 8, (0, 1, 0)
    )
    leaf = ellipsoid(0.3, 0.13, 0.025, 12).moved(rotation=about("y", -25)).moved((0.36, 0, base + 0.42))
    return Model((Part("main", body), Part("wood", stem), Part("leaf", leaf)))


def banana(variant: int) -> Model:
    """A curved, five-sided fruit with dark ends."""
    spread = (62, 50)[variant]
    angles = np.radians(np.linspace(-90 - spread, -90 + spread, 17))
    path = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], 1)
    share = np.linspace(0, 1, len(path))
    radii = 0.2 * np.clip(np.minimum(share, 1 - share) * 7, 0, 1) ** 0.45
    radii[0], radii[-1] = 0.075, 0.06
    radii[1] = min(radii[1], 0.085)  # the stalk
    body = sweep(path[1:-1], radii[1:-1], 7)
    stalk = sweep([path[0], path[1]], [0.07, 0.085], 7)
    tip = sweep([path[-2], path[-1]], [radii[-2], 0.05], 7)
    return Model((Part("main", body), Part("dark", joined(stalk, tip))))


def lemon(_variant: int) -> Model:
    """An ellipsoid with a tip at both ends, lying."""
    angles = np.linspace(-80, 80, 13)
    profile = [(float(np.cos(np.radians(a))) * 0.68, float(np.sin(np.radians(a)))) for a in angles]
    profile = [(0, -1.2), (0.1, -1.18), (0.15, -1.06), *profile[1:-1], (0.15, 1.06), (0.1, 1.18), (0, 1.2)]
    body = lying(lathe(profile))
    stem = lying(lathe([(0, -1.26), (0.06, -1.26), (0.06, -1.15), (0, -1.15)], 8))
    return Model((Part("main", body), Part("leaf", stem)))
