"""What happens to the rendered light: soft shade where things stand on the table, then the camera's grading."""

from __future__ import annotations

import cv2
import numpy as np

from sam3i_edge.data.tabletop.rotations import Array
from sam3i_edge.data.tabletop.scene import Camera, Grading, Scene, SceneObject

SHADE_SIZE = 224
SHADE_REACH = 0.75
"""Half the side of the square of table that is shaded, metres."""
EXPOSED = 0.5
"""Mean brightness that the exposure aims at."""
SHOULDER = 0.8
SHADE_TINT = (0.9, 1.0, 1.04)
"""How strongly each colour is dimmed: shade is a little warmer than light."""


def shaded(picture: Array, table: Array, scene: Scene) -> Array:
    """Dim the table where things hide the sky from it.

    Args:
        picture: (S, S, 3) uint8.
        table: (S, S) uint8, the share of each pixel that shows the table's top, 0 to 255.
        scene: what the picture shows.
    """
    size = picture.shape[0]
    to_image = _table_to_image(scene.camera, size)
    shade = cv2.warpPerspective(_contact_shade(scene.items), to_image, (size, size), flags=cv2.INTER_LINEAR)
    shade = cv2.multiply(shade, table, scale=1 / 255)
    dimming = 255 - cv2.merge([cv2.convertScaleAbs(shade, alpha=share) for share in SHADE_TINT])
    dimmed: Array = cv2.multiply(picture, dimming, scale=1 / 255)
    return dimmed


def table_depth(camera: Camera, size: int) -> Array:
    """(size,): depth of the plane z = 0 in each row, metres; far beyond anything above the horizon."""
    angle = np.radians(camera.tilt)
    slope = (1 - 2 * (np.arange(size) + 0.5) / size) * np.tan(np.radians(camera.view) / 2)
    falling = np.sin(angle) - slope * np.cos(angle)
    depth: Array = np.where(falling > 1e-3, camera.position[2] / np.maximum(falling, 1e-3), 1e3)
    return depth


def _table_to_image(camera: Camera, size: int) -> Array:
    """(3, 3): from pixels of the shade map to pixels of the image."""
    reach = 0.3  # four points of the table, in front of the camera
    points = np.array([(-reach, -reach, 0), (reach, -reach, 0), (reach, reach, 0), (-reach, reach, 0)], float)
    points[:, 0] += camera.position[0]
    forward = camera.position[1] + camera.position[2] / np.tan(np.radians(camera.tilt))
    points[:, 1] = points[:, 1] * min(1.0, camera.position[2]) + forward
    image, _ = camera.project(points)
    table = (points[:, :2] + SHADE_REACH) * SHADE_SIZE / (2 * SHADE_REACH)
    matrix: Array = cv2.getPerspectiveTransform(table.astype(np.float32) - 0.5, (image * size).astype(np.float32) - 0.5)
    return matrix


def _contact_shade(items: tuple[SceneObject, ...]) -> Array:
    """(SHADE_SIZE, SHADE_SIZE) uint8: how much of the sky things hide from the table; the first row is the nearest."""
    touching = np.zeros((SHADE_SIZE, SHADE_SIZE), np.uint8)
    near = touching.copy()
    scale = SHADE_SIZE / (2 * SHADE_REACH)
    for item in items:
        if item.inside is not None or item.resting_on is not None:
            continue
        points = item.corners()
        for mask, height in ((touching, 0.02), (near, 0.12)):
            low = points[points[:, 2] < height][:, :2]
            if len(low) >= 3:
                hull = cv2.convexHull(((low + SHADE_REACH) * scale * 16).astype(np.int32))
                cv2.fillConvexPoly(mask, hull, 255, shift=4)
    sharp = cv2.GaussianBlur(touching, (0, 0), 0.010 * scale)
    soft = cv2.GaussianBlur(near, (0, 0), 0.035 * scale)
    shade: Array = cv2.addWeighted(sharp, 0.38, soft, 0.34, 0)
    return shade


def graded(picture: Array, grading: Grading) -> Array:
    """The camera's part: (S, S, 3) uint8 to (S, S, 3) uint8."""
    size = picture.shape[0]
    value = cv2.LUT(picture, _curve(grading, float(picture.mean()) / 255))
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    value *= (1 - grading.vignette * (axis[:, None] ** 2 + axis[None] ** 2) / 2)[..., None]
    if grading.blur > 0.05:
        value = cv2.GaussianBlur(value, (0, 0), grading.blur)
    rng = np.random.default_rng(grading.seed)
    value += np.float32(255 * grading.noise) * rng.standard_normal(value.shape, np.float32)
    result: Array = np.clip(value + 0.5, 0, 255).astype(np.uint8)
    return result


def _curve(grading: Grading, mean: float) -> Array:
    """(1, 256, 3) float32: what each value of each channel becomes, 0 to 255."""
    # Half of what an automatic exposure would do: dark tables stay dark, but nothing drowns.
    gain = grading.exposure * float(np.clip((EXPOSED / max(0.05, mean)) ** 0.5, 0.85, 1.14))
    value = np.linspace(0, 1, 256)[None, :, None] * gain * np.array([1 + grading.warmth, 1.0, 1 - grading.warmth])
    # A soft shoulder instead of burnt-out highlights.
    value = np.where(value > SHOULDER, SHOULDER + (1 - SHOULDER) * np.tanh((value - SHOULDER) / (1 - SHOULDER)), value)
    value = value + grading.contrast * value * (1 - value) * (2 * value - 1)
    curve: Array = (255 * value).astype(np.float32)
    return curve
