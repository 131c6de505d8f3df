"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sam3i_edge.errors import ExportError


@contextlib.contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A temporary folder beside ``output`` that becomes ``output`` if the block succeeds, and is removed otherwise.

    Raises:
        ExportError: ``output`` exists and is not an empty folder, or its parent cannot be written. This is checked
            before the block runs. A full disk inside the block is reported the same way.
    """
    try:
        output = output.resolve()
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            what = "is not empty" if output.is_dir() else "is a file"
            raise ExportError(f"The output {output} {what}. Remove it, or give another folder with -o.")
        created = [parent for parent in output.parents if not parent.exists()]
        output.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{output.name}.partial-", dir=output.parent))
    except OSError as error:
        raise ExportError(f"Cannot write to {output.parent}: {error.strerror}. Give another folder with -o.") from error
    try:
        yield stage
        stage.chmod(0o755)  # mkdtemp's folders are private; a bundle is for everyone who may read its parent
        stage.replace(output)
    except OSError as error:
        raise ExportError(f"Writing {output} failed: {error}. Nothing was left behind.") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty: the bundle is there
            for parent in created:
                parent.rmdir()
