"""Things turned on a lathe: mug, cup, bottle, bowl, plate, can, jar."""

from __future__ import annotations

import numpy as np

from sam3i_edge.data.tabletop.meshes import Mesh, arc, joined, lathe, sweep
from sam3i_edge.data.tabletop.objects.model import Model, Part

Profile = list[tuple[float, float]]


def mug(variant: int) -> Model:
    """A tall vessel with a large handle."""
    outside: Profile = (
        [(0, 0), (0.38, 0), (0.41, 0.03), (0.42, 0.5), (0.42, 0.97)],
        [(0, 0), (0.30, 0), (0.37, 0.08), (0.44, 0.35), (0.43, 0.62), (0.37, 0.85), (0.38, 0.97)],
        [(0, 0), (0.31, 0), (0.34, 0.03), (0.39, 0.5), (0.45, 0.97)],
    )[variant]
    rim = outside[-1][0]
    body = lathe([*outside, (rim - 0.015, 1.0), (rim - 0.05, 0.995)])
    inside = [(rim - 0.05, 0.995), (rim - 0.065, 0.9), (outside[2][0] - 0.06, 0.12), (0, 0.08)]
    grip = outside[-3][0] if variant != 2 else 0.36
    handle = _handle((grip - 0.03, grip - 0.03), 0.20, 0.82, 0.34, 0.058)
    return Model((Part("main", joined(body, handle)), Part("lining", lathe(inside))), hollow=(0.1, rim - 0.08, 1.0))


def cup(variant: int) -> Model:
    """A wide, low tea cup with a small handle, on a saucer."""
    outside: Profile = (
        [(0, 0.06), (0.2, 0.06), (0.24, 0.1), (0.36, 0.28), (0.43, 0.5), (0.46, 0.6)],
        [(0, 0.06), (0.24, 0.06), (0.35, 0.13), (0.40, 0.3), (0.41, 0.45), (0.41, 0.56)],
    )[variant]
    rim, top = outside[-1]
    body = lathe([*outside, (rim - 0.01, top + 0.02), (rim - 0.04, top + 0.015)])
    inside = lathe([(rim - 0.04, top + 0.015), (rim - 0.08, top * 0.6), (0.2, 0.14), (0, 0.12)])
    handle = _handle(((0.33, 0.445), (0.385, 0.40))[variant], 0.26, top - 0.06, 0.22, 0.045)
    saucer = lathe(
        [
            (0, 0),
            (0.36, 0),
            (0.5, 0.05),
            (0.68, 0.1),
            (0.69, 0.12),
            (0.66, 0.125),
            (0.48, 0.085),
            (0.34, 0.05),
            (0, 0.05),
        ]
    )
    return Model((Part("main", joined(body, handle, saucer)), Part("lining", inside)), hollow=(0.13, rim - 0.08, top))


def bottle(variant: int) -> Model:
    """A bottle with neck, cap and label."""
    outside: Profile = (
        [(0, 0), (0.36, 0), (0.40, 0.05), (0.40, 1.0), (0.36, 1.16), (0.19, 1.4), (0.15, 1.5), (0.14, 1.85), (0, 1.85)],
        [
            *((0, 0), (0.38, 0), (0.42, 0.06), (0.42, 0.5), (0.37, 0.62), (0.37, 0.75), (0.42, 0.88), (0.42, 1.1)),
            *((0.36, 1.3), (0.2, 1.45), (0.18, 1.6), (0, 1.6)),
        ],
        [(0, 0), (0.42, 0), (0.52, 0.1), (0.55, 0.4), (0.5, 0.7), (0.32, 0.95), (0.2, 1.08), (0.17, 1.45), (0, 1.45)],
    )[variant]
    neck, top = outside[-2]
    cap = lathe(
        [
            (0, top - 0.12),
            (neck + 0.05, top - 0.12),
            (neck + 0.05, top + 0.08),
            (neck + 0.02, top + 0.11),
            (0, top + 0.11),
        ]
    )
    wide = outside[2][0] + 0.006
    low, high = ((0.28, 0.85), (0.1, 0.46), (0.3, 0.5))[variant]
    label = lathe([(wide - 0.02, low), (wide, low), (wide, high), (wide - 0.02, high)])
    if variant == 2:
        label = lathe([(0.53, 0.24), (0.556, 0.26), (0.562, 0.4), (0.545, 0.54), (0.52, 0.56)])
    return Model((Part("main", lathe(outside)), Part("accent", cap), Part("paper", label)))


def bowl(variant: int) -> Model:
    """An open bowl."""
    curve = arc(1.0, -90, -8, 9) if variant == 0 else arc(1.0, -90, -30, 8) * (1.15, 1.3)
    depth = 0.62
    outer = [(float(x), float(z) * depth) for x, z in curve]
    floor, (rim, top) = outer[0][1], outer[-1]
    outside = [(0.0, floor), (0.42, floor), *[point for point in outer if point[0] > 0.45]]
    inner = [(x * 0.92, z * 0.88) for x, z in reversed(outer)]
    body = lathe([*outside, (rim - 0.02, top + 0.03), (rim * 0.94, top + 0.02)])
    inside = lathe([(rim * 0.94, top + 0.02), *[(x, z) for x, z in inner if z < top]])
    return Model((Part("main", body), Part("hollow", inside)), hollow=(floor * 0.88, rim * 0.8, top))


def plate(variant: int) -> Model:
    """A flat plate with a raised rim."""
    if variant == 0:
        outer: Profile = [(0, 0), (0.55, 0), (0.66, 0.05), (0.99, 0.13), (1.0, 0.15), (0.98, 0.165)]
        rim: Profile = [(0.98, 0.165), (0.7, 0.1), (0.66, 0.085)]
        well: Profile = [(0.66, 0.085), (0.58, 0.045), (0, 0.045)]
    else:
        outer = [(0, 0), (0.8, 0), (0.94, 0.06), (0.98, 0.16), (0.96, 0.18)]
        rim = [(0.96, 0.18), (0.92, 0.16), (0.87, 0.07)]
        well = [(0.87, 0.07), (0.8, 0.045), (0, 0.045)]
    body = lathe([*outer, *rim[1:]], 40)
    return Model((Part("main", body), Part("lining", lathe(well, 40))), support=(0.05, 0.55 if variant == 0 else 0.75))


def can(variant: int) -> Model:
    """A tin can or a drinks can: metal ends, a pull tab."""
    height = (1.15, 1.6)[variant]
    body = lathe([(0.48, 0.06), (0.5, 0.08), (0.5, height - 0.1), (0.48, height - 0.08)])
    neck = 0.47 if variant == 0 else 0.40
    top = lathe(
        [
            (0.485, height - 0.09),
            (neck, height - 0.02),
            (neck, height),
            (neck - 0.04, height),
            (neck - 0.05, height - 0.05),
            (0, height - 0.05),
        ]
    )
    bottom = lathe([(0, 0.02), (0.40, 0.02), (0.42, 0), (0.45, 0), (0.485, 0.07)])
    tab = sweep(
        [(0.22 * np.cos(a) + 0.1, 0.11 * np.sin(a), height - 0.03) for a in np.linspace(0, 2 * np.pi, 12)[:-1]],
        [0.035] * 11,
        6,
        closed=True,
    )
    ribs = joined(*(lathe([(0.495, z - 0.03), (0.512, z), (0.495, z + 0.03)]) for z in np.linspace(0.3, 0.85, 4)))
    main = joined(body, ribs) if variant == 0 else body
    return Model((Part("main", main), Part("steel", joined(top, bottom, tab))))


def jar(variant: int) -> Model:
    """A preserving jar with a wide lid and a label."""
    outside: Profile = (
        [(0, 0), (0.42, 0), (0.48, 0.06), (0.48, 0.85), (0.44, 0.95), (0.38, 1.0), (0, 1.0)],
        [(0, 0), (0.36, 0), (0.5, 0.14), (0.55, 0.42), (0.5, 0.7), (0.38, 0.84), (0, 0.84)],
    )[variant]
    neck, top = outside[-2]
    lid = lathe(
        [
            (0, top),
            (neck + 0.04, top),
            (neck + 0.05, top + 0.02),
            (neck + 0.05, top + 0.17),
            (neck + 0.01, top + 0.2),
            (0, top + 0.2),
        ]
    )
    knob = lathe([(0, top + 0.2), (0.08, top + 0.2), (0.12, top + 0.28), (0.07, top + 0.34), (0, top + 0.35)])
    parts = [Part("main", lathe(outside)), Part("accent", joined(lid, knob) if variant == 1 else lid)]
    if variant == 0:
        parts.append(Part("paper", lathe([(0.47, 0.25), (0.487, 0.25), (0.487, 0.7), (0.47, 0.7)])))
    return Model(tuple(parts))


def _handle(walls: tuple[float, float], low: float, high: float, reach: float, radius: float) -> Mesh:
    """A C-shaped handle in the x-z plane, from the wall at x = ``walls[0]``, below, to ``walls[1]``, above."""
    middle, half = (low + high) / 2, (high - low) / 2
    path = []
    for angle in np.radians(np.linspace(-88, 88, 11)):
        share = (1 + np.sin(angle)) / 2
        wall = walls[0] + share * (walls[1] - walls[0])
        path.append((wall + reach * np.cos(angle) ** 0.7, 0, middle + half * np.sin(angle)))
    path = [(walls[0] - 0.005, 0, low), *path, (walls[1] - 0.005, 0, high)]
    return sweep(path, [(radius * 1.25, radius)] * len(path), 10, normal=(0, 1, 0))
