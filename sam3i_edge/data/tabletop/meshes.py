"""Triangle meshes from a few moves: turn a profile, sweep along a path, round a box, extrude an outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam3i_edge.data.tabletop.rotations import Array, about

SMOOTH_BELOW = np.cos(np.radians(50))
"""Faces that meet at less than this angle share a normal; sharper edges stay edges."""


@dataclass(frozen=True)
class Mesh:
    """Triangles, counter-clockwise seen from outside.

    Attributes:
        vertices: (n, 3) float.
        faces: (m, 3) int, indices into ``vertices``.
        uv: (m, 3, 2) float, texture coordinates of each face's corners; one unit is one tile of a pattern.
    """

    vertices: Array
    faces: Array
    uv: Array

    def moved(self, offset: Sequence[float] = (0, 0, 0), rotation: Array | None = None) -> Mesh:
        """Turned by ``rotation`` (3, 3), then shifted by ``offset``."""
        turned = self.vertices if rotation is None else self.vertices @ rotation.T
        return Mesh(turned + np.asarray(offset, float), self.faces, self.uv)

    def scaled(self, *factors: float) -> Mesh:
        """Stretched by one factor, or by one for each axis (all positive)."""
        return Mesh(self.vertices * np.asarray(factors, float), self.faces, self.uv)

    def normals(self) -> Array:
        """(m, 3, 3) unit normals of each face's corners, averaged over the faces that meet there smoothly."""
        corners = self.vertices[self.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        unit = cross / np.linalg.norm(cross, axis=1, keepdims=True)
        _, place = np.unique(np.round(self.vertices, 5), axis=0, return_inverse=True)
        place = place.ravel()[self.faces].ravel()
        order = np.argsort(place, kind="stable")
        counts = np.bincount(place[order])
        # Every ordered pair of corners at one place: which faces smooth which.
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        size = counts[place[order]]
        first = np.repeat(np.arange(len(order)), size)
        within = np.arange(len(first)) - np.repeat(np.cumsum(size) - size, size)
        second = starts[place[order]][first] + within
        face_a, face_b = order[first] // 3, order[second] // 3
        smooth = np.einsum("ij,ij->i", unit[face_a], unit[face_b]) > SMOOTH_BELOW
        total = np.zeros((len(order), 3))
        np.add.at(total, order[first[smooth]], cross[face_b[smooth]])
        result: Array = (total / np.linalg.norm(total, axis=1, keepdims=True)).reshape(-1, 3, 3)
        return result


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def lathe(profile: Sequence[tuple[float, float]], segments: int = 28) -> Mesh:
    """Turn ``profile``, points (radius, height), about the z axis.

    The surface faces to the right of the profile's direction: go outwards along the bottom, up the outside, and, for a
    vessel, over the rim and down the inside.
    """
    points = np.asarray(profile, float)
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    vertices = np.empty((len(points), segments, 3))
    vertices[..., :2] = points[:, None, :1] * ring
    vertices[..., 2] = points[:, 1:]
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    tile = points[:, 0].max() / 2
    around = np.arange(segments + 1) / segments * max(3, round(2 * np.pi * points[:, 0].max() / tile))
    return _grid(vertices, around, along / tile, closed=True)


def sweep(
    path: Sequence[Sequence[float]] | Array,
    radii: Sequence[Sequence[float]] | Sequence[float] | Array,
    segments: int = 12,
    normal: Sequence[float] = (0, 0, 1),
    closed: bool = False,
) -> Mesh:
    """A tube along ``path`` (n, 3).

    Args:
        path: its centre line; for a ring (``closed``), without repeating the first point.
        radii: one for each point, or a pair: across, and along ``normal``.
        segments: corners of the cross-section.
        normal: a direction that the path never takes.
        closed: join the ends; otherwise they are capped.
    """
    points = np.asarray(path, float)
    size = np.asarray(radii, float)
    size = np.stack([size, size], 1) if size.ndim == 1 else size
    if closed:
        points, size = np.concatenate([points, points[:1]]), np.concatenate([size, size[:1]])
        ends = np.concatenate([points[-2:-1], points, points[1:2]])
        tangent = ends[2:] - ends[:-2]
    else:
        tangent = np.gradient(points, axis=0)
        points = np.concatenate([points[:1], points, points[-1:]])  # the caps: rings of no radius
        size = np.concatenate([np.zeros((1, 2)), size, np.zeros((1, 2))])
        tangent = np.concatenate([tangent[:1], tangent, tangent[-1:]])
    tangent = tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(np.asarray(normal, float), tangent)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(tangent, side)
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    vertices = (
        points[:, None]
        + (size[:, :1, None] * side[:, None]) * np.cos(angles)[None, :, None]
        + (size[:, 1:, None] * up[:, None]) * np.sin(angles)[None, :, None]
    )
    return _grid(vertices, np.arange(segments + 1) / segments * 2, np.linspace(0, 3, len(points)), closed=True)


def box(size: Sequence[float], radius: float = 0.0, tile: float = 0.0) -> Mesh:
    """A box of ``size`` (x, y, z) standing on z = 0, centred in x and y, its edges rounded by ``radius``.

    ``tile`` is the side of one tile of a pattern (0: a quarter of the longest side).
    """
    half = np.asarray(size, float) / 2
    radius = min(radius, half.min() * 0.999)
    tile = tile or half.max() / 2
    parts = []
    for axis in range(3):
        across, upward = (axis + 1) % 3, (axis + 2) % 3
        grid_a, grid_b = np.meshgrid(_stops(half[across], radius), _stops(half[upward], radius))
        for sign in (-1.0, 1.0):
            points = np.empty((*grid_a.shape, 3))
            points[..., axis], points[..., across], points[..., upward] = sign * half[axis], sign * grid_a, grid_b
            inner = np.clip(points, -(half - radius), half - radius)
            outward = points - inner
            length = np.linalg.norm(outward, axis=-1, keepdims=True)
            points = inner + radius * outward / np.where(length == 0, 1, length) if radius else points
            parts.append(_grid(points, grid_a[0] / tile + 0.5, grid_b[:, 0] / tile + 0.5, closed=False))
    return joined(*parts).moved((0, 0, half[2]))


def _stops(half: float, radius: float) -> Array:
    if not radius:
        return np.array([-half, half])
    flat = half - radius
    curve = flat + radius * np.array([0, 0.42, 1.0])  # 0.42 ends up at 45 / 2 degrees from the flat face
    return np.unique(np.concatenate([-curve, curve]))


def extrude(outline: Sequence[Sequence[float]] | Array, height: float, bevel: float = 0.0) -> Mesh:
    """Raise ``outline`` (n, 2), counter-clockwise, from z = 0 to ``height``; the centroid must see every corner.

    ``bevel`` shrinks the upper edge towards the centroid by that share.
    """
    points = np.asarray(outline, float)
    centre = points.mean(0)
    rings = [(0.0, 0.0), (1.0, 0.0), (1.0, height * (1 - 0.6 * (bevel > 0))), (1 - bevel, height), (0.0, height)]
    vertices = np.stack(
        [np.concatenate([centre + share * (points - centre), np.full((len(points), 1), z)], 1) for share, z in rings]
    )
    return _grid(vertices, np.linspace(0, 4, len(points) + 1), np.linspace(0, 4, len(rings)), closed=True)


def ellipsoid(radius_x: float, radius_y: float, radius_z: float, segments: int = 24) -> Mesh:
    """An ellipsoid about the origin."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    profile = [(max(0.0, float(np.cos(angle))), float(np.sin(angle))) for angle in angles]
    profile[0], profile[-1] = (0.0, -1.0), (0.0, 1.0)
    return lathe(profile, segments).scaled(radius_x, radius_y, radius_z)


def rod(start: Sequence[float], end: Sequence[float], radius: float, segments: int = 10) -> Mesh:
    """A cylinder from ``start`` to ``end``."""
    along = np.asarray(end, float) - np.asarray(start, float)
    normal = (0, 0, 1) if abs(along[2]) < 0.9 * np.linalg.norm(along) else (1, 0, 0)
    return sweep([start, end], [radius, radius], segments, normal)


def arc(radius: float, start: float, stop: float, count: int) -> Array:
    """(count, 2) points on a circle about the origin, from ``start`` to ``stop`` degrees."""
    angles = np.radians(np.linspace(start, stop, count))
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def lying(mesh: Mesh) -> Mesh:
    """A mesh built along z, laid along x."""
    return mesh.moved(rotation=about("y", 90))


def _grid(vertices: Array, u: Array, v: Array, closed: bool) -> Mesh:
    """Join a grid of points (rows, columns, 3) by triangles; ``closed`` joins the last column to the first."""
    rows, columns = vertices.shape[:2]
    wide = columns if closed else columns - 1
    first, column = np.repeat(np.arange(rows - 1), wide), np.tile(np.arange(wide), rows - 1)
    right = (column + 1) % columns
    below, above = first * columns, (first + 1) * columns
    quad = np.stack([below + column, below + right, above + right, above + column], 1)
    uv = np.stack([np.stack([u[column + i], v[first + j]], 1) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))], 1)
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    corners = np.concatenate([uv[:, [0, 1, 2]], uv[:, [0, 2, 3]]])
    flat = vertices.reshape(-1, 3)
    sides = flat[faces]
    area = np.linalg.norm(np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0]), axis=1)
    keep = area > 1e-10  # at a pole, quads are triangles
    return Mesh(flat, faces[keep], corners[keep])
