"""Random scene facts without a renderer: things strewn over a table, some in or on others."""

from __future__ import annotations

import math

import numpy as np

from sam3i_edge.data.tabletop.catalogue import CATALOGUE, KINDS, held_out, materials_for
from sam3i_edge.data.tabletop.facts import SceneFacts, Thing

SIZE = 336


def scene(rng: np.random.Generator, split: str) -> SceneFacts:
    """4 to 9 things of 5 kinds at most, so that several are alike; held-out pairs only in ``compose``."""
    kinds = [KINDS[i] for i in rng.choice(len(KINDS), 5, replace=False)]
    things: list[Thing] = []
    for _ in range(rng.integers(4, 10)):
        things.append(_thing(rng, kinds[rng.integers(5)], split, things))
    return SceneFacts(SIZE, SIZE, tuple(things))


def thing(kind: str, colour: str, x: float = 0.5, y: float = 0.5, **changes: object) -> Thing:
    """A plain thing of 0.1 m with its centre at ``x``, ``y`` (0 to 1) of the image, and on the table accordingly."""
    place = (x - 0.5, 1.5 - y)
    values: dict[str, object] = {
        "kind": kind,
        "colour": colour,
        "material": materials_for(kind, colour)[0],
        "pattern": "plain",
        "size": 0.1,
        "lying": False,
        "resting_on": None,
        "inside": None,
        "position": (*place, 0.05),
        "distance": math.dist((*place, 0.05), (0, 0, 0.7)),
        "box": tuple(int(SIZE * side) for side in (x - 0.05, y - 0.05, x + 0.05, y + 0.05)),
        "centre": (SIZE * x, SIZE * y),
        "area": 900,
        "visible": 1.0,
    }
    return Thing(**(values | changes))  # type: ignore[arg-type]


def _thing(rng: np.random.Generator, kind: str, split: str, others: list[Thing]) -> Thing:
    known = CATALOGUE[kind]
    colours = [colour for colour in known.colours if split == "compose" or not held_out(kind, colour)]
    colour = colours[rng.integers(len(colours))]
    materials, size = materials_for(kind, colour), float(rng.uniform(*known.size))
    x, y, resting_on, inside = *rng.uniform(0.1, 0.9, 2), None, None
    carriers = [i for i, other in enumerate(others) if other.kind in ("book", "plate", "box", "bowl", "mug")]
    if carriers and size < 0.2 and rng.random() < 0.3:
        carrier = carriers[rng.integers(len(carriers))]
        x, y = (side / SIZE for side in others[carrier].centre)
        resting_on, inside = (None, carrier) if others[carrier].kind in ("bowl", "mug") else (carrier, None)
    near, share = 0.7 + 0.6 * y, float(rng.uniform(0.5, 1))
    half = size * near * 0.8
    box = [int(SIZE * np.clip(side, 0, 1)) for side in (x - half / 2, y - half / 2, x + half / 2, y + half / 2)]
    lying = bool(known.lies and resting_on is None and inside is None and rng.random() < 0.3)
    return thing(
        kind,
        colour,
        float(x),
        float(y),
        material=materials[rng.integers(len(materials))],
        pattern=("plain", "striped", "dotted")[rng.integers(3)] if known.patterned else "plain",
        size=size,
        lying=lying,
        resting_on=resting_on,
        inside=inside,
        position=(float(x - 0.5), float(1.5 - y), size / 2),
        box=tuple(box),
        area=int((box[2] - box[0]) * (box[3] - box[1]) * 0.6 * share),
        visible=share,
    )
