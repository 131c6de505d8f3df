"""Where the demo model is: a small trained SAM3-I, its student, and rendered scenes to try them on.

The files, and the generator of such scenes, come with a checkout or with the distribution ``sam3i-edge-demo``, which
installs into this package. A device needs none of them.
"""

from pathlib import Path

from sam3i_edge.errors import RuntimeUnavailableError

CHECKPOINT = Path(__file__).parent / "tabletop.safetensors"
STUDENT = Path(__file__).parent / "student" / "student.safetensors"
"""Distilled from it: a smaller one."""
SCENES = Path(__file__).parent / "scenes" / "sam3i_demo.json"
"""Six scenes with a text of each level, in the HMPL-Instruct layout."""
GENERATOR = Path(__file__).parent.parent / "data" / "tabletop"
"""Makes such scenes: ``sam3i-edge data tabletop``."""


def require(path: Path, instead: str) -> Path:
    """One of the paths above, if it is installed.

    Args:
        path: what is needed.
        instead: what works without it: "give a checkpoint of your own".

    Raises:
        RuntimeUnavailableError: it is not installed; says how to install it.
    """
    if not path.exists():
        raise RuntimeUnavailableError(
            f"{path} is not installed: it comes with sam3i-edge-demo. From a checkout of sam3i-edge, "
            f"pip install ./sam3i_edge/demo_model; or {instead}."
        )
    return path
