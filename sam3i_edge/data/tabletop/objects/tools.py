"""Long things that lie flat along x: knife, spoon, fork, screwdriver, hammer, scissors. Fat, so that they show."""

from __future__ import annotations

import numpy as np

from sam3i_edge.data.tabletop.meshes import Mesh, arc, box, extrude, joined, lathe, lying, sweep
from sam3i_edge.data.tabletop.objects.model import Model, Part
from sam3i_edge.data.tabletop.rotations import about


def knife(variant: int) -> Model:
    """Blade and handle."""
    blades = (
        [(-0.05, -0.11), (0.7, -0.11), (0.98, -0.02), (1.12, 0.12), (-0.05, 0.12)],
        [(-0.05, -0.1), (0.8, -0.1), (1.0, -0.06), (1.06, 0.02), (1.0, 0.09), (0.85, 0.12), (-0.05, 0.12)],
    )
    blade = extrude(blades[variant], 0.03).moved((0, 0, 0.05))
    bolster = box((0.08, 0.2, 0.12), 0.03).moved((0.0, 0.01, 0))
    handle = _grip(-0.72, 0.0, 0.095)
    rivets = joined(*(lathe([(0.032, 0.0), (0.032, 0.15), (0, 0.155)], 10).moved((x, 0.0, 0)) for x in (-0.52, -0.2)))
    return Model((Part("steel", joined(blade, bolster)), Part("main", handle), Part("accent", rivets)))


def spoon(variant: int) -> Model:
    """A deep, oval bowl and a handle that widens to its end."""
    length, width = ((0.36, 0.25), (0.31, 0.27))[variant]
    outside = [(float(x), float(z)) for x, z in arc(1.0, -90, 0, 7)]
    inside = [(x * 0.88, z * 0.78 + 0.02) for x, z in reversed(outside)]
    head = lathe([*outside, (0.94, 0.04), *inside]).scaled(length, width, 0.13).moved((length - 0.03, 0, 0.14))
    return Model((Part("main", joined(head, _handle())),))


def fork(variant: int) -> Model:
    """Three or four tines and a handle that widens to its end."""
    count = (4, 3)[variant]
    offsets = np.linspace(-0.165, 0.165, count)
    root = extrude(
        [(-0.04, -0.05), (0.1, -0.14), (0.2, -0.2), (0.3, -0.2), (0.3, 0.2), (0.2, 0.2), (0.1, 0.14), (-0.04, 0.05)],
        0.06,
    )
    tines = [
        sweep(
            [(0.26, y, 0.1), (0.42, y, 0.075), (0.6, y, 0.1), (0.7, y, 0.15)], [(0.04, 0.035)] * 3 + [(0.02, 0.02)], 8
        )
        for y in offsets
    ]
    return Model((Part("main", joined(root.moved((0, 0, 0.075)), *tines, _handle())),))


def screwdriver(variant: int) -> Model:
    """A ridged handle, a steel shaft and a flat tip."""
    thick = (0.16, 0.19)[variant]
    lobes = 8
    angles = np.linspace(0, 2 * np.pi, 4 * lobes, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1) * (1 + 0.09 * np.cos(lobes * angles))[:, None]
    outline = extrude(ring * thick, 0.62).moved(rotation=about("y", 90)).moved((-0.75, 0, 0))
    end = lying(lathe([(0, -0.86), (thick * 0.7, -0.84), (thick * 0.98, -0.74), (thick * 0.98, -0.68), (0, -0.68)]))
    collar = lying(lathe([(0, -0.16), (thick * 0.95, -0.16), (thick * 0.6, -0.02), (thick * 0.62, 0.04), (0, 0.04)]))
    shaft = lying(lathe([(0.055, 0), (0.055, 0.55), (0, 0.55)], 12))
    tip = sweep([(0.52, 0, 0), (0.62, 0, 0), (0.78, 0, 0)], [(0.055, 0.055), (0.09, 0.04), (0.075, 0.015)], 8)
    role = ("main", "dark")[variant]
    return Model((Part("main", joined(outline, end)), Part(role, collar), Part("steel", joined(shaft, tip))))


def hammer(variant: int) -> Model:
    """A handle and a steel head across it."""
    handle = sweep(
        [(-0.95, 0, 0.12), (-0.8, 0, 0.12), (-0.3, 0, 0.12), (0.15, 0, 0.12), (0.5, 0, 0.12)],
        [(0.085, 0.08), (0.105, 0.1), (0.095, 0.095), (0.065, 0.065), (0.06, 0.06)],
        14,
    )
    face = lathe([(0, 0.12), (0.1, 0.12), (0.1, 0.24), (0.15, 0.28), (0.15, 0.4), (0.13, 0.43), (0, 0.43)], 20)
    face = face.moved(rotation=about("x", 90)).moved((0.45, 0, 0.14))
    body = box((0.24, 0.34, 0.24), 0.05).moved((0.45, 0.02, 0.02))
    if variant == 0:  # a claw
        claw = [
            sweep(
                [(0.45 + x, 0.15, 0.16), (0.45 + 1.4 * x, 0.35, 0.15), (0.45 + 1.5 * x, 0.52, 0.06)],
                [(0.06, 0.08), (0.05, 0.06), (0.03, 0.02)],
                8,
            )
            for x in (-0.07, 0.07)
        ]
    else:  # a wedge
        claw = [
            sweep(
                [(0.45, 0.15, 0.14), (0.45, 0.3, 0.14), (0.45, 0.5, 0.14)], [(0.11, 0.11), (0.1, 0.09), (0.1, 0.02)], 8
            )
        ]
    return Model((Part("main", handle), Part("steel", joined(face, body, *claw))))


def scissors(variant: int) -> Model:
    """Two blades that cross at a screw, and two ring handles."""
    opening = (13, 20)[variant]
    steel: list[Mesh] = []
    rings: list[Mesh] = []
    for side, height in ((1, 0.05), (-1, 0.1)):
        turn = about("z", side * opening)
        blade = extrude([(-0.1, -0.07), (0.35, -0.085), (0.98, 0.0), (0.35, 0.075), (-0.1, 0.07)], 0.045)
        steel.append(blade.moved((0, 0, height), turn))
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        centre = (-0.66, -0.1, 0.1)
        loop = [(centre[0] + 0.25 * np.cos(a), centre[1] + 0.165 * np.sin(a), centre[2]) for a in angles]
        ring = sweep(loop, [(0.06, 0.07)] * len(loop), 10, closed=True)
        arm = sweep(
            [(-0.47, -0.04, 0.1), (-0.25, 0.0, 0.1), (-0.02, 0.0, 0.1)], [(0.075, 0.06), (0.08, 0.06), (0.07, 0.05)], 10
        )
        part = joined(ring, arm)
        rings.append((part if side > 0 else _mirrored(part)).moved(rotation=turn))
    screw = lathe([(0.06, 0.0), (0.06, 0.17), (0.03, 0.19), (0, 0.19)], 12)
    return Model((Part("steel", joined(*steel, screw)), Part("main", joined(*rings))))


def _mirrored(mesh: Mesh) -> Mesh:
    """Mirrored in y, the faces turned so that they still look outwards."""
    return Mesh(mesh.vertices * (1, -1, 1), mesh.faces[:, ::-1], mesh.uv[:, ::-1])


def _handle() -> Mesh:
    return sweep(
        [(-1.0, 0, 0.08), (-0.95, 0, 0.08), (-0.8, 0, 0.085), (-0.4, 0, 0.1), (-0.1, 0, 0.12), (0.06, 0, 0.11)],
        [(0.05, 0.03), (0.1, 0.045), (0.115, 0.05), (0.08, 0.05), (0.06, 0.05), (0.06, 0.04)],
        12,
    )


def _grip(start: float, stop: float, radius: float) -> Mesh:
    x = np.linspace(start, stop, 7)
    wave = np.array([0.8, 1.15, 1.0, 0.92, 0.95, 1.05, 1.0])
    path = np.stack([x, np.full(7, -0.01), np.full(7, 0.075)], 1)
    return sweep(path, np.stack([radius * 1.15 * wave, np.full(7, 0.07) * np.minimum(wave, 1)], 1), 14)
