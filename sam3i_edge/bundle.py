"""A bundle: the folder that export writes and a Segmenter loads. Nothing in it runs on the processor, or is pickled.

manifest.json      what is here, for which target, how exact at export, SHA-256 of every other file
graphs/            vision.onnx, text.onnx, grounding.onnx, with external data beside them when large
engines/           for TensorRT-RTX: the same graphs, built ahead of time
merges.txt.gz      the text tokenizer
route.json         the classifier behind the route ``auto``
golden/            a photograph, prompts and the float model's answers, for ``sam3i-edge verify``
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.compare import Difference
from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import BundleError, ConfigError, unknown_name
from sam3i_edge.files import write_json
from sam3i_edge.graphs import GraphSpec, Limits, graph_specs
from sam3i_edge.prompt import ROUTES
from sam3i_edge.quantize.recipe import Recipe
from sam3i_edge.route import ROUTE_FILE
from sam3i_edge.runtimes import PrebuiltEngine
from sam3i_edge.targets import Target

FORMAT = "sam3i-edge-bundle"
FORMAT_VERSION = 6
MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "merges.txt.gz"
GOLDEN_PROMPTS_FILE = "golden/prompts.json"
GOLDEN_TENSORS_FILE = "golden/tensors.npz"
GOLDEN_FILES = (GOLDEN_PROMPTS_FILE, GOLDEN_TENSORS_FILE)

FILE_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){0,3}")


ENGINES = "engines"
"""The folder of those that were built ahead of time."""

PREPROCESSING = {"resize": "bilinear, antialiased, uint8", "channels": "RGB", "normalization": "in the graph"}
"""How an image becomes the vision graph's input: ``sam3i_edge.image.preprocess``, for readers in other languages."""


@dataclass(frozen=True)
class FileRecord:
    """Size and hash that a file must have."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Source:
    """Where the weights came from. ``note`` is shown to whoever uses the bundle: what the weights lack."""

    checkpoint: str
    sha256: str
    note: str = ""


@dataclass(frozen=True)
class Quantization:
    """How the integers came about, and what they cost."""

    recipe: Recipe
    """with a line for every block"""
    calibration: str
    """the data's name,"""
    calibration_sha256: str
    """and the hash of its pictures and prompts"""
    calibration_images: int
    calibration_prompts: dict[str, int]
    """by route"""
    scored_on: str
    """what the scores were measured on; empty if they were not"""
    scored_images: int
    float_scores: dict[str, float]
    """of the float model, in percent, by "<route> gIoU", "<route> P@0.5", "concept cgF1" and "false alarms","""
    scores: dict[str, float]
    """and of this bundle, in the runtime that checked it"""

    def table(self) -> str:
        """What the integers cost, for people."""
        if not self.scores:
            return "accuracy was not measured: it needs calibration data that says what its texts mean"
        rows = [f"{name:15} {before:6.2f} -> {self.scores[name]:6.2f}" for name, before in self.float_scores.items()]
        return "\n".join([f"float -> int8, on {self.scored_images} images of {self.scored_on}, in percent", *rows])


@dataclass(frozen=True)
class TensorRtRecord:
    """What NVIDIA's own tools said of the graphs at export."""

    checked_by: str
    """The product and version whose parser and builder took every graph; empty if only our lint has looked."""
    engines: tuple[PrebuiltEngine, ...]
    """Those in the bundle, one a graph."""

    def __post_init__(self) -> None:
        graphs = [engine.graph for engine in self.engines]
        for engine in self.engines:
            if graphs.count(engine.graph) > 1:
                raise ConfigError(f"The {engine.graph} graph has more than one engine.")
            if not engine.file.startswith(f"{ENGINES}/"):
                raise ConfigError(f"The engine {engine.file!r} must lie in {ENGINES}/.")


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``."""

    format: str
    format_version: int
    tool_versions: dict[str, str]
    source: Source
    model: ModelConfig
    target: Target
    precision: str
    routes: tuple[str, ...]
    preprocessing: dict[str, str]
    limits: Limits
    graphs: dict[str, GraphSpec]
    accuracy: dict[str, Difference]
    """At export, against the float model,"""
    checked_on: str
    """by this runtime and device, which need not be the target's."""
    files: dict[str, FileRecord]
    quantization: Quantization | None = None
    """of a bundle with integers"""
    tensorrt: TensorRtRecord | None = None
    """of a bundle for TensorRT or TensorRT-RTX"""

    @property
    def total_bytes(self) -> int:
        """Size of all files but the manifest itself."""
        return sum(record.bytes for record in self.files.values())


@dataclass(frozen=True)
class Bundle:
    """A folder whose manifest was read and whose files were checked against it."""

    path: Path
    manifest: Manifest

    def graph_path(self, name: str) -> Path:
        """The file of the graph ``vision``, ``text`` or ``grounding``."""
        return self.path / self.manifest.graphs[name].file

    def engine(self, name: str) -> PrebuiltEngine | None:
        """The engine of that graph, with the bundle's path, if one was built ahead of time."""
        for engine in self.manifest.tensorrt.engines if self.manifest.tensorrt else ():
            if engine.graph == name:
                return replace(engine, file=str(self.path / engine.file))
        return None


def open_bundle(path: str | Path) -> Bundle:
    """Read and check a bundle: format version, every file's size and SHA-256, no file too few or too many.

    Raises:
        BundleError: anything is not as the manifest says; the message names the file.
    """
    path = Path(path)
    manifest = read_manifest(path)
    check_files(path, manifest)
    return Bundle(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json`` without checking the other files. Raises BundleError."""
    file = path / MANIFEST_FILE
    if not file.is_file():
        what = "is a file, not a bundle folder" if path.is_file() else f"holds no {MANIFEST_FILE}"
        problem = what if path.exists() else "does not exist"
        raise BundleError(f"{path} {problem}. Make a bundle with: sam3i-edge export --checkpoint FILE -o DIR")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read: {error}. Copy or export the bundle anew.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(f"{file} is no manifest of a {FORMAT}.")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        advice = "Update this package" if isinstance(version, int) and version > FORMAT_VERSION else "Export it anew"
        raise BundleError(
            f"{path} has bundle format version {version!r}; this package reads version {FORMAT_VERSION}. {advice}."
        )
    try:
        manifest = schema.parse(Manifest, content)
    except (schema.SchemaError, ConfigError) as error:
        raise BundleError(f"{file}: {error} Copy or export the bundle anew.") from error
    if manifest.precision not in manifest.target.precisions:
        problem = unknown_name("precision", manifest.precision, manifest.target.precisions)
        raise BundleError(f"{file}: {problem} Export the bundle anew.")
    if manifest.graphs != graph_specs(manifest.model, manifest.limits):
        raise BundleError(f"{file}: its graphs do not fit its model and limits. Export the bundle anew.")
    if manifest.routes != ROUTES or manifest.preprocessing != PREPROCESSING:
        raise BundleError(f"{file}: its routes or its preprocessing are not those of this package. Export it anew.")
    return manifest


def check_files(path: Path, manifest: Manifest, unlisted_may_lie_in: str = "") -> None:
    """Hold a bundle's files to its manifest, but for what lies in the named folder unlisted. Raises BundleError."""
    needed = {TOKENIZER_FILE, ROUTE_FILE, *GOLDEN_FILES, *(graph.file for graph in manifest.graphs.values())}
    needed |= {engine.file for engine in manifest.tensorrt.engines} if manifest.tensorrt else set()
    unlisted = sorted(needed - manifest.files.keys())
    if unlisted:
        raise BundleError(f"{path / MANIFEST_FILE} lists no hash for {', '.join(unlisted)}. Export the bundle anew.")
    root = path.resolve()
    for name in manifest.files:
        # The pattern also keeps out what some file system would not take, and what would confuse a terminal.
        if not FILE_NAME.fullmatch(name) or not _lies_in(root, path / name):
            raise BundleError(
                f"{path / MANIFEST_FILE} names {name!r}, which leaves the bundle or is no plain file name. "
                f"Do not use this bundle."
            )
    present = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_symlink() or not file.is_dir()}
    extra = sorted(present - manifest.files.keys() - {MANIFEST_FILE})
    if unlisted_may_lie_in:
        extra = [name for name in extra if not name.startswith(f"{unlisted_may_lie_in}/")]
    if extra:
        raise BundleError(f"{path} holds files that its manifest does not list: {', '.join(extra)}. Remove them.")
    for name, record in manifest.files.items():
        _check_file(path, name, record)


def _lies_in(root: Path, file: Path) -> bool:
    try:
        return file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def _check_file(path: Path, name: str, record: FileRecord) -> None:
    file = path / name
    if not file.is_file():
        raise BundleError(f"{path}: {name} is missing. Copy or export the bundle anew.")
    size = file.stat().st_size
    if size != record.bytes:
        raise BundleError(f"{path}: {name} has {size} bytes, expected {record.bytes}. Copy or export the bundle anew.")
    if sha256_of(file) != record.sha256:
        raise BundleError(f"{path}: {name} was changed: its SHA-256 is not the manifest's. Copy or export it anew.")


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def list_files(path: Path) -> dict[str, FileRecord]:
    """Size and hash of every file below ``path`` but the manifest, in a stable order."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file != path / MANIFEST_FILE)
    return {file.relative_to(path).as_posix(): record_of(file) for file in files}


def record_of(file: Path) -> FileRecord:
    """Size and hash of a file."""
    return FileRecord(sha256_of(file), file.stat().st_size)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the folder ``path``."""
    write_json(path / MANIFEST_FILE, schema.plain(manifest))
