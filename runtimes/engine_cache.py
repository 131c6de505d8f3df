"""Engines, kept on disk: an engine is built for one GPU and one version of TensorRT, and building takes minutes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sam3i_edge.bundle import sha256_of
from sam3i_edge.files import remove_left_behind, write_json, write_whole

logger = logging.getLogger("sam3i_edge")

EXTRAS = {".timing": "timing cache", ".kernels": "compiled kernels"}
EXTERNAL_DATA = ".data"
"""Weights beyond protobuf's limit lie in a file of the graph's name and this ending."""


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on."""

    graph_sha256: str
    tensorrt: str
    gpu: str
    """Its name and compute capability."""
    max_prompts: int
    settings: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32] + ".engine"

    @property
    def timing_file(self) -> str:
        """That of the measurements of builds with this GPU and version."""
        return hashlib.sha256(f"{self.gpu} {self.tensorrt}".encode()).hexdigest()[:16] + ".timing"

    @property
    def kernels_file(self) -> str:
        """That of what TensorRT-RTX compiled on this GPU for the engine."""
        return f"{self.file}.kernels"


def graph_sha256(graph: Path, content: bytes | None = None) -> str:
    """Of a graph file and the weights beside it; of its ``content``, which has no weights beside it."""
    if content is not None:
        return hashlib.sha256(hashlib.sha256(content).hexdigest().encode()).hexdigest()
    files = (graph, graph.with_name(graph.name + EXTERNAL_DATA))
    return hashlib.sha256("".join(sha256_of(file) for file in files if file.is_file()).encode()).hexdigest()


class EngineCache:
    """A folder of engines, each with a JSON file that says what it was built for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The kept engine, or else a new one, which is kept.

        An engine whose file is damaged is built anew, and one that cannot be kept is a warning: the next load takes as
        long. Engines of the same graph for another version of TensorRT are named and removed.
        """
        if self._folder is None:
            logger.warning("Building an engine that is not kept: there is no cache.")
            return build()
        kept = self._read(key)
        if kept is not None:
            return kept
        self._remove_stale(key)
        remove_left_behind(self._folder, "*.partial-*")
        engine = build()
        try:
            write_whole(self._folder / key.file, engine)
            about = {"key": asdict(key), "sha256": hashlib.sha256(engine).hexdigest()}
            write_json(self._folder / f"{key.file}.json", about)
        except OSError as error:
            self.drop(key)  # an engine without its JSON file is never read, and would fill the disk further
            logger.warning(
                "The engine could not be kept in %s (%s): the next load builds it again.", self._folder, error
            )
        return engine

    def drop(self, key: EngineKey) -> None:
        """Forget an engine that TensorRT refuses."""
        if self._folder is not None:
            (self._folder / key.file).unlink(missing_ok=True)

    def read_extra(self, name: str) -> bytes:
        """What is kept beside the engines under one of the names of ``EngineKey``; empty if nothing is."""
        path = self._folder / name if self._folder is not None else None
        return path.read_bytes() if path is not None and path.is_file() else b""

    def write_extra(self, name: str, content: bytes) -> None:
        """Keep ``content`` for the next load or build."""
        if self._folder is not None:
            try:
                write_whole(self._folder / name, content)
            except OSError as error:
                logger.warning("The %s could not be kept (%s).", EXTRAS[Path(name).suffix], error)

    def _read(self, key: EngineKey) -> bytes | None:
        assert self._folder is not None
        try:
            about = json.loads((self._folder / f"{key.file}.json").read_text(encoding="utf-8"))
            engine = (self._folder / key.file).read_bytes()
            if about["sha256"] == hashlib.sha256(engine).hexdigest():
                return engine
            logger.warning("The kept engine %s is damaged; building it again.", self._folder / key.file)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("The kept engine %s cannot be read (%s); building it again.", self._folder / key.file, error)
        return None

    def _remove_stale(self, key: EngineKey) -> None:
        assert self._folder is not None
        for path in self._folder.glob("*.engine.json"):
            try:
                old = EngineKey(**json.loads(path.read_text(encoding="utf-8"))["key"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if (old.graph_sha256, old.gpu) == (key.graph_sha256, key.gpu) and old.tensorrt != key.tensorrt:
                logger.warning("TensorRT went from %s to %s: building the engine again.", old.tensorrt, key.tensorrt)
                for stale in (path.with_suffix(""), path.with_suffix(".kernels"), path):
                    stale.unlink(missing_ok=True)
