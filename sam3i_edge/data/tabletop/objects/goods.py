"""Box, book, ball, laptop, phone, lamp, candle, trivet."""

from __future__ import annotations

import numpy as np

from sam3i_edge.data.tabletop import meshes
from sam3i_edge.data.tabletop.meshes import Mesh, ellipsoid, joined, lathe, rod, sweep
from sam3i_edge.data.tabletop.objects.model import Model, Part
from sam3i_edge.data.tabletop.rotations import about


def box(variant: int) -> Model:
    """A closed box: taped, with a lid, or tied with a ribbon."""
    x, y, z = ((1.0, 0.75, 0.6), (1.0, 0.8, 0.75), (0.9, 0.9, 0.5))[variant]
    body = meshes.box((x, y, z), 0.02)
    if variant == 0:
        tape = joined(
            meshes.box((x + 0.012, 0.15, 0.01)).moved((0, 0, z)),
            *(meshes.box((0.012, 0.15, z * 0.35)).moved((side * x / 2, 0, z * 0.65)) for side in (-1, 1)),
        )
        return Model((Part("main", body), Part("accent", tape)), support=(z + 0.01, y / 2))
    if variant == 1:
        lid = meshes.box((x + 0.07, y + 0.07, z * 0.28), 0.02).moved((0, 0, z * 0.8))
        return Model((Part("trim", body), Part("main", lid)), support=(z * 1.08, y / 2))
    ribbon = joined(meshes.box((x + 0.02, 0.12, z + 0.01)), meshes.box((0.12, y + 0.02, z + 0.01)))
    loops = [
        sweep(
            [
                (side * (0.04 + 0.13 * (1 - np.cos(a))), 0.07 * np.sin(a), z + 0.03 + 0.06 * np.sin(a / 2))
                for a in np.linspace(0, 2 * np.pi, 12)[:-1]
            ],
            [(0.02, 0.04)] * 11,
            8,
            closed=True,
        )
        for side in (-1, 1)
    ]
    return Model((Part("main", body), Part("accent", joined(ribbon, *loops))))


def book(variant: int) -> Model:
    """A closed book, lying: two boards, a spine, the pages in between."""
    x, y, z = ((1.0, 0.72, 0.17), (1.0, 0.68, 0.26))[variant]
    board = 0.028
    covers = joined(
        meshes.box((x, y, board), 0.008),
        meshes.box((x, y, board), 0.008).moved((0, 0, z - board)),
        meshes.box((x, board, z), 0.008).moved((0, -y / 2 + board / 2, 0)),
    )
    pages = meshes.box((x - 0.06, y - 0.05, z - 2 * board)).moved((0, -0.0, board))
    title = meshes.box((x * 0.5, y * 0.16, 0.008)).moved((0, y * 0.2, z))
    frame = meshes.box((x * 0.3, y * 0.06, 0.008)).moved((0, -y * 0.12, z))
    return Model(
        (Part("main", covers), Part("paper", pages), Part("accent", joined(title, frame))), support=(z + 0.008, y / 2)
    )


def ball(variant: int) -> Model:
    """A ball; the second shape has two seams."""
    sphere = ellipsoid(1, 1, 1, 32).moved(rotation=about("x", 35))
    if variant == 0:
        return Model((Part("main", sphere),))
    circle = [(np.cos(a), np.sin(a), 0) for a in np.linspace(0, 2 * np.pi, 33)[:-1]]
    seam = sweep(circle, [(0.03, 0.05)] * 32, 6, closed=True)
    seams = joined(seam.moved(rotation=about("x", 35)), seam.moved(rotation=about("y", 70)))
    return Model((Part("main", sphere), Part("trim", seams)))


def laptop(variant: int) -> Model:
    """An open laptop: keyboard, touch pad, lit screen."""
    deep = (0.68, 0.74)[variant]
    base = meshes.box((1.0, deep, 0.045), 0.02)
    keys = [
        meshes.box((0.066, 0.066, 0.008)).moved((0.078 * (i - 5.5), deep / 2 - 0.09 - 0.078 * row, 0.045))
        for row in range(4)
        for i in range(12)
    ]
    well = meshes.box((0.94, 0.33, 0.003)).moved((0, deep / 2 - 0.205, 0.045))
    pad = meshes.box((0.3, deep - 0.48, 0.004)).moved((0, -deep / 2 + (deep - 0.44) / 2, 0.045))
    tilt = about("x", (-18, -28)[variant])
    hinge = (0, deep / 2 - 0.02, 0.035)
    lid = meshes.box((1.0, 0.03, 0.68), 0.014).moved(hinge, tilt)
    bezel = meshes.box((0.95, 0.006, 0.61)).moved((0, -0.016, 0.04)).moved(hinge, tilt)
    screen = _panel(0.90, 0.55).moved((0, -0.021, 0.07)).moved(hinge, tilt)
    return Model(
        (
            Part("main", joined(base, lid)),
            Part("dark", joined(well, bezel)),
            Part("trim", joined(*keys, pad)),
            Part("screen", screen),
        )
    )


def phone(variant: int) -> Model:
    """A phone on its back with a lit screen, or face down with its cameras up."""
    body = meshes.box((1.0, 0.5, 0.09), 0.04)
    if variant == 0:
        glass = meshes.box((0.86, 0.43, 0.01)).moved((0, 0, 0.086))
        screen = _panel(0.43, 0.80).moved(rotation=about("z", 90) @ about("x", -90)).moved((0.39, 0, 0.0975))
        return Model((Part("main", body), Part("dark", glass), Part("screen", screen.scaled(0.96, 0.92, 1))))
    bump = meshes.box((0.24, 0.24, 0.03), 0.014).moved((0.34, 0.09, 0.085))
    lenses = joined(
        *(
            lathe([(0.045, 0.1), (0.045, 0.13), (0, 0.132)], 12).moved((0.34 + dx, 0.09 + dy, 0))
            for dx, dy in ((-0.055, 0.055), (0.055, -0.055), (0.055, 0.055))
        )
    )
    return Model((Part("main", body), Part("trim", bump), Part("dark", lenses)))


def lamp(variant: int) -> Model:
    """A desk lamp with a jointed arm, or a table lamp with a shade."""
    if variant == 0:
        base = lathe([(0, 0), (0.3, 0), (0.32, 0.03), (0.3, 0.07), (0.05, 0.1), (0, 0.1)])
        elbow, head = (-0.22, 0, 0.62), (0.16, 0, 1.02)
        arm = joined(
            rod((0, 0, 0.08), elbow, 0.035), rod(elbow, head, 0.035), ellipsoid(0.06, 0.06, 0.06, 12).moved(elbow)
        )
        turn = about("y", -35)
        shade = lathe([(0.3, -0.34), (0.27, -0.2), (0.15, -0.02), (0.09, 0.06), (0, 0.08)])
        under = lathe([(0, -0.08), (0.14, -0.06), (0.25, -0.2), (0.3, -0.34)])
        bulb = ellipsoid(0.12, 0.12, 0.13, 14).moved((0, 0, -0.2))
        place = (0.24, 0, 1.0)
        return Model(
            (
                Part("main", joined(base, shade.moved(place, turn))),
                Part("steel", arm),
                Part("lining", under.moved(place, turn)),
                Part("bulb", bulb.moved(place, turn)),
            )
        )
    foot = lathe(
        [
            (0, 0),
            (0.22, 0),
            (0.24, 0.03),
            (0.12, 0.08),
            (0.05, 0.12),
            (0.12, 0.28),
            (0.1, 0.42),
            (0.035, 0.52),
            (0.035, 0.62),
            (0, 0.62),
        ]
    )
    shade = lathe([(0.38, 0.55), (0.21, 1.05), (0.2, 1.05), (0.37, 0.55)])
    bulb = ellipsoid(0.1, 0.1, 0.14, 14).moved((0, 0, 0.72))
    return Model((Part("main", shade), Part("accent", foot), Part("bulb", bulb)))


def candle(variant: int) -> Model:
    """A burning candle, bare, in a holder, or short and thick."""
    radius, height, floor = ((0.22, 1.0, 0.0), (0.16, 0.95, 0.14), (0.36, 0.62, 0.0))[variant]
    wax = lathe(
        [
            (0, floor),
            (radius, floor),
            (radius, floor + height - 0.03),
            (radius - 0.03, floor + height),
            (radius * 0.6, floor + height - 0.02),
            (0, floor + height - 0.04),
        ]
    )
    top = floor + height - 0.05
    wick = rod((0, 0, top), (0.01, 0, top + 0.12), 0.02, 8)
    flame = lathe([(0, 0), (0.05, 0.02), (0.085, 0.09), (0.07, 0.17), (0.03, 0.26), (0, 0.33)], 14).moved(
        (0.01, 0, top + 0.09)
    )
    parts = [Part("main", wax), Part("dark", wick), Part("flame", flame)]
    if variant == 1:
        dish = lathe([(0, 0), (0.32, 0), (0.4, 0.08), (0.38, 0.09), (0.3, 0.04), (0.2, 0.05), (0.2, 0.2), (0.165, 0.2)])
        parts.append(Part("steel", dish))
    return Model(tuple(parts))


def trivet(variant: int) -> Model:
    """A mat for hot pans: a square grid of bars, a wheel of rings and spokes, or a slotted disc."""
    if variant == 0:
        bars = [meshes.box((1.0, 0.085, 0.06), 0.015).moved((0, y, 0.045)) for y in np.linspace(-0.45, 0.45, 6)]
        rails = [meshes.box((0.085, 1.0, 0.06), 0.015).moved((x, 0, 0)) for x in (-0.4, 0.0, 0.4)]
        return Model((Part("main", joined(*bars, *rails)),), support=(0.105, 0.45))
    if variant == 1:
        rings = [_ring(radius, 0.05) for radius in (0.2, 0.36, 0.5)]
        spokes = [meshes.box((0.98, 0.06, 0.05), 0.01).moved(rotation=about("z", turn)) for turn in (0, 60, 120)]
        return Model((Part("main", joined(*rings, *spokes)),), support=(0.085, 0.42))
    profile: list[tuple[float, float]] = [(0, 0), (0.49, 0), (0.5, 0.02), (0.5, 0.07), (0.48, 0.08)]
    for radius in (0.42, 0.32, 0.22, 0.12):
        profile += [(radius + 0.03, 0.08), (radius + 0.015, 0.045), (radius - 0.015, 0.045), (radius - 0.03, 0.08)]
    disc = lathe([*profile, (0, 0.08)], 36)
    return Model((Part("main", disc),), support=(0.08, 0.42))


def _ring(radius: float, thick: float) -> Mesh:
    half = thick / 2
    return lathe(
        [(radius - half, 0), (radius + half, 0), (radius + half, 0.085), (radius - half, 0.085), (radius - half, 0)], 32
    )


def _panel(width: float, height: float) -> Mesh:
    """A picture facing -y, its lower edge on z = 0, one texture tile over all of it."""
    x = width / 2
    vertices = np.array([(-x, 0, 0), (x, 0, 0), (x, 0, height), (-x, 0, height)], float)
    faces = np.array([(0, 1, 2), (0, 2, 3)])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    return Mesh(vertices, faces, corners[faces])
