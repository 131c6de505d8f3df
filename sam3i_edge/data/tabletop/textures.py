"""Procedural pictures: table tops, walls, patterns of things, a screen. All (S, S, 3) uint8, fixed for ever."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from sam3i_edge.data.tabletop.catalogue import COLOURS
from sam3i_edge.data.tabletop.rotations import Array

SURFACE_SIZE = 512
PATTERN_SIZE = 64


def _noise(rng: np.random.Generator, size: int, rows: int, columns: int) -> Array:
    """Smooth noise in 0 to 1 of ``rows`` x ``columns`` bumps."""
    coarse = rng.random((rows + 1, columns + 1), np.float32)
    smooth: Array = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 1)


def _cloudy(rng: np.random.Generator, size: int, bumps: int) -> Array:
    """Noise of several octaves, about 0.5."""
    total: Array = np.sum([_noise(rng, size, bumps << i, bumps << i) * 0.5**i for i in range(4)], axis=0) / 1.875
    return total


def _mix(share: Array, low: tuple[float, float, float], high: tuple[float, float, float]) -> Array:
    mixed: Array = np.asarray(low) + share[..., None] * (np.asarray(high) - np.asarray(low))
    return mixed


def _wood(low: tuple[float, float, float], high: tuple[float, float, float], planks: int) -> Callable[..., Array]:
    def paint(rng: np.random.Generator, size: int) -> Array:
        across = (np.arange(size) / size)[:, None]
        grain = _noise(rng, size, 160, 3) * 0.5 + _noise(rng, size, 60, 2) * 0.5
        rings = 0.5 + 0.5 * np.sin(
            2 * np.pi * (across * 14 + 2.2 * _noise(rng, size, 5, 2) + 0.4 * _noise(rng, size, 12, 4))
        )
        share = 0.45 * rings + 0.55 * grain
        if planks:
            row = (across * planks).astype(int)
            offset = rng.random(planks)[row]
            share = np.clip(
                np.take_along_axis(share, (np.arange(size)[None] + (offset * size).astype(int)) % size, 1), 0, 1
            )
            share = np.clip(share + 0.5 * (offset - 0.5), 0, 1)
        colour = _mix(share, low, high)
        if planks:
            gap = np.abs((across * planks + 0.5) % 1 - 0.5) < 0.012 * planks / 5
            colour = np.where(gap[..., None], colour * 0.45, colour)
        return colour

    return paint


def _cloth(base: tuple[float, float, float], second: tuple[float, float, float], checks: int) -> Callable[..., Array]:
    def paint(rng: np.random.Generator, size: int) -> Array:
        y, x = np.mgrid[:size, :size] / size
        weave = 0.5 + 0.25 * np.sin(2 * np.pi * 128 * x) + 0.25 * np.sin(2 * np.pi * 128 * y)
        share = np.zeros((size, size))
        if checks:
            share = ((x * checks % 1 < 0.5).astype(float) + (y * checks % 1 < 0.5)) / 2
        shade = 0.9 + 0.06 * weave + 0.08 * (_cloudy(rng, size, 3) - 0.5)
        shaded: Array = _mix(share, base, second) * shade[..., None]
        return shaded

    return paint


def _stone(low: tuple[float, float, float], high: tuple[float, float, float], veins: float) -> Callable[..., Array]:
    def paint(rng: np.random.Generator, size: int) -> Array:
        cloud = _cloudy(rng, size, 4)
        vein = np.exp(-(((cloud - 0.5) / 0.012) ** 2)) * _noise(rng, size, 4, 4)
        speckle = rng.random((size, size)) * 0.1
        return _mix(np.clip(cloud * 0.8 + speckle - veins * vein, 0, 1), low, high)

    return paint


def _tiles(tile: tuple[float, float, float], joint: tuple[float, float, float], count: int) -> Callable[..., Array]:
    def paint(rng: np.random.Generator, size: int) -> Array:
        y, x = np.mgrid[:size, :size] / size * count
        x = x / 2 + 0.5 * (y.astype(int) % 2)
        edge = np.minimum(np.minimum(x % 1, 1 - x % 1) * 2, np.minimum(y % 1, 1 - y % 1))
        tint = rng.random((count + 1, count + 1))[y.astype(int) % count, x.astype(int) % count]
        return np.where(
            (edge < 0.035)[..., None], np.asarray(joint), np.asarray(tile) * (0.93 + 0.07 * tint[..., None])
        )

    return paint


def _room(warm: float) -> Callable[..., Array]:
    """A room far out of focus."""

    def paint(rng: np.random.Generator, size: int) -> Array:
        blobs = (
            rng.random((7, 7, 1)) * 0.5 + 0.32 + rng.uniform(-0.07, 0.07, (7, 7, 3)) + np.array([0.06, 0, -0.06]) * warm
        )
        smooth: Array = cv2.GaussianBlur(
            cv2.resize(blobs, (size, size), interpolation=cv2.INTER_CUBIC), (0, 0), size / 22
        )
        return np.clip(smooth, 0, 1)

    return paint


TABLES: dict[str, Callable[..., Array]] = {
    "oak": _wood((0.62, 0.44, 0.27), (0.82, 0.65, 0.45), 5),
    "birch": _wood((0.78, 0.66, 0.50), (0.90, 0.80, 0.66), 0),
    "walnut": _wood((0.30, 0.19, 0.12), (0.48, 0.32, 0.21), 4),
    "pine": _wood((0.76, 0.56, 0.34), (0.92, 0.76, 0.54), 7),
    "grey oak": _wood((0.48, 0.44, 0.40), (0.68, 0.64, 0.59), 6),
    "linen": _cloth((0.88, 0.84, 0.76), (0.88, 0.84, 0.76), 0),
    "blue linen": _cloth((0.55, 0.64, 0.72), (0.55, 0.64, 0.72), 0),
    "sage linen": _cloth((0.66, 0.71, 0.60), (0.66, 0.71, 0.60), 0),
    "gingham": _cloth((0.90, 0.88, 0.84), (0.62, 0.70, 0.78), 16),
    "marble": _stone((0.66, 0.66, 0.67), (0.93, 0.92, 0.91), 0.8),
    "slate": _stone((0.22, 0.23, 0.25), (0.38, 0.39, 0.41), 0.0),
    "sandstone": _stone((0.66, 0.60, 0.52), (0.84, 0.79, 0.71), 0.0),
}
"""Table tops. One tile covers the whole table."""

WALLS: dict[str, Callable[..., Array]] = {
    "cream plaster": _stone((0.84, 0.80, 0.72), (0.93, 0.90, 0.83), 0.0),
    "blue plaster": _stone((0.52, 0.60, 0.66), (0.64, 0.71, 0.76), 0.0),
    "clay plaster": _stone((0.70, 0.52, 0.44), (0.79, 0.62, 0.53), 0.0),
    "white tiles": _tiles((0.90, 0.91, 0.90), (0.68, 0.68, 0.66), 14),
    "green tiles": _tiles((0.46, 0.60, 0.55), (0.75, 0.76, 0.72), 12),
    "boards": _wood((0.60, 0.56, 0.50), (0.76, 0.72, 0.66), 12),
    "warm room": _room(1.0),
    "cool room": _room(-0.6),
}
"""What stands behind the table."""


def pattern_names() -> list[str]:
    """All patterns: "striped red", "dotted red", …"""
    return [f"{pattern} {colour}" for colour in COLOURS for pattern in ("striped", "dotted")]


def pattern(name: str) -> Array:
    """One tile of a pattern: the colour with white on it, or dark grey on white and yellow."""
    style, colour = name.split(" ", 1)
    size = PATTERN_SIZE
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    if style == "striped":
        share = np.clip((0.2 - np.abs(y - 0.5)) * size / 2 + 0.5, 0, 1)
    else:
        share = np.clip((0.27 - np.hypot(x - 0.5, y - 0.5)) * size / 2 + 0.5, 0, 1)
    second = (0.22, 0.22, 0.25) if colour in ("white", "yellow") else (0.95, 0.94, 0.92)
    return _bytes(_mix(share, COLOURS[colour], second))


def screen() -> Array:
    """What a lit screen shows: a blue gradient with a window on it."""
    size = PATTERN_SIZE * 2
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    picture = _mix((x + y) / 2, (0.30, 0.55, 0.85), (0.75, 0.88, 0.98))
    window = (np.abs(x - 0.5) < 0.33) & (np.abs(y - 0.52) < 0.28)
    picture[window] = (0.96, 0.97, 0.98)
    for line in range(5):
        inked = window & (np.abs(y - 0.36 - 0.08 * line) < 0.015) & (x > 0.24) & (x < 0.72 - 0.06 * (line * 7 % 4))
        picture[inked] = (0.45, 0.5, 0.58)
    return _bytes(picture)


def wood() -> Array:
    """The grain of wooden things."""
    return _bytes(_wood((0.42, 0.25, 0.13), (0.62, 0.40, 0.22), 0)(np.random.default_rng(7), 128))


def surface(name: str) -> Array:
    """A table top or a wall by name."""
    paint = TABLES.get(name) or WALLS[name]
    seed = (*TABLES, *WALLS).index(name)
    return _bytes(paint(np.random.default_rng(seed), SURFACE_SIZE))


def _bytes(picture: Array) -> Array:
    values: Array = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    return values
