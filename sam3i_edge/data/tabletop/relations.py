"""What holds between the things of a scene as its viewer sees it, with margins: True, False, or None for doubt.

Left and right are judged in the image, nearer and farther by depth. A relation is True only where nobody would object,
and False only where nobody would agree; a text is not written where one of its things falls in between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from sam3i_edge.data.tabletop.facts import SceneFacts, Thing

Answer = bool | None
Relation = Callable[[Thing, Thing, SceneFacts], Answer]

SIDE_GAP = 0.06
"""Left of: the centres are this share of the image's width apart."""
DEPTH_GAP = 0.06
"""Behind: metres between the centres' depths."""
NEAR, FAR = 0.05, 0.16
"""Next to: metres free between two things' rims, surely and surely not."""


def touching(a: Thing, b: Thing, facts: SceneFacts) -> bool:
    """One carries, holds, or leans into the other, directly or over a third."""
    chain_a, chain_b = _chain(a, facts), _chain(b, facts)
    return a in chain_b or b in chain_a


def _chain(thing: Thing, facts: SceneFacts) -> list[Thing]:
    chain: list[Thing] = []
    below = thing.inside if thing.inside is not None else thing.resting_on
    while below is not None and len(chain) < len(facts.things):
        chain.append(facts.things[below])
        below = chain[-1].inside if chain[-1].inside is not None else chain[-1].resting_on
    return chain


def left_of(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """``a`` is left of ``b``: clear of its outline, and more beside it than above or below it in the image."""
    dx, dy = b.centre[0] - a.centre[0], b.centre[1] - a.centre[1]
    if dx < -0.02 * facts.width:
        return False
    clear = a.centre[0] < b.box[0] and b.centre[0] > a.box[2]
    return True if clear and dx > SIDE_GAP * facts.width and abs(dy) < dx else None


def behind(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """``a`` is farther from the viewer than ``b``, and roughly in line with it."""
    depth = a.position[1] - b.position[1]
    if depth < -0.02:
        return False
    if touching(a, b, facts):
        return None
    overlap = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    in_line = (_covers(a, b) or _covers(b, a)) and abs(a.position[0] - b.position[0]) < depth
    if overlap < -0.15 * facts.width:
        return None if depth > DEPTH_GAP else False
    return True if in_line and depth > DEPTH_GAP and a.centre[1] < b.centre[1] else None


def _covers(a: Thing, b: Thing) -> bool:
    """The middle of ``b`` is right above or below ``a`` in the image."""
    return a.box[0] < b.centre[0] < a.box[2]


def right_behind(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """``a`` is behind ``b`` with little room between them."""
    answer = behind(a, b, facts)
    return None if answer and _gap_on_table(a, b) > 2 * NEAR else answer


def next_to(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """Little room is left between the two, on the table and in the image."""
    gap = _gap_on_table(a, b)
    if gap > FAR:
        return False
    if touching(a, b, facts):
        return None
    dx = max(a.box[0], b.box[0]) - min(a.box[2], b.box[2])
    dy = max(a.box[1], b.box[1]) - min(a.box[3], b.box[3])
    if max(dx, dy) > 0.2 * facts.width:
        return False
    beside = abs(a.centre[0] - b.centre[0]) > 0.7 * abs(a.centre[1] - b.centre[1])
    same_level = beside and a.resting_on is None and b.resting_on is None and a.inside is None and b.inside is None
    return True if same_level and gap < NEAR and dx < 0.04 * facts.width and dy < 0.02 * facts.height else None


def _gap_on_table(a: Thing, b: Thing) -> float:
    centres = math.hypot(a.position[0] - b.position[0], a.position[1] - b.position[1])
    return centres - (a.size + b.size) / 2


def resting_on(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """``a`` lies on ``b``."""
    return _carried(a, b, a.resting_on, a.inside, facts)


def inside(a: Thing, b: Thing, facts: SceneFacts) -> Answer:
    """``a`` is in ``b``."""
    return _carried(a, b, a.inside, a.resting_on, facts)


def _carried(a: Thing, b: Thing, asked: int | None, other: int | None, facts: SceneFacts) -> Answer:
    if asked is not None and facts.things[asked] is b:
        return True
    if other is not None and facts.things[other] is b:
        return None
    return None if b in _chain(a, facts) else False


def between(a: Thing, b: Thing, c: Thing, facts: SceneFacts) -> Answer:
    """``a`` is between ``b`` and ``c`` in the image, near the line that joins them, and not far off it on the table."""
    along, off, length = _along(a.centre, b.centre, c.centre)
    if not 0.0 < along < 1.0 or off > 0.5 * length:
        return False
    table_along, table_off, table_length = _along(a.position[:2], b.position[:2], c.position[:2])
    beside = abs(c.centre[0] - b.centre[0]) > 1.2 * abs(c.centre[1] - b.centre[1])
    sure = 0.22 < along < 0.78 and off < 0.18 * length and length > 0.2 * facts.width and beside
    on_table = 0.15 < table_along < 0.85 and table_off < 0.3 * table_length
    free = not any(touching(*pair, facts) for pair in ((a, b), (a, c), (b, c)))
    return True if sure and on_table and free else None


def _along(
    point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]
) -> tuple[float, float, float]:
    """Where ``point`` falls on the line start–end (0 to 1), how far off it, and the line's length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1e-9
    px, py = point[0] - start[0], point[1] - start[1]
    return (px * dx + py * dy) / length**2, abs(px * dy - py * dx) / length, length


def _turned(relation: Relation) -> Relation:
    """How ``a`` stands to ``b`` where ``b`` stands so to ``a``."""
    return lambda a, b, facts: relation(b, a, facts)


RELATIONS: dict[str, Relation] = {
    "left of": left_of,
    "right of": _turned(left_of),
    "behind": behind,
    "in front of": _turned(behind),
    "right behind": right_behind,
    "right in front of": _turned(right_behind),
    "next to": next_to,
    "on": resting_on,
    "in": inside,
    "under": _turned(resting_on),
    "holding": _turned(inside),
}

Place = Callable[[Thing, SceneFacts], Answer]


def _place(low: float, high: float, axis: int) -> Place:
    """Within ``low`` to ``high`` of the image's width or height; in doubt within a margin of the rim."""

    def answer(thing: Thing, facts: SceneFacts) -> Answer:
        at = thing.centre[axis] / (facts.width, facts.height)[axis]
        if low + 0.02 < at < high - 0.02:
            return True
        return None if low - 0.1 < at < high + 0.1 else False

    return answer


PLACES: dict[str, Place] = {
    "on the left": _place(-1.0, 0.38, 0),
    "on the right": _place(0.62, 2.0, 0),
    "in the middle": lambda thing, facts: _all(_place(0.38, 0.62, 0)(thing, facts), _place(0.3, 0.75, 1)(thing, facts)),
}


def _all(*answers: Answer) -> Answer:
    if any(answer is False for answer in answers):
        return False
    return None if None in answers else True


Superlative = Callable[[Thing, list[Thing], SceneFacts], bool]
"""Whether the first thing has more of it than every other one, beyond doubt."""


def _clear(thing: Thing) -> bool:
    return thing.visible > 0.7


def biggest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Bigger in itself and in the image."""
    return _clear(thing) and all(thing.area > 1.35 * o.area and thing.size > 1.1 * o.size and _clear(o) for o in others)


def smallest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Smaller in itself and in the image."""
    return _clear(thing) and all(o.area > 1.35 * thing.area and o.size > 1.1 * thing.size and _clear(o) for o in others)


def _height(thing: Thing) -> float:
    return 2 * thing.position[2]


def _on_table(thing: Thing) -> bool:
    return thing.resting_on is None and thing.inside is None


def tallest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """It rises highest above the table, of things that all stand on it."""
    return _on_table(thing) and all(
        _on_table(o) and _height(thing) > 1.3 * _height(o) and _height(thing) > _height(o) + 0.02 for o in others
    )


def shortest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """It rises least above the table, of things that all stand on it."""
    return _on_table(thing) and all(
        _on_table(o) and _height(o) > 1.5 * _height(thing) and _height(o) > _height(thing) + 0.01 for o in others
    )


def nearest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Closest to the camera, by distance, depth and the image."""
    return all(
        o.distance > thing.distance + 0.05 and o.position[1] > thing.position[1] + 0.05 and o.box[3] < thing.box[3]
        for o in others
    )


def farthest(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Farthest from the camera."""
    return all(nearest(o, [thing], facts) for o in others)


def leftmost(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Farthest left in the image, by centre and by edge."""
    return all(o.centre[0] > thing.centre[0] + 0.05 * facts.width and o.box[0] > thing.box[0] for o in others)


def rightmost(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
    """Farthest right in the image."""
    return all(o.centre[0] < thing.centre[0] - 0.05 * facts.width and o.box[2] < thing.box[2] for o in others)


SUPERLATIVES: dict[str, Superlative] = {
    one.__name__: one for one in (biggest, smallest, tallest, shortest, nearest, farthest, leftmost, rightmost)
}


def closest_to(landmark: Thing) -> Superlative:
    """Nearer to ``landmark`` than the others, on the table and in the image."""

    def answer(thing: Thing, others: list[Thing], facts: SceneFacts) -> bool:
        if any(touching(one, landmark, facts) for one in (thing, *others)):
            return False
        near, seen = math.dist(thing.position, landmark.position), math.dist(thing.centre, landmark.centre)
        return all(
            math.dist(o.position, landmark.position) > max(1.3 * near, near + 0.05)
            and math.dist(o.centre, landmark.centre) > 1.1 * seen
            for o in others
        )

    return answer


def in_order(things: list[Thing], facts: SceneFacts) -> list[Thing] | None:
    """``things`` from left to right, or None where two are too close to tell."""
    ordered = sorted(things, key=lambda thing: thing.centre[0])
    gaps = [right.centre[0] - left.centre[0] for left, right in itertools.pairwise(ordered)]
    return ordered if all(gap > 0.05 * facts.width for gap in gaps) else None
