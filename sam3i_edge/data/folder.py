"""The image files below a folder, by the names that an annotation file has for them."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

BLOBS, SNAPSHOTS = "blobs", "snapshots"


class NameRefusedError(ValueError):
    """A name that stands for no image that may be read; the message goes on after "file_name"."""


@dataclass(frozen=True)
class _Listing:
    names: dict[str, str]
    """By themselves, and by their composed form (NFC): macOS writes "ä" as two characters."""
    links: frozenset[str]


class Folder:
    """The image files below a folder. Each directory is listed once: asking 100,000 times costs seconds.

    Links may lead anywhere below the folder, the one of the annotations, and, for a snapshot in Hugging Face's cache,
    that of the repository. A link to elsewhere is refused: a dataset of a stranger would show files of the reader's.
    The folder itself may be a link.
    """

    def __init__(self, path: Path, annotations: Path) -> None:
        """``annotations`` is the folder that the annotation file is in."""
        self.path = path
        self._inside = {*_roots(path), *_roots(annotations)}
        self._listings: dict[str, _Listing] = {}

    def find(self, name: str) -> str:
        """The path of the file ``name`` relative to the folder, as the disk spells it.

        Raises:
            NameRefusedError: there is none, or it is a link to somewhere else.
        """
        found = ""
        for part in name.split("/"):
            if part in ("", "."):
                continue
            listing = self._listing(found)
            spelled = listing.names.get(part) or listing.names.get(unicodedata.normalize("NFC", part))
            if spelled is None:
                raise NameRefusedError(f"there is no image {self.path / name}.{_hint(listing, part, name)}")
            found = f"{found}/{spelled}" if found else spelled
            if spelled in listing.links:
                self._check_link(found)
        return found

    def _listing(self, folder: str) -> _Listing:
        if folder not in self._listings:
            try:
                with os.scandir(self.path / folder) as entries:
                    found = [(entry.name, entry.is_symlink()) for entry in entries]
            except OSError:
                found = []
            composed = {unicodedata.normalize("NFC", name): name for name, _ in found}
            names = composed | {name: name for name, _ in found}
            self._listings[folder] = _Listing(names, frozenset(name for name, is_link in found if is_link))
        return self._listings[folder]

    def _check_link(self, name: str) -> None:
        link = self.path / name
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # the latter for a circle, before Python 3.13
            raise NameRefusedError(f"{link} is a link that leads nowhere.") from error
        if not any(target.is_relative_to(root) for root in self._inside):
            raise NameRefusedError(
                f"{link} is a link to {target}, outside of the dataset. Copy the image there, or say where the images "
                f"lie: --images FOLDER."
            )


def _hint(listing: _Listing, part: str, name: str) -> str:
    if "\\" in name:
        return f" Write {name.replace(chr(92), '/')!r}: folders are divided by slashes."
    by_lower = {known.lower(): known for known in listing.names}
    other = by_lower.get(part.strip().lower())
    return f" There is {other!r}: write it so." if other else ""


def _roots(path: Path) -> set[Path]:
    """Where links below ``path`` may lead."""
    repositories = (
        folder.parent
        for folder in (path.absolute(), *path.absolute().parents)
        if folder.name == SNAPSHOTS and (folder.parent / BLOBS).is_dir()
    )
    return {path.resolve(), *(repository.resolve() for repository in repositories)}
