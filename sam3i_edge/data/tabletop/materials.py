"""How each part of a thing looks: colour, gloss, texture."""

from __future__ import annotations

from dataclasses import dataclass

from sam3i_edge.data.tabletop.scene import RGB, SceneObject

RGBA = tuple[float, float, float, float]


@dataclass(frozen=True)
class Material:
    """A part's surface: colour, gloss, the name of its texture ("": none; the colour then multiplies it)."""

    rgba: RGBA
    texture: str = ""
    specular: float = 0.2
    shininess: float = 0.3
    emission: float = 0.0


GLOSS = {"ceramic": (0.6, 0.7), "metal": (0.8, 0.6), "glass": (1.0, 0.9), "plastic": (0.4, 0.5)}
"""Specular and shininess of each glossy material."""

FIXED = {
    "steel": Material((0.57, 0.58, 0.61, 1), "", 0.9, 0.7),
    "dark": Material((0.10, 0.10, 0.11, 1), "", 0.4, 0.5),
    "paper": Material((0.94, 0.91, 0.83, 1), "", 0.05, 0.1),
    "wood": Material((0.36, 0.24, 0.14, 1), "", 0.1, 0.1),
    "leaf": Material((0.25, 0.45, 0.15, 1), "", 0.2, 0.3),
    "screen": Material((1, 1, 1, 1), "screen", 0.1, 0.5, 0.55),
    "flame": Material((1.0, 0.72, 0.20, 1), "", 0.0, 0.0, 1.0),
    "bulb": Material((1.0, 0.95, 0.78, 1), "", 0.0, 0.0, 0.9),
}


def look(item: SceneObject, role: str) -> Material:
    """How the part of that role looks on that item."""
    if role in FIXED:
        return FIXED[role]
    specular, shininess = GLOSS.get(item.material, (0.15, 0.25))
    alpha = 0.72 if item.material == "glass" else 1.0
    if role == "accent":
        return Material((*item.accent, 1), "", 0.3, 0.4)
    wooden = item.material == "wooden"
    texture = "wood" if wooden else ""
    if role == "lining":
        light = item.rgb if wooden else _mixed(item.rgb, (0.95, 0.93, 0.9), 0.22)
        return Material((*light, 1), texture, specular, shininess)
    if role == "hollow":
        dark = _mixed(_brightness(item) if wooden else item.rgb, (0, 0, 0), 0.16)
        return Material((*dark, 1), texture, specular, shininess)
    if role == "trim":
        other = (0.06, 0.06, 0.07) if max(item.rgb) > 0.25 else (0.5, 0.5, 0.5)
        return Material((*_mixed(item.rgb, other, 0.3), 1), "", specular, shininess)
    if wooden:
        return Material((*_brightness(item), 1), texture, specular, shininess)
    if item.pattern != "plain":
        return Material((*_brightness(item), alpha), f"{item.pattern} {item.colour}", specular, shininess)
    return Material((*item.rgb, alpha), "", specular, shininess)


def surface(texture: str, tint: RGB, emission: float = 0.0) -> Material:
    """A table, wall or floor; ``emission`` is light that reaches it from elsewhere in the room."""
    return Material((*tint, 1), texture, 0.08, 0.2, emission)


def _brightness(item: SceneObject) -> RGB:
    """A textured item keeps of its own shade the brightness only: the texture has the colour."""
    value = 0.85 + 0.15 * max(item.rgb)
    return (value, value, value)


def _mixed(first: RGB, second: RGB, share: float) -> RGB:
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return (red, green, blue)
