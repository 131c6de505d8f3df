"""Calibration data as small as it can be: what a range is does not matter to whoever only looks at graphs."""

import shutil
from pathlib import Path

from sam3i_edge import demo_model


def one_picture(folder: Path) -> Path:
    """One of the demo scenes, and a prompt for each route."""
    folder.mkdir()
    shutil.copy(next((demo_model.CHECKPOINT.parent / "scenes/images").glob("*29.jpg")), folder)
    (folder / "prompts.txt").write_text(
        "concept: mug\nsimple: the mug on the left\ncomplex: what you would drink from\n", encoding="utf-8"
    )
    return folder
