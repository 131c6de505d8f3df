"""A bundle: the folder that export writes and a Segmenter loads (``docs/bundle-format.md``).

Nothing in it is executable, pickled or compressed. Its files, and folders, may be links: what counts is their content,
which the manifest pins.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from sam3i_edge.errors import BundleError, ConfigError, unknown_name
from sam3i_edge.external_data import named_files
from sam3i_edge.graphs import PrebuiltEngine
from sam3i_edge.manifest import MANIFEST_FILE, FileRecord, Manifest, fingerprint_of, manifest_bytes, parse_manifest

FILE_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){0,3}")

SIGNATURE_FILE = "model.sig"
"""Made of a finished bundle, so that its manifest cannot list it."""

INTEGRITY = ("full", "size")
"""What is checked of every file: its size and its SHA-256, or its size alone."""

MOST_SHOWN = 10
"""Files that a message names."""

Stamp = tuple[int, ...]
"""What tells one state of a file from another without reading it."""


@dataclass(frozen=True)
class Bundle:
    """A folder whose manifest was read and whose files were checked against it."""

    path: Path
    manifest: Manifest
    fingerprint: str
    """As ``manifest.fingerprint_of`` gives it."""
    integrity: str = "full"
    stamps: dict[str, Stamp] = field(default_factory=dict, compare=False, repr=False)
    """Of the files that were hashed, by name, before they were."""

    def graph_path(self, name: str) -> Path:
        """The file of the graph ``vision``, ``text`` or ``grounding``."""
        return self.path / self.manifest.runtime.graphs[name].file

    def engine(self, name: str) -> PrebuiltEngine | None:
        """The engine of that graph, with the bundle's path, if one was built ahead of time."""
        for engine in self.manifest.runtime.engines:
            if engine.graph == name:
                return replace(engine, file=str(self.path / engine.file))
        return None

    def engine_sha256(self, name: str) -> str:
        """What that engine must have; empty: it is not to be checked, or there is none."""
        engines = [engine.file for engine in self.manifest.runtime.engines if engine.graph == name]
        return self.manifest.files[engines[0]].sha256 if engines and self.integrity == "full" else ""

    def read(self, name: str) -> bytes:
        """The content of a file that the manifest lists: with ``full`` integrity, the bytes that were hashed.

        Raises:
            BundleError: it is not as the manifest says.
        """
        record = self.manifest.files[name]
        try:
            with (self.path / name).open("rb") as stream:
                self.stamps[name] = _stamp(os.fstat(stream.fileno()))
                content = stream.read(record.bytes + 1)
        except OSError as error:
            raise BundleError(f"{self.path}: {name} cannot be read: {error}. Copy or export it again.") from error
        if len(content) != record.bytes:
            raise BundleError(_wrong_size(self.path, name, len(content), record.bytes))
        if self.integrity == "full" and hashlib.sha256(content).hexdigest() != record.sha256:
            raise BundleError(_changed(self.path, name))
        return content

    def graph_content(self, name: str) -> bytes | None:
        """The bytes of a graph that were hashed, for the runtime to open.

        Returns:
            None where the runtime must open the file itself: its weights lie in another one beside it, or hashes are
            not checked. ``check_unchanged`` then says whether that was the file that was hashed.

        Raises:
            BundleError: it is not as the manifest says, or it names other files than its own weights.
        """
        file = self.manifest.runtime.graphs[name].file
        content = self.read(file)  # no map of it: another process may cut it short
        is_apart = self._check_named_files(file, content)
        return content if self.integrity == "full" and not is_apart else None

    def check_unchanged(self, name: str) -> None:
        """Raises BundleError if a graph, or its weights, are not the files any more that were hashed."""
        file = self.manifest.runtime.graphs[name].file
        for one in (file, weights_file(file)):
            if self.integrity == "full" and one in self.stamps and self.stamps[one] != _stamp((self.path / one).stat()):
                raise BundleError(f"{self.path}: {one} was changed while it was loaded. Load the bundle again.")

    def _check_named_files(self, file: str, content: bytes) -> bool:
        """Whether the graph's weights lie beside it."""
        try:
            named = sorted(named_files(content))
        except ValueError as error:
            raise BundleError(
                f"{self.path / file} is no graph of a bundle: {error}. Do not use this bundle."
            ) from error
        weights = weights_file(file)
        if named and (named != [PurePosixPath(weights).name] or weights not in self.manifest.files):
            raise BundleError(
                f"{self.path / file} reads {', '.join(map(repr, named[:MOST_SHOWN]))}; of all files it may read "
                f"{weights}, listed in {MANIFEST_FILE}. Do not use this bundle."
            )
        return bool(named)


def weights_file(graph: str) -> str:
    """Where the weights of a graph's file lie, if they are too large for the file itself."""
    return f"{graph}.data"


def open_bundle(path: str | Path, integrity: str = "full", *, expect: str | None = None, run: bool = False) -> Bundle:
    """Read and check a bundle: format version, every file's size and SHA-256, no file too few or too many.

    Args:
        path: the folder.
        integrity: ``full``, or ``size``: SHA-256 is not checked, so that large files need not be read.
        expect: the fingerprint that it must have; None: any.
        run: the caller will ``read`` the tokenizer, the router and all graphs: these are hashed when they are read.

    Raises:
        BundleError: anything is not as the manifest says, or the fingerprint is another; the message names the file.
        ConfigError: ``integrity`` is unknown.
    """
    path = Path(path)
    check_integrity(integrity)
    content = manifest_bytes(path)
    fingerprint = fingerprint_of(content)
    check_fingerprint(path, fingerprint, expect)
    manifest = parse_manifest(content, path)
    bundle = Bundle(path, manifest, fingerprint, integrity)
    runtime = manifest.runtime
    later = {runtime.tokenizer.file, runtime.router.file, *(graph.file for graph in runtime.graphs.values())}
    check_files(bundle, later if run else ())
    return bundle


def check_fingerprint(path: Path, found: str, expect: str | None) -> None:
    """Raises BundleError unless the bundle ``path``, which has one, has the fingerprint ``expect``; None: any."""
    if expect is None or found == expect:
        return
    if not re.fullmatch("[0-9a-f]{64}", expect):
        raise BundleError(
            f"expect is {expect!r}, which is no fingerprint: give the 64 digits 0-9 and a-f that sam3i-edge inspect "
            f"prints for a bundle that you trust."
        )
    raise BundleError(f"{path} has the fingerprint {found}, expected {expect}. It is another bundle: do not use it.")


def check_integrity(integrity: str) -> None:
    """Raises ConfigError unless ``integrity`` is one of ``INTEGRITY``."""
    if integrity not in INTEGRITY:
        raise ConfigError(unknown_name("integrity", integrity, INTEGRITY))


def check_files(bundle: Bundle, hashed_later: Collection[str] = (), unlisted_may_lie_in: str = "") -> None:
    """Hold a bundle's files to its manifest, but for what lies in the named folder unlisted. Raises BundleError."""
    path, manifest = bundle.path, bundle.manifest
    unlisted = sorted(manifest.runtime.needed_files - manifest.files.keys())
    if unlisted:
        raise BundleError(f"{path / MANIFEST_FILE} lists no hash for {', '.join(unlisted)}. Export the bundle again.")
    for name in manifest.files:
        # The pattern also keeps out what some file system would not take, and what would confuse a terminal.
        if not FILE_NAME.fullmatch(name):
            raise BundleError(
                f"{path / MANIFEST_FILE} names {name!r}, which leaves the bundle or is no plain file name. "
                f"Do not use this bundle."
            )
    try:
        _check_nothing_else(path, manifest, unlisted_may_lie_in)
        for name, record in manifest.files.items():
            _check_file(bundle, name, record, name not in hashed_later)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error}. Copy or export the bundle again.") from error


def _check_nothing_else(path: Path, manifest: Manifest, unlisted_may_lie_in: str) -> None:
    extra = list(islice(_unlisted(path, manifest.files.keys(), unlisted_may_lie_in), 1000))
    if extra:
        shown = sorted(extra)[:MOST_SHOWN] + ["…"] * (len(extra) > MOST_SHOWN)
        raise BundleError(f"{path} holds files that its manifest does not list: {', '.join(shown)}. Remove them.")


def _unlisted(path: Path, listed: Collection[str], may_lie_in: str) -> Iterator[str]:
    """Names of what is in a bundle beside its files, the manifest, a signature, empty folders, and what is hidden.

    Only folders of listed files are entered, through links, too.
    """
    folders = {str(parent) for name in listed for parent in PurePosixPath(name).parents}
    own = {*listed, MANIFEST_FILE, SIGNATURE_FILE}
    for folder in sorted(folders):
        if folder == may_lie_in or not (path / folder).is_dir():
            continue
        for entry in os.scandir(path / folder):
            name = entry.name if folder == "." else f"{folder}/{entry.name}"
            if entry.name.startswith(".") or name in own or name == may_lie_in:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if (name in folders and entry.is_dir()) or (is_folder and not any(Path(entry.path).iterdir())):
                continue
            yield f"{name}/" if is_folder else f"{name} (a link)" if entry.is_symlink() else name


def _check_file(bundle: Bundle, name: str, record: FileRecord, is_hashed: bool) -> None:
    path, file = bundle.path, bundle.path / name
    if not file.is_file():
        raise BundleError(f"{path}: {name} {_lack(file)}. Copy or export the bundle again.")
    found = file.stat()
    if found.st_size != record.bytes:
        raise BundleError(_wrong_size(path, name, found.st_size, record.bytes))
    if bundle.integrity == "full" and is_hashed:
        bundle.stamps[name] = _stamp(found)
        if sha256_of(file) != record.sha256:
            raise BundleError(_changed(path, name))


def _lack(file: Path) -> str:
    """Why what should be a file is none."""
    if file.is_symlink() and not os.path.exists(file):  # noqa: PTH110  # Path.exists raises for a link to itself
        return "is a link that leads nowhere"
    return "is missing" if not os.path.lexists(file) else "is not a regular file"


def _wrong_size(path: Path, name: str, found: int, expected: int) -> str:
    return f"{path}: {name} has {found} bytes, expected {expected}. Copy or export the bundle again."


def _changed(path: Path, name: str) -> str:
    return f"{path}: {name} was changed: its SHA-256 is not the manifest's. Copy or export it again."


def _stamp(found: os.stat_result) -> Stamp:
    """The file system writes the time of the last change itself: nobody can set it back."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def list_files(path: Path) -> dict[str, FileRecord]:
    """Size and hash of every file below ``path`` but the manifest and a signature, in a stable order."""
    own = (path / MANIFEST_FILE, path / SIGNATURE_FILE)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file not in own)
    return {file.relative_to(path).as_posix(): record_of(file) for file in files}


def record_of(file: Path) -> FileRecord:
    """Size and hash of a file."""
    return FileRecord(sha256_of(file), file.stat().st_size)
