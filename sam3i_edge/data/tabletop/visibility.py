"""From a scene to what is true of its picture; things that cannot be pointed at are taken away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam3i_edge.data.tabletop.catalogue import held_out
from sam3i_edge.data.tabletop.facts import SceneFacts, Thing
from sam3i_edge.data.tabletop.render import Renderer
from sam3i_edge.data.tabletop.rotations import Array
from sam3i_edge.data.tabletop.sampling import sample
from sam3i_edge.data.tabletop.scene import Scene, SceneObject
from sam3i_edge.errors import DataError

LEAST_VISIBLE = 0.4
"""Of a thing's own outline."""
LEAST_AREA = 0.003
"""Of the image's pixels."""
LEAST_SIDE = 0.025
"""Of the image's side: a thing's visible part must be no mere sliver."""
LEAST_THINGS = 3
ATTEMPTS = 200


def observed_scene(
    rng: np.random.Generator, split: str, renderer: Renderer, size: int
) -> tuple[Scene, SceneFacts, Array]:
    """Sample scenes until one shows at least three things well.

    Returns:
        The scene, its facts, and its instance map (size, size) int32, which indexes ``facts.things``; -1 is nothing.
    """
    for _ in range(ATTEMPTS):
        scene, shown, indices = settled(sample(rng, split), renderer, size)
        fresh = any(held_out(item.kind, item.colour) for item in scene.items)
        if len(scene.items) >= LEAST_THINGS and fresh == (split == "compose"):
            return scene, facts(scene, shown, indices), indices
    raise DataError(
        f"{ATTEMPTS} scenes in a row showed fewer than {LEAST_THINGS} things at {size} px; choose a larger size."
    )


def settled(scene: Scene, renderer: Renderer, size: int) -> tuple[Scene, list[float], Array]:
    """Take away what is hardly visible, until everything left is visible: scene, visible shares, instance map."""
    while True:
        indices = renderer.instances(scene, size)
        areas = np.bincount(indices.ravel() + 1, minlength=len(scene.items) + 1)[1:]
        shares = [
            min(1.0, float(area) / max(1.0, renderer.outline(scene, index, size)))
            if area >= LEAST_AREA * size**2
            else 0.0
            for index, area in enumerate(areas)
        ]
        keep = [share >= LEAST_VISIBLE and _wide(indices == index) for index, share in enumerate(shares)]
        if all(keep):
            return scene, shares, indices
        scene = replace(scene, items=without(scene.items, keep))


def without(items: tuple[SceneObject, ...], keep: list[bool]) -> tuple[SceneObject, ...]:
    """The items to keep; what lies on or in one that goes, goes too."""
    kept = list(keep)
    for index, item in enumerate(items):  # a thing comes after the one that carries it
        carrier = item.resting_on if item.resting_on is not None else item.inside
        if carrier is not None and not kept[carrier]:
            kept[index] = False
    number = np.cumsum(kept) - 1
    return tuple(
        replace(
            item,
            resting_on=None if item.resting_on is None else int(number[item.resting_on]),
            inside=None if item.inside is None else int(number[item.inside]),
        )
        for index, item in enumerate(items)
        if kept[index]
    )


def _wide(mask: Array) -> bool:
    least = LEAST_SIDE * mask.shape[0]
    rows, columns = mask.any(1).sum(), mask.any(0).sum()
    return bool(min(rows, columns) >= least)


def facts(scene: Scene, shares: list[float], indices: Array) -> SceneFacts:
    """What is true of each thing, from the scene and its instance map."""
    size = indices.shape[0]
    things = [_thing(scene, item, indices == index, shares[index]) for index, item in enumerate(scene.items)]
    return SceneFacts(size, size, tuple(things))


def _thing(scene: Scene, item: SceneObject, mask: Array, share: float) -> Thing:
    y, x = np.nonzero(mask)
    points = item.corners()
    middle = (points.min(0) + points.max(0)) / 2
    eye = np.asarray(scene.camera.position)
    return Thing(
        kind=item.kind,
        colour=item.colour,
        material=item.material,
        pattern=item.pattern,
        size=item.size,
        lying=item.lying,
        resting_on=item.resting_on,
        inside=item.inside,
        position=(float(middle[0] - eye[0]), float(middle[1] - eye[1]), float(middle[2])),
        distance=float(np.linalg.norm(middle - eye)),
        box=(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1),
        centre=(float(x.mean()), float(y.mean())),
        area=len(x),
        visible=share,
    )
