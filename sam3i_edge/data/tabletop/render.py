"""Scenes to pictures and exact instance masks, with MuJoCo's renderer off-screen."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import Any

import cv2
import numpy as np

from sam3i_edge.data.tabletop import materials, objects, shading
from sam3i_edge.data.tabletop.assets import compile_assets
from sam3i_edge.data.tabletop.rotations import Array, about
from sam3i_edge.data.tabletop.scene import Light, Scene, SceneObject
from sam3i_edge.errors import RuntimeUnavailableError, install, packages_for

MAX_SIZE = 1024
MAX_GEOMS = 400
SUPERSAMPLING = 1.5
NEAR, FAR = 0.03, 12.0
OUTLINE_MARGIN = 1.5
"""Outlines are drawn with a wider view than the picture, so that what its edge cuts off counts as hidden."""


def load_mujoco() -> tuple[Any, Any]:
    """Import MuJoCo and its class of off-screen OpenGL contexts.

    Raises:
        RuntimeUnavailableError: a package or EGL is missing; the message says what to install.
    """
    # The pictures are small: llvmpipe's threads cost more than they bring, and processes share the cores anyway.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    on_linux = sys.platform.startswith("linux")
    if on_linux:
        os.environ.setdefault("MUJOCO_GL", "egl")
    with packages_for("Rendering scenes", "data"):
        try:
            mujoco = importlib.import_module("mujoco")
            # By name: the environment variable comes too late if something else imported MuJoCo before.
            contexts = importlib.import_module("mujoco.egl" if on_linux else "mujoco.gl_context")
        except ModuleNotFoundError:
            raise
        except (ImportError, AttributeError, OSError, RuntimeError) as error:  # PyOpenGL without libEGL: AttributeError
            raise _no_egl(error) from error
    return mujoco, contexts.GLContext


def _no_egl(error: Exception) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"MuJoCo cannot render off-screen here ({error}). It needs EGL; on Debian and Ubuntu: "
        f"apt install libegl1 libegl-mesa0 (and {install('data')})."
    )


@functools.cache
def renderer() -> Renderer:
    """This process's renderer, made on first use (about a second)."""
    return Renderer()


def render(scene: Scene, size: int) -> tuple[Array, Array]:
    """Render with this process's renderer: picture (S, S, 3) uint8 RGB and instance map (S, S) int32, -1 = no thing."""
    here = renderer()
    return here.picture(scene, size), here.instances(scene, size)


class Renderer:
    """An OpenGL context with all meshes and textures in it.

    One compiled model holds every shape; a scene only lists which of them to draw, where, how stretched and in what
    colour, so nothing is compiled for a scene.

    Raises:
        RuntimeUnavailableError: MuJoCo or EGL is missing.
    """

    def __init__(self) -> None:
        self._mujoco, context = load_mujoco()
        try:
            self._window = context(MAX_SIZE, MAX_SIZE)
            self._window.make_current()
        except (ImportError, AttributeError, OSError, RuntimeError) as error:
            raise _no_egl(error) from error
        self._assets = compile_assets(self._mujoco, MAX_SIZE)
        self._context = self._mujoco.MjrContext(self._assets.model, self._mujoco.mjtFontScale.mjFONTSCALE_50)
        self._mujoco.mjr_setBuffer(self._mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = self._mujoco.MjvScene(self._assets.model, maxgeom=MAX_GEOMS)
        flags = self._mujoco.mjtRndFlag
        self._scene.flags[flags.mjRND_REFLECTION] = 0
        self._scene.flags[flags.mjRND_SKYBOX] = 0
        self._scene.flags[flags.mjRND_HAZE] = 0

    def instances(self, scene: Scene, size: int) -> Array:
        """(S, S) int32: which of ``scene.items`` each pixel shows, -1 for none."""
        self._begin(scene, 1.0)
        for index, item in enumerate(scene.items):
            self._draw_item(item, index)
        return self._read_indices(size)

    def outline(self, scene: Scene, index: int, size: int) -> float:
        """Pixels that one item would cover in a picture of ``size``, were nothing in front of it nor cut off."""
        self._begin(scene, OUTLINE_MARGIN)
        self._draw_item(scene.items[index], 0)
        half = int(size * OUTLINE_MARGIN / 2)
        scale: float = (size * OUTLINE_MARGIN / half) ** 2
        return float((self._read_indices(half) == 0).sum()) * scale

    def picture(self, scene: Scene, size: int) -> Array:
        """(S, S, 3) uint8 RGB."""
        self._begin(scene, 1.0)
        for index, item in enumerate(scene.items):
            self._draw_item(item, index)
        self._draw_room(scene)
        self._set_lights(scene)
        large = min(int(size * SUPERSAMPLING), MAX_SIZE)
        depth = np.empty((large, large), np.float32)
        pixels = self._read(large, segments=False, depth=depth)
        near, far = (buffered(shading.table_depth(scene.camera, large) + side)[:, None] for side in (-0.004, 0.004))
        table = ((depth[::-1] > near) & (depth[::-1] < far)).astype(np.uint8) * 255
        small, share = (cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA) for full in (pixels, table))
        return shading.graded(shading.shaded(small, share, scene), scene.grading)

    def _begin(self, scene: Scene, margin: float) -> None:
        self._scene.ngeom = 0
        angle = np.radians(scene.camera.tilt)
        half = NEAR * np.tan(np.radians(scene.camera.view) / 2) * margin
        for eye in self._scene.camera:
            eye.pos = scene.camera.position
            eye.forward = (0, np.cos(angle), -np.sin(angle))
            eye.up = (0, np.sin(angle), np.cos(angle))
            eye.frustum_near, eye.frustum_far = NEAR, FAR
            eye.frustum_bottom, eye.frustum_top = -half, half
            eye.frustum_center, eye.frustum_width = 0, half

    def _draw_item(self, item: SceneObject, index: int) -> None:
        for number, part in enumerate(objects.model(item.kind, item.variant).parts):
            look = materials.look(item, part.role)
            self._draw(f"{item.kind} {item.variant} {number}", item.matrix, item.position, look, index)

    def _draw_room(self, scene: Scene) -> None:
        room = scene.room
        turn = about("z", room.turn)
        self._draw(
            "table", turn, np.array([0, room.table_edge, 0.0]), materials.surface(room.table, room.table_tint), -1
        )
        wall = np.array([0, room.depth, 0.0])
        self._draw("wall", about("z", room.turn / 3), wall, materials.surface(room.wall, room.wall_tint, 0.25), -1)
        self._draw("floor", np.eye(3), np.zeros(3), materials.surface("", (0.42, 0.38, 0.34)), -1)
        for number in range(self._scene.ngeom - 3, self._scene.ngeom):  # they receive shadows, and cast none: faster
            self._scene.geoms[number].category = self._mujoco.mjtCatBit.mjCAT_DECOR

    def _draw(self, name: str, matrix: Array, position: Array, look: materials.Material, index: int) -> None:
        mesh = self._assets.meshes[name]
        geom = self._scene.geoms[self._scene.ngeom]
        # The compiler moved the mesh to its centre of mass and turned it to its principal axes: undo that.
        world = matrix @ mesh.rotation
        self._mujoco.mjv_initGeom(
            geom,
            self._mujoco.mjtGeom.mjGEOM_MESH,
            np.ones(3),
            matrix @ mesh.offset + position,
            world.ravel(),
            np.array(look.rgba, np.float32),
        )
        geom.dataid = 2 * mesh.index  # odd numbers are convex hulls
        geom.matid = self._assets.materials[look.texture] if look.texture else -1
        geom.texcoord = 1
        geom.segid = index
        geom.category = self._mujoco.mjtCatBit.mjCAT_DYNAMIC
        geom.emission, geom.specular, geom.shininess, geom.reflectance = look.emission, look.specular, look.shininess, 0
        self._scene.ngeom += 1

    def _set_lights(self, scene: Scene) -> None:
        self._scene.nlight = len(scene.lights)
        for number, source in enumerate(scene.lights):
            light = self._scene.lights[number]
            direction = _direction(source)
            light.type = self._mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
            light.pos = -2.0 * direction
            light.dir = direction
            # On a light that casts shadows, the ambient part would be missing in the shadows too.
            light.ambient = scene.ambient if number == 1 else (0, 0, 0)
            light.diffuse = source.colour
            light.specular = [0.5 * value for value in source.colour]
            light.attenuation = (1, 0, 0)
            light.cutoff, light.exponent, light.headlight = 180, 0, 0
            light.castshadow = source.shadow
            light.texid = -1

    def _read(self, size: int, segments: bool, depth: Array | None = None) -> Array:
        flags = self._mujoco.mjtRndFlag
        self._scene.flags[flags.mjRND_SEGMENT] = segments
        self._scene.flags[flags.mjRND_IDCOLOR] = segments
        self._scene.flags[flags.mjRND_SHADOW] = not segments
        view = self._mujoco.MjrRect(0, 0, size, size)
        pixels = np.empty((size, size, 3), np.uint8)
        self._mujoco.mjr_render(view, self._scene, self._context)
        self._mujoco.mjr_readPixels(pixels, depth, view, self._context)
        return pixels[::-1]

    def _read_indices(self, size: int) -> Array:
        indices: Array = self._read(size, segments=True)[..., 0].astype(np.int32) - 1
        return indices


def buffered(distance: Array) -> Array:
    """Metres along the camera's axis as the depth buffer holds them, 0 to 1."""
    depth: Array = (FAR - NEAR * FAR / np.maximum(distance, NEAR)) / (FAR - NEAR)
    return depth.astype(np.float32)


def _direction(light: Light) -> Array:
    azimuth, height = np.radians(light.azimuth), np.radians(light.height)
    return -np.array([np.sin(azimuth) * np.cos(height), -np.cos(azimuth) * np.cos(height), np.sin(height)])
