"""From a torch checkpoint to a verified bundle. Needs the ``export`` extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam3i_edge.export.pipeline import export
    from sam3i_edge.export.quantized import Int8Options

__all__ = ["Int8Options", "export"]


def __getattr__(name: str) -> Any:
    # Late, so that the graphs' modules can be run where there is torch but no ONNX: in training and evaluation.
    if name == "export":
        from sam3i_edge.export.pipeline import export

        return export
    if name == "Int8Options":
        from sam3i_edge.export.quantized import Int8Options

        return Int8Options
    raise AttributeError(name)
