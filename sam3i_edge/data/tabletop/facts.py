"""What is true of a rendered scene. Texts are made from these facts alone, and checked against them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """One object of a scene, as the camera sees it."""

    kind: str
    """One of ``catalogue.KINDS``: "mug", "screwdriver", …"""
    colour: str
    """The name of its main colour: "red", "dark blue", …"""
    material: str
    """"ceramic", "metal", "wooden", "plastic", "glass", "paper", or "" where nobody would name one."""
    pattern: str
    """"plain", "striped", "dotted", …"""
    size: float
    """Longest extent of the object itself, metres."""
    lying: bool
    """A thing that could stand upright lies on its side."""
    resting_on: int | None
    """Index of the thing it lies on (a spoon on a book), else None: it rests on the table."""
    inside: int | None
    """Index of the thing it is in (a pen in a mug), else None."""
    position: tuple[float, float, float]
    """Centre, metres: x to the camera's right, y away from the camera, z up; the table's top is z = 0."""
    distance: float
    """Metres from the camera."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 of its visible pixels."""
    centre: tuple[float, float]
    """Mean x, y of its visible pixels."""
    area: int
    """Number of its visible pixels."""
    visible: float
    """Share of its outline in the image that is not hidden by other things or the image's edge, 0 to 1."""


@dataclass(frozen=True)
class SceneFacts:
    """All things of one scene; every one is visible enough to be pointed at."""

    width: int
    height: int
    things: tuple[Thing, ...]
