"""The SAM3-I detector in plain PyTorch: ``load`` a checkpoint, or build one from a ``ModelConfig``."""

from sam3i_edge.config import AdapterConfig, ModelConfig, TextConfig, VisionConfig
from sam3i_edge.model.checkpoint import load
from sam3i_edge.model.sam3i import Detections, Pyramid, Sam3i

__all__ = [
    "AdapterConfig",
    "Detections",
    "ModelConfig",
    "Pyramid",
    "Sam3i",
    "TextConfig",
    "VisionConfig",
    "load",
]
