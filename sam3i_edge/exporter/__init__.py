"""From a torch checkpoint to a verified bundle. Needs the ``export`` extra."""

from sam3i_edge.exporter.pipeline import export
from sam3i_edge.exporter.quantized import Int8Options

__all__ = ["Int8Options", "export"]
