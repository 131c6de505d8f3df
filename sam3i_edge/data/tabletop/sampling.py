"""Chance: which things, where they stand, how they are lit and seen."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from sam3i_edge.data.tabletop import objects, textures
from sam3i_edge.data.tabletop.catalogue import CATALOGUE, COLOURS, KINDS, PATTERNS, held_out, materials_for
from sam3i_edge.data.tabletop.rotations import Array, about
from sam3i_edge.data.tabletop.scene import RGB, Camera, Grading, Light, Room, Scene, SceneObject

COUNTS = (3, 4, 5, 6, 7, 8)
COUNT_WEIGHTS = (0.12, 0.2, 0.24, 0.2, 0.14, 0.1)
TRIES = 120
DIRECTIONS = np.stack([np.cos(np.radians(np.arange(0, 360, 15))), np.sin(np.radians(np.arange(0, 360, 15)))], 1)
MOST_ALIKE = 3
"""Things of one kind that a scene seeks; chance may bring more."""
GAP = 0.012
"""Least distance between things on the table, metres."""
HELD_OUT_PAIRS = tuple((kind, colour) for kind in KINDS for colour in CATALOGUE[kind].colours if held_out(kind, colour))

RESTS = ("spoon", "fork", "knife", "apple", "banana", "lemon", "phone", "screwdriver", "scissors")
"""Things that may lie on another one."""
FACING = {"laptop": 0.0, "lamp": -90.0}
"""Things that mostly face the camera, and the turn that makes them do so, degrees."""
FITS_BOWL = ("apple", "lemon", "ball", "banana")
FITS_PLATE = ("apple", "banana", "lemon")
FITS_MUG = ("spoon", "fork", "screwdriver")
RIDERS = {*RESTS, *FITS_BOWL}
CARRIED = {
    "book": RESTS,
    "box": RESTS,
    "trivet": RESTS,
    "plate": FITS_PLATE,
    "bowl": FITS_BOWL,
    "mug": FITS_MUG,
}
"""What each kind may carry."""


@dataclass(frozen=True)
class Wish:
    """A thing before it has a place."""

    kind: str
    colour: str


def sample(rng: np.random.Generator, split: str) -> Scene:
    """A scene of 3 to 8 things. In ``compose`` one or two are of a held-out combination, elsewhere none is."""
    count = int(rng.choice(COUNTS, p=COUNT_WEIGHTS))
    items = arrange(rng, [dress(rng, wish) for wish in wishes(rng, split, count)])
    camera = aim(rng, items)
    lights, ambient = light(rng)
    return Scene(items, camera, lights, ambient, furnish(rng), grade(rng))


def wishes(rng: np.random.Generator, split: str, count: int) -> list[Wish]:
    """What to show: often a second thing of a kind, or of a colour, so that texts must tell them apart."""
    chosen: list[Wish] = []
    if split == "compose":
        picks = rng.choice(len(HELD_OUT_PAIRS), int(rng.integers(1, 3)), replace=False)
        chosen = [Wish(*HELD_OUT_PAIRS[pick]) for pick in picks]
    while len(chosen) < count:
        chance = rng.random()
        other = chosen[int(rng.integers(len(chosen)))] if chosen else None
        alike = sum(wish.kind == other.kind for wish in chosen) if other else 0
        if other and chance < 0.28 and alike < MOST_ALIKE:
            kind = other.kind
        elif other and chance < 0.48:
            kind = str(rng.choice([name for name in KINDS if other.colour in CATALOGUE[name].colours]))
        elif other and chance < 0.6 and other.kind in CARRIED:
            kind = str(rng.choice(CARRIED[other.kind]))
        else:
            kind = str(rng.choice(KINDS))
        colours = [colour for colour in CATALOGUE[kind].colours if not held_out(kind, colour)]
        same = other is not None and other.colour in colours and (kind != other.kind or rng.random() < 0.3)
        colour = other.colour if other and same and chance < 0.48 else str(rng.choice(colours))
        chosen.append(Wish(kind, colour))
    return chosen


def dress(rng: np.random.Generator, wish: Wish) -> SceneObject:
    """Give a thing its material, pattern, shade, size, stretch and pose, at the origin."""
    kind = CATALOGUE[wish.kind]
    material = str(rng.choice(materials_for(wish.kind, wish.colour)))
    patterned = kind.patterned and material != "wooden" and rng.random() < 0.3
    size = float(rng.uniform(*kind.size))
    stretch = rng.uniform(0.92, 1.08, 3)
    stretch[1] = stretch[0] * rng.uniform(0.97, 1.03)
    lies = bool(kind.lies and rng.random() < 0.2)
    turn = about("z", float(rng.uniform(0, 360)))
    if wish.kind in FACING:
        turn = about("z", FACING[wish.kind] + float(rng.normal(0, 45)))
    if lies:
        # Rolled so that a handle points up or sideways, never into the table.
        turn = turn @ about("x", 90) @ about("z", float(rng.uniform(15, 165)))
    variant = int(rng.integers(kind.variants))
    matrix = turn @ np.diag(stretch) * size
    extent = np.ptp(objects.corners(wish.kind, variant) @ np.diag(stretch) * size, axis=0).max()
    accent = COLOURS[str(rng.choice(["white", "grey", "black", "brown"]))]
    if wish.colour in ("black", "brown", "grey"):
        accent = COLOURS["white"]
    elif wish.colour == "white":
        accent = COLOURS[str(rng.choice(["grey", "black", "brown"]))]
    item = SceneObject(
        wish.kind,
        variant,
        wish.colour,
        material,
        PATTERNS[int(rng.integers(1, 3))] if patterned else "plain",
        shade(rng, COLOURS[wish.colour]),
        shade(rng, accent),
        float(extent),
        matrix,
        np.zeros(3),
        lying=lies,
    )
    return standing(item)


def shade(rng: np.random.Generator, rgb: RGB) -> RGB:
    """Another shade of a colour that everybody would still call by its name."""
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    hue = (hue + rng.uniform(-0.012, 0.012)) % 1
    saturation = float(np.clip(saturation * rng.uniform(0.88, 1.08), 0, 1))
    return colorsys.hsv_to_rgb(hue, saturation, float(np.clip(value * rng.uniform(0.88, 1.06), 0, 1)))


def standing(item: SceneObject) -> SceneObject:
    """Its lowest point on z = 0, the middle of its footprint at x = y = 0."""
    points = item.corners() - item.position
    middle = (points.min(0) + points.max(0)) / 2
    return replace(item, position=np.array([-middle[0], -middle[1], -points[:, 2].min()]))


def arrange(rng: np.random.Generator, items: list[SceneObject]) -> tuple[SceneObject, ...]:
    """Put the things on the table, some of them on or in another one. Things without room are left out."""
    placed: list[SceneObject] = []
    spots: list[Array] = []
    outlines: list[Array] = []
    # What can lie on or in another thing comes last, so that the other is there; otherwise the largest comes first.
    for item in sorted(items, key=lambda item: (item.kind in RIDERS, -item.size)):
        found = _stacked(rng, item, placed)
        if found:
            placed.append(found)
            continue
        radius = (0.02 + 0.005 * np.arange(TRIES)) * np.sqrt(rng.random(TRIES) + 0.1)
        angle = rng.uniform(0, 2 * np.pi, TRIES)
        tried = np.stack([1.15 * radius * np.cos(angle), radius * np.sin(angle)], 1)
        outline = footprint(item)
        free = np.flatnonzero(clear(tried, outline, np.array(spots).reshape(-1, 2), np.array(outlines)))
        if len(free):
            spot = tried[free[0]]
            placed.append(replace(item, position=item.position + np.array([*spot, 0.0])))
            spots.append(spot)
            outlines.append(outline)
    return tuple(placed)


def footprint(item: SceneObject) -> Array:
    """(len(DIRECTIONS),): how far the thing, seen from above, reaches from its position's middle in each direction."""
    reach: Array = (item.corners()[:, :2] @ DIRECTIONS.T).max(0)
    return reach


def clear(tried: Array, outline: Array, spots: Array, outlines: Array) -> Array:
    """Which of the places ``tried`` (t, 2) keep the thing at least ``GAP`` apart from those at ``spots`` (n, 2).

    Outlines are polygons with edges in the same ``DIRECTIONS``, so one of these separates two that are apart.
    """
    if not len(spots):
        return np.ones(len(tried), bool)
    along = (tried[:, None] - spots[None]) @ DIRECTIONS.T
    between = along - np.roll(outline, len(DIRECTIONS) // 2) - outlines[None]
    free: Array = (between.max(-1) > GAP).all(1)
    return free


def _stacked(rng: np.random.Generator, item: SceneObject, placed: list[SceneObject]) -> SceneObject | None:
    """The thing on or in one of those already placed, if chance and sizes allow it."""
    if item.lying or rng.random() > 0.6:
        return None
    taken = {other.resting_on for other in placed} | {other.inside for other in placed}
    for index, other in enumerate(placed):
        if index in taken or other.lying or other.resting_on is not None or other.inside is not None:
            continue
        model = objects.model(other.kind, other.variant)
        scale = np.linalg.norm(other.matrix, axis=0)
        if model.hollow and (found := _inside(rng, item, index, other, model, scale)):
            return found
        if model.support and item.kind in CARRIED[other.kind]:
            height, radius = model.support
            spread = np.ptp(item.corners()[:, :2], axis=0).max()
            if spread < 2 * radius * scale[:2].min() * (1.05 if other.kind == "plate" else 1.5):
                shift = rng.uniform(-0.1, 0.1, 2) * radius * scale[0]
                place = other.position + np.array([*shift, height * scale[2]])
                return replace(item, position=item.position + place, resting_on=index)
    return None


def _inside(
    rng: np.random.Generator, item: SceneObject, index: int, other: SceneObject, model: objects.Model, scale: Array
) -> SceneObject | None:
    floor, radius, rim = model.hollow or (0.0, 0.0, 0.0)
    room, floor, rim = radius * scale[:2].min(), floor * scale[2], rim * scale[2]
    axis = other.matrix @ np.array([*model.hollow_centre, 0.0]) + other.position
    if other.kind == "bowl" and item.kind in FITS_BOWL:
        if np.ptp(item.corners()[:, :2], axis=0).max() > 2.1 * room:
            return None
        return replace(item, position=item.position + axis + np.array([0, 0, floor + 0.012]), inside=index)
    if other.kind == "mug" and item.kind in FITS_MUG and item.size > 1.5 * rim:
        # Handle down, leaning against the rim.
        lean = float(np.degrees(np.arctan2(room * 1.1, rim)))
        side = float(rng.uniform(0, 360))
        upright = about("z", side) @ about("y", lean) @ about("y", -90) @ about("x", float(rng.uniform(-40, 40)))
        size = np.linalg.norm(item.matrix, axis=0)
        stood = replace(item, matrix=upright @ np.diag(size), position=np.zeros(3))
        points = stood.corners()
        foot = points[points[:, 2] < points[:, 2].min() + 0.02].mean(0)
        start = about("z", side) @ np.array([-room * 0.5, 0, floor + 0.01])
        return replace(stood, position=axis + start - np.array([foot[0], foot[1], points[:, 2].min()]), inside=index)
    return None


def aim(rng: np.random.Generator, items: tuple[SceneObject, ...]) -> Camera:
    """A camera whose picture the things fill."""
    tilt = float(rng.uniform(24, 58) if rng.random() < 0.85 else rng.uniform(58, 78))
    view = float(rng.uniform(34, 50))
    filled = float(rng.uniform(0.86, 1.02))
    points = np.concatenate([item.corners()[::7] for item in items])
    angle = np.radians(tilt)
    back = np.array([0, -np.cos(angle), np.sin(angle)])
    up = np.array([0, np.sin(angle), np.cos(angle)])
    target, distance = (points.min(0) + points.max(0)) / 2, 1.0
    for _ in range(8):
        camera = Camera(tuple(target + distance * back), tilt, view)
        image, _ = camera.project(points)
        low, high = image.min(0), image.max(0)
        reach = 2 * distance * np.tan(np.radians(view) / 2)
        middle = (low + high) / 2 - 0.5
        target = target + np.array([middle[0] * reach, 0, 0]) - up * middle[1] * reach
        distance = float(np.clip(distance * (high - low).max() / filled, 0.3, 3.0))
    jitter = rng.uniform(-0.02, 0.02, 2) * distance
    place = target + distance * back + np.array([jitter[0], 0, 0]) + up * jitter[1]
    return Camera((float(place[0]), float(place[1]), float(place[2])), tilt, view)


def light(rng: np.random.Generator) -> tuple[tuple[Light, ...], RGB]:
    """A key light that casts shadows, one or two weak ones that do not, and the ambient light."""
    warm = float(rng.uniform(-0.03, 0.07))
    key = float(rng.uniform(0.5, 0.66))
    side = float(rng.choice([-1, 1]))
    lights = [Light(side * float(rng.uniform(25, 120)), float(rng.uniform(38, 68)), _tinted(key, warm), True)]
    lights.append(
        Light(
            -side * float(rng.uniform(20, 90)),
            float(rng.uniform(25, 50)),
            _tinted(float(rng.uniform(0.12, 0.24)), -0.04),
            False,
        )
    )
    if rng.random() < 0.5:
        lights.append(Light(float(rng.uniform(150, 210)), float(rng.uniform(20, 45)), _tinted(0.14, 0.02), False))
    return tuple(lights), _tinted(float(rng.uniform(0.36, 0.46)), 0.01)


def _tinted(value: float, warm: float) -> RGB:
    return (value * (1 + warm), value, value * (1 - 1.4 * warm))


def furnish(rng: np.random.Generator) -> Room:
    """A table and what is behind it."""
    table, wall = str(rng.choice(list(textures.TABLES))), str(rng.choice(list(textures.WALLS)))
    edge = float(rng.uniform(0.45, 0.75))
    return Room(
        table,
        wall,
        _grey(rng, 0.88, 1.06),
        _grey(rng, 0.75, 1.0),
        float(rng.uniform(-14, 14)),
        edge + float(rng.uniform(0.15, 0.7)),
        edge,
    )


def _grey(rng: np.random.Generator, low: float, high: float) -> RGB:
    value, hue = rng.uniform(low, high), rng.uniform(-0.03, 0.03, 3)
    return (float(value + hue[0]), float(value + hue[1]), float(value + hue[2]))


def grade(rng: np.random.Generator) -> Grading:
    """The camera's own doing."""
    return Grading(
        exposure=float(rng.uniform(0.92, 1.14)),
        warmth=float(rng.normal(0.015, 0.02)),
        contrast=float(rng.uniform(0.1, 0.5)),
        vignette=float(rng.uniform(0, 0.22)),
        noise=float(rng.uniform(0.002, 0.016)),
        blur=float(max(0.0, rng.uniform(-0.5, 0.6))),
        seed=int(rng.integers(1 << 32)),
    )
