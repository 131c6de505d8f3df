"""What a model is quantized for: a target, and one of its precisions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from sam3i_edge.quantize.observers import LEAST_HALF_SCALE
from sam3i_edge.quantize.quantizer import SCHEMES, Scheme
from sam3i_edge.runtimes import is_typed_half
from sam3i_edge.targets import Target


@dataclass(frozen=True)
class QuantTarget:
    """A target and an int8 precision of it."""

    target: Target
    precision: str

    @property
    def floating(self) -> str:
        """What a recipe's blocks compute in that are not integer, unless it says otherwise: ``fp16`` or ``fp32``."""
        return "fp16" if is_typed_half(self.target.runtime, self.precision) else "fp32"

    @property
    def scheme(self) -> Scheme:
        """How the target's runtime wants its integers."""
        scheme = SCHEMES[self.target.int8]
        return dataclasses.replace(scheme, least_scale=LEAST_HALF_SCALE) if self.floating == "fp16" else scheme
