"""The files beside a checkpoint that say how it is used; export reads them, and a student inherits them."""

from __future__ import annotations

import shutil
from pathlib import Path

from sam3i_edge.domain import DOMAIN_FILE
from sam3i_edge.manifest import ROUTE_FILE
from sam3i_edge.postprocessing import POSTPROCESSING_FILE

COMPANIONS = (ROUTE_FILE, POSTPROCESSING_FILE, DOMAIN_FILE)


def copy_companions(checkpoint: Path, folder: Path) -> None:
    """Copy those that there are from beside ``checkpoint`` into ``folder``."""
    for file in map(checkpoint.with_name, COMPANIONS):
        if file.is_file():
            shutil.copy(file, folder)
