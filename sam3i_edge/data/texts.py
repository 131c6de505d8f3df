"""The texts of a file or a dataset, without its images."""

from __future__ import annotations

from pathlib import Path

from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.errors import DataError
from sam3i_edge.text_files import read_text


def read_texts(path: str | Path) -> list[str]:
    """The texts of a file, one a line, or of the ``train`` split of a dataset's folder. Raises DataError."""
    path = Path(path)
    if path.is_dir():
        texts = {query.text for sample in load_samples(path, "train").samples for query in sample.queries}
    else:
        try:
            texts = {line.strip() for line in read_text(path).splitlines()} - {""}
        except (OSError, ValueError) as error:
            raise DataError(f"Cannot read the texts {path}: {error}. Give a file with a text on each line.") from error
    if not texts:
        raise DataError(f"There is no text in {path}. Give a file with a text on each line, or a dataset's folder.")
    return sorted(texts)
