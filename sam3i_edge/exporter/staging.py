"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sam3i_edge.errors import ExportError
from sam3i_edge.files import partial_folder, sync_folder


@contextlib.contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A temporary folder beside ``output`` that becomes ``output`` if the block succeeds, and is removed otherwise.

    Raises:
        ExportError: ``output`` exists and is not an empty folder, or its parent cannot be written. This is checked
            before the block runs. A full disk inside the block is reported the same way.
    """
    with contextlib.ExitStack() as stack:
        try:
            output = output.resolve()
            if output.exists() and not (output.is_dir() and not any(output.iterdir())):
                what = "is not empty" if output.is_dir() else "is a file"
                raise ExportError(f"The output {output} {what}. Remove it, or give another folder with -o.")
            stack.callback(_remove_empty, [parent for parent in output.parents if not parent.exists()])
            output.parent.mkdir(parents=True, exist_ok=True)
            stage = stack.enter_context(partial_folder(output))
        except OSError as error:
            raise ExportError(
                f"Cannot write to {output.parent}: {error.strerror}. Give another folder with -o."
            ) from error
        try:
            yield stage
            stage.chmod(0o755)  # it was private; a bundle is for everyone who may read its parent
            sync_folder(stage)
            stage.replace(output)
        except OSError as error:
            raise ExportError(f"Writing {output} failed: {error}. Nothing was left behind.") from error


def _remove_empty(folders: Iterable[Path]) -> None:
    with contextlib.suppress(OSError):  # not empty: the bundle is there
        for folder in folders:
            folder.rmdir()
