"""From a torch checkpoint to a verified bundle. Needs the ``export`` extra."""

from sam3i_edge.export.pipeline import export

__all__ = ["export"]
