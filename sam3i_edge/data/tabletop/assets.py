"""All shapes and textures as one compiled MuJoCo model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sam3i_edge.data.tabletop import meshes, objects, textures
from sam3i_edge.data.tabletop.catalogue import CATALOGUE
from sam3i_edge.data.tabletop.meshes import Mesh
from sam3i_edge.data.tabletop.rotations import Array, about

SHADOW_MAP = 768
SHADOW_REACH = 0.62
"""Half the side of the square, across the light, in which things cast shadows, metres."""
TABLE = (2.2, 1.6, 0.05)


@dataclass(frozen=True, eq=False)
class Shape:
    """A compiled mesh: its number, and how the compiler moved it."""

    index: int
    offset: Array
    rotation: Array


@dataclass(frozen=True, eq=False)
class Assets:
    """What the renderer draws with.

    Attributes:
        model: the compiled MjModel.
        meshes: by name, "mug 0 1": kind, variant, part.
        materials: index of the material of each texture.
    """

    model: Any
    meshes: dict[str, Shape]
    materials: dict[str, int]


def compile_assets(mujoco: Any, buffer_size: int) -> Assets:
    """Compile every shape and texture, for pictures up to ``buffer_size`` pixels."""
    spec = mujoco.MjSpec()
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = SHADOW_MAP
    spec.visual.global_.offwidth = spec.visual.global_.offheight = buffer_size
    spec.stat.extent = 1.0
    spec.visual.map.shadowclip = SHADOW_REACH
    shapes = _shapes()
    normals = {name: mesh.normals().reshape(-1, 3) for name, mesh in shapes.items()}
    for name, mesh in shapes.items():
        _add_mesh(mujoco, spec, name, mesh, normals[name])
    pictures = _pictures()
    for name, picture in pictures.items():
        _add_texture(mujoco, spec, name, picture)
    model = spec.compile()
    return Assets(
        model,
        {name: _shape(mujoco, model, name, normals[name]) for name in shapes},
        {name: int(model.material(name).id) for name in pictures},
    )


def _shapes() -> dict[str, Mesh]:
    shapes = {
        f"{name} {variant} {number}": part.mesh
        for name, kind in CATALOGUE.items()
        for variant in range(kind.variants)
        for number, part in enumerate(objects.model(name, variant).parts)
    }
    x, y, z = TABLE
    table = meshes.box(TABLE, 0.02).moved((0, -y / 2, -z))
    # One tile covers the whole top, and runs on over the edges.
    corners = table.vertices[table.faces]
    shapes["table"] = Mesh(table.vertices, table.faces, corners[..., :2] / max(x, y) + 0.5)
    shapes["wall"] = _sheet(5.0, 5.0, 1).moved((0, 0, 0.4), about("x", 90))
    shapes["floor"] = _sheet(12.0, 12.0, 1).moved((0, 0, -0.75))
    return shapes


def _sheet(width: float, height: float, tiles: int) -> Mesh:
    """A flat sheet facing up."""
    x, y = width / 2, height / 2
    vertices = np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], float)
    faces = np.array([(0, 1, 2), (0, 2, 3)])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float) * tiles
    return Mesh(vertices, faces, corners[faces])


def _pictures() -> dict[str, Array]:
    pictures = {name: textures.surface(name) for name in (*textures.TABLES, *textures.WALLS)}
    pictures |= {name: textures.pattern(name) for name in textures.pattern_names()}
    pictures |= {"screen": textures.screen(), "wood": textures.wood()}
    return pictures


def _add_mesh(mujoco: Any, spec: Any, name: str, mesh: Mesh, normals: Array) -> None:
    added = spec.add_mesh(name=name)
    corners = np.arange(mesh.faces.size, dtype=np.int32)
    added.uservert = mesh.vertices.ravel()
    added.userface = mesh.faces.ravel().astype(np.int32)
    added.usernormal = normals.ravel()
    added.userfacenormal = corners
    added.usertexcoord = mesh.uv.ravel()
    added.userfacetexcoord = corners
    added.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL


def _add_texture(mujoco: Any, spec: Any, name: str, picture: Array) -> None:
    height, width, channels = picture.shape
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height)
    texture.nchannel = channels
    texture.data = np.ascontiguousarray(picture[::-1]).tobytes()
    material = spec.add_material(name=name)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _shape(mujoco: Any, model: Any, name: str, normals: Array) -> Shape:
    index = int(model.mesh(name).id)
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, model.mesh_quat[index])
    rotation = flat.reshape(3, 3)
    # The compiler smooths the normals its own way, over every edge: put ours back, one for each corner.
    start, count = int(model.mesh_normaladr[index]), int(model.mesh_normalnum[index])
    face, faces = int(model.mesh_faceadr[index]), int(model.mesh_facenum[index])
    model.mesh_normal[start : start + count] = normals @ rotation
    model.mesh_facenormal[face : face + faces] = np.arange(count).reshape(-1, 3)
    return Shape(index, model.mesh_pos[index].copy(), rotation)
