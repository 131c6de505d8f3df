"""How each part of a thing looks: colour, gloss, texture."""

from __future__ import annotations

from dataclasses import dataclass

from sam3i_edge.data.tabletop.scene import RGB, Item

RGBA = tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """A part's surface: colour, gloss, the name of its texture ("": none; the colour then multiplies it)."""

    rgba: RGBA
    texture: str = ""
    specular: float = 0.2
    shininess: float = 0.3
    emission: float = 0.0


GLOSS = {"ceramic": (0.6, 0.7), "metal": (0.8, 0.6), "glass": (1.0, 0.9), "plastic": (0.4, 0.5)}
"""Specular and shininess of each glossy material."""

FIXED = {
    "steel": Look((0.57, 0.58, 0.61, 1), "", 0.9, 0.7),
    "dark": Look((0.10, 0.10, 0.11, 1), "", 0.4, 0.5),
    "paper": Look((0.94, 0.91, 0.83, 1), "", 0.05, 0.1),
    "wood": Look((0.36, 0.24, 0.14, 1), "", 0.1, 0.1),
    "leaf": Look((0.25, 0.45, 0.15, 1), "", 0.2, 0.3),
    "screen": Look((1, 1, 1, 1), "screen", 0.1, 0.5, 0.55),
    "flame": Look((1.0, 0.72, 0.20, 1), "", 0.0, 0.0, 1.0),
    "bulb": Look((1.0, 0.95, 0.78, 1), "", 0.0, 0.0, 0.9),
}


def look(item: Item, role: str) -> Look:
    """How the part of that role looks on that item."""
    if role in FIXED:
        return FIXED[role]
    specular, shininess = GLOSS.get(item.material, (0.15, 0.25))
    alpha = 0.72 if item.material == "glass" else 1.0
    if role == "accent":
        return Look((*item.accent, 1), "", 0.3, 0.4)
    if role == "lining":
        light = _mixed(item.rgb, (0.95, 0.93, 0.9), 0.22) if item.material != "wooden" else item.rgb
        return Look((*light, 1), "wood" if item.material == "wooden" else "", specular, shininess)
    if role == "hollow":
        rgb = _brightness(item) if item.material == "wooden" else item.rgb
        return Look(
            (*_mixed(rgb, (0, 0, 0), 0.16), 1), "wood" if item.material == "wooden" else "", specular, shininess
        )
    if role == "trim":
        return Look(
            (*_mixed(item.rgb, (0.06, 0.06, 0.07) if max(item.rgb) > 0.25 else (0.5, 0.5, 0.5), 0.3), 1),
            "",
            specular,
            shininess,
        )
    if item.material == "wooden":
        return Look((*_brightness(item), 1), "wood", specular, shininess)
    if item.pattern != "plain":
        return Look((*_brightness(item), alpha), f"{item.pattern} {item.colour}", specular, shininess)
    return Look((*item.rgb, alpha), "", specular, shininess)


def surface(texture: str, tint: RGB, emission: float = 0.0) -> Look:
    """A table, wall or floor; ``emission`` is light that reaches it from elsewhere in the room."""
    return Look((*tint, 1), texture, 0.08, 0.2, emission)


def _brightness(item: Item) -> RGB:
    """A textured item keeps of its own shade the brightness only: the texture has the colour."""
    value = 0.85 + 0.15 * max(item.rgb)
    return (value, value, value)


def _mixed(first: RGB, second: RGB, share: float) -> RGB:
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return (red, green, blue)
