"""A scene as plain values: things on a table, light, camera, and what the camera does to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam3i_edge.data.tabletop import objects
from sam3i_edge.data.tabletop.rotations import Array

RGB = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One thing in its place. World axes: x to the camera's right, y away from it, z up, table top at z = 0."""

    kind: str
    variant: int
    colour: str
    material: str
    pattern: str
    rgb: RGB
    """Its own shade of ``colour``, 0 to 1."""
    accent: RGB
    size: float
    """Longest extent, metres."""
    matrix: Array
    """(3, 3): rotation times stretch, from the model to metres."""
    position: Array
    """(3,): where the model's origin is, metres."""
    lying: bool = False
    resting_on: int | None = None
    """Index of the item it lies on."""
    inside: int | None = None
    """Index of the item it is in."""

    def corners(self) -> Array:
        """(n, 3): all its vertices in the world, metres."""
        points: Array = objects.corners(self.kind, self.variant) @ self.matrix.T + self.position
        return points


@dataclass(frozen=True)
class Camera:
    """A camera that looks along +y, tilted down.

    Attributes:
        position: x, y, z in metres.
        tilt: degrees below the horizon.
        view: vertical and horizontal field of view, degrees.
    """

    position: tuple[float, float, float]
    tilt: float
    view: float

    def project(self, points: Array) -> tuple[Array, Array]:
        """``points`` (n, 3) to image coordinates (n, 2) in 0 to 1, y down, and depth (n,) in metres."""
        angle = np.radians(self.tilt)
        relative = points - np.asarray(self.position)
        depth = relative[:, 1] * np.cos(angle) - relative[:, 2] * np.sin(angle)
        upward = relative[:, 1] * np.sin(angle) + relative[:, 2] * np.cos(angle)
        reach = np.maximum(depth, 1e-3) * np.tan(np.radians(self.view) / 2)
        return np.stack([0.5 + relative[:, 0] / reach / 2, 0.5 - upward / reach / 2], 1), depth


@dataclass(frozen=True)
class Light:
    """Sunlight-like: parallel, from ``azimuth`` (degrees, 0 behind the camera) and ``height`` (degrees)."""

    azimuth: float
    height: float
    colour: RGB
    shadow: bool


@dataclass(frozen=True)
class Room:
    """Table and wall.

    Attributes:
        table, wall: names of ``textures.TABLES`` and ``textures.WALLS``.
        table_tint, wall_tint: multiply the textures.
        turn: of the table, degrees.
        depth: distance from the middle of the scene to the wall, metres.
        table_edge: distance from the middle of the scene to the table's far edge, metres.
    """

    table: str
    wall: str
    table_tint: RGB
    wall_tint: RGB
    turn: float
    depth: float
    table_edge: float


@dataclass(frozen=True)
class Grading:
    """From the rendered light to the picture: exposure, warmth, contrast, noise (standard deviation), blur (pixels)."""

    exposure: float
    warmth: float
    contrast: float
    vignette: float
    noise: float
    blur: float
    seed: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything ``render`` needs."""

    items: tuple[SceneObject, ...]
    camera: Camera
    lights: tuple[Light, ...]
    ambient: RGB
    room: Room
    grading: Grading
