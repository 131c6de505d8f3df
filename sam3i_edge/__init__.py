"""sam3i-edge: SAM3-I, instruction-following segmentation, on the device at hand.

>>> from sam3i_edge import Segmenter, read_image
>>> found = Segmenter.load("bundle/").segment(read_image("photo.jpg"), "the red mug left of the laptop")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3i_edge.errors import Sam3iEdgeError, packages_for
from sam3i_edge.golden import read_golden
from sam3i_edge.image import read_image
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Box, Prompt
from sam3i_edge.segmenter import Frame, Segmenter
from sam3i_edge.telemetry import switch_off
from sam3i_edge.verification import Verdict
from sam3i_edge.verification import verify as _verify_engine
from sam3i_edge.version import __version__

switch_off()  # before a runtime is imported, which none of these does

if TYPE_CHECKING:
    from sam3i_edge.exporter import export as export  # not in __all__: `import *` works without PyTorch

__all__ = [
    "Box",
    "Frame",
    "Instances",
    "Prompt",
    "Sam3iEdgeError",
    "Segmenter",
    "Verdict",
    "__version__",
    "read_image",
    "verify",
]


def verify(bundle: str | Path, *, engine: str = "python", runtime: str | None = None, device: str = "auto") -> Verdict:
    """Replay the golden cases of a bundle on this device: are its outputs still those of the float model?

    >>> assert verify("bundle").passed

    Args:
        bundle: the folder.
        engine: as ``Segmenter.load``,
        runtime: as there,
        device: as there.

    Raises:
        BundleError, RuntimeUnavailableError: as ``Segmenter.load``; a verdict that did not pass is returned.
    """
    with Segmenter.load(bundle, engine=engine, runtime=runtime, device=device) as segmenter:
        return _verify_engine(segmenter.engine, read_golden(Path(bundle)))


def __getattr__(name: str) -> Any:
    """``export``, loaded when it is used: it needs PyTorch."""
    if name != "export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with packages_for("Exporting", "export"):
        from sam3i_edge.exporter import export
    return export


def __dir__() -> list[str]:
    return [*__all__, "export"]
