"""What a bundle's graphs compute in, by name."""

from __future__ import annotations

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int8-bf16", "int8-fp16")
"""What a graph computes in. ``int8-bf16``: in int8 where the recipe says so, all else in bf16; ``int8``: in fp32. Where
half precision stands in the graphs' own types, ``int8-fp16`` leaves to the recipe what stays in fp32."""


def is_int8(precision: str) -> bool:
    """Whether a bundle of this precision was quantized by a recipe."""
    return precision.startswith("int8")


def float_type(precision: str) -> str:
    """What a bundle of this precision computes in outside its integer layers: ``fp32``, ``bf16`` or ``fp16``."""
    return precision.removeprefix("int8").lstrip("-") or "fp32"
