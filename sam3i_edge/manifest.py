"""``manifest.json``: what a bundle says of itself, as ``docs/bundle-format.md`` describes it.

``runtime`` is all that a device needs, and every key of it is checked. ``provenance`` says how the bundle was made;
devices carry it and never read it (``sam3i_edge.provenance`` does).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.domain import Domain
from sam3i_edge.errors import BundleError, ConfigError, unknown_name
from sam3i_edge.files import write_json
from sam3i_edge.graphs import GRAPHS, GraphSpec, Limits, ModelSizes, PrebuiltEngine, graph_specs
from sam3i_edge.postprocessing import Postprocessing
from sam3i_edge.precision import PRECISIONS
from sam3i_edge.prompt import ROUTES
from sam3i_edge.target_settings import MOST_THREADS, SETTINGS, check_settings
from sam3i_edge.text_files import decode
from sam3i_edge.tolerances import Tolerances

FORMAT = "sam3i-edge-bundle"
MAJOR, MINOR = 2, 1
FORMAT_VERSION = f"{MAJOR}.{MINOR}"
MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "merges.txt"
ROUTE_FILE = "route.json"
GOLDEN_PROMPTS_FILE = "golden/prompts.json"
GOLDEN_TENSORS_FILE = "golden/tensors.safetensors"
ENGINES = "engines"
"""The folder of those that were built ahead of time."""

ATTENTION = ("unfused", "fused")
"""Whether an engine builder may make one kernel of softmax(QKᵀ)V in half precision. Such kernels were found to be wrong
on some GPUs, in silence."""

MAX_DEPTH = 64
"""Of lists and objects in each other."""

MAX_BYTES = 4 << 20
"""Of ``manifest.json``."""


@dataclass(frozen=True)
class FileRecord:
    """Size and hash that a file must have."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class RuntimeTarget:
    """The device that a bundle is for, and how its runtime is set up there; ``sam3i_edge.targets.Target`` has more."""

    name: str
    runtime: str
    """One of ``sam3i_edge.runtimes.RUNTIMES``."""
    device: str
    """What the device ``auto`` means: a name of the runtime's."""
    threads: int
    """Processor threads; 0: the runtime's own choice."""
    settings: dict[str, str]
    """Passed to the runtime under its own names: those of ``target_settings.SETTINGS``."""
    attention: str
    """One of ``ATTENTION``, of graphs with half precision in their types; empty: unfused."""

    def __post_init__(self) -> None:
        if not 0 <= self.threads <= MOST_THREADS:
            raise ConfigError(
                f"threads is {self.threads}; it must be 0 (the runtime's choice) or more, at most {MOST_THREADS}."
            )
        if self.attention and self.attention not in ATTENTION:
            raise ConfigError(unknown_name("attention", self.attention, ATTENTION))
        check_settings(self.runtime, self.settings)


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the vision graph's input, in words; a reader refuses others than its own."""

    resize: str
    channels: str
    normalization: str


PREPROCESSING = Preprocessing("bilinear, antialiased, uint8", "RGB", "in the graph")
"""``sam3i_edge.image.preprocess``."""


@dataclass(frozen=True)
class TokenizerSection:
    """Which tokenizer, and its file."""

    kind: str
    file: str


@dataclass(frozen=True)
class RouterSection:
    """The file of the classifier behind the route ``auto``."""

    file: str


@dataclass(frozen=True)
class GoldenSection:
    """The files of the golden cases, and which values of each output they hold."""

    prompts: str
    tensors: str
    steps: dict[str, int]
    """By output: every n-th value of the flat tensor, from the first."""

    def __post_init__(self) -> None:
        for name, step in self.steps.items():
            if step < 1:
                raise ConfigError(f"golden.steps.{name} is {step}; it must be 1 or more.")


TOKENIZER = TokenizerSection("clip-bpe", TOKENIZER_FILE)


@dataclass(frozen=True)
class RuntimeSection:
    """What a device needs to run a bundle."""

    target: RuntimeTarget
    precision: str
    """One of ``PRECISIONS``."""
    model: ModelSizes
    limits: Limits
    routes: tuple[str, ...]
    preprocessing: Preprocessing
    tokenizer: TokenizerSection
    router: RouterSection
    graphs: dict[str, GraphSpec]
    engines: tuple[PrebuiltEngine, ...]
    """Built ahead of time, at most one a graph."""
    golden: GoldenSection
    tolerances: dict[str, Tolerances]
    """By the precisions that the bundle can be computed in."""
    note: str
    """Shown to whoever uses the bundle: what the weights lack."""
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    domain: Domain | None = None
    """None: of a model that was trained on much. Both since format 2.1."""

    def __post_init__(self) -> None:
        features = self.domain.features if self.domain else None
        if features and len(features.mean) != self.model.hidden_size:
            raise ConfigError(
                f"domain.features is of {len(features.mean)} channels; the model has {self.model.hidden_size}."
            )
        graphs = [engine.graph for engine in self.engines]
        for engine in self.engines:
            if graphs.count(engine.graph) > 1:
                raise ConfigError(f"The {engine.graph} graph has more than one engine.")
            if not engine.file.startswith(f"{ENGINES}/"):
                raise ConfigError(f"The engine {engine.file!r} must lie in {ENGINES}/.")

    @classmethod
    def of(
        cls,
        target: RuntimeTarget,
        precision: str,
        model: ModelSizes,
        limits: Limits,
        *,
        golden_steps: Mapping[str, int] | None = None,
        tolerances: Mapping[str, Tolerances] | None = None,
        note: str = "",
        postprocessing: Postprocessing | None = None,
        domain: Domain | None = None,
    ) -> RuntimeSection:
        """The section of a bundle that this package makes; all else is what it reads and writes."""
        return cls(
            target=target,
            precision=precision,
            model=model,
            limits=limits,
            routes=ROUTES,
            preprocessing=PREPROCESSING,
            tokenizer=TOKENIZER,
            router=RouterSection(ROUTE_FILE),
            graphs=graph_specs(model, limits),
            engines=(),
            golden=GoldenSection(GOLDEN_PROMPTS_FILE, GOLDEN_TENSORS_FILE, dict(golden_steps or {})),
            tolerances=dict(tolerances or {}),
            note=note,
            postprocessing=postprocessing or Postprocessing(),
            domain=domain,
        )

    @property
    def needed_files(self) -> set[str]:
        """The names of all files that this section names."""
        named = {self.tokenizer.file, self.router.file, self.golden.prompts, self.golden.tensors}
        return named | {graph.file for graph in self.graphs.values()} | {engine.file for engine in self.engines}


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``."""

    format: str
    format_version: str
    runtime: RuntimeSection
    provenance: dict[str, Any]
    """How the bundle was made: any object. Nothing on a device may depend on it."""
    files: dict[str, FileRecord]

    @classmethod
    def of(
        cls, runtime: RuntimeSection, provenance: dict[str, Any], files: dict[str, FileRecord] | None = None
    ) -> Manifest:
        """A manifest of this package's own format version."""
        return cls(FORMAT, FORMAT_VERSION, runtime, provenance, files or {})

    @property
    def is_newer(self) -> bool:
        """Whether it is of a higher minor version than this package's: what that added was not read."""
        return int(self.format_version.split(".")[1]) > MINOR

    @property
    def total_bytes(self) -> int:
        """Size of all files but the manifest itself."""
        return sum(record.bytes for record in self.files.values())


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json`` of the bundle folder ``path`` without checking the other files. Raises as ``parse``."""
    return parse_manifest(manifest_bytes(path), path)


def manifest_bytes(path: Path) -> bytes:
    """The bytes of ``manifest.json`` in the folder ``path``. Raises BundleError: there is none, or it is too large."""
    file = path / MANIFEST_FILE
    try:
        if not file.is_file():
            raise BundleError(f"{path} {_lack(path)}. Make a bundle with: sam3i-edge export --checkpoint FILE -o DIR")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error}. Copy or export the bundle again.") from error
    if len(content) > MAX_BYTES:
        raise BundleError(f"{file} has more than {MAX_BYTES} bytes. Copy or export the bundle again.")
    return content


def _lack(path: Path) -> str:
    """Why there is no manifest in ``path``."""
    if path.is_file():
        return "is a file, not a bundle folder"
    file = path / MANIFEST_FILE
    if file.is_symlink() or file.exists():
        return f"has a {MANIFEST_FILE} that is no file, or a link that leads nowhere"
    return f"holds no {MANIFEST_FILE}" if path.exists() else "does not exist"


def fingerprint_of(content: bytes) -> str:
    """The fingerprint of the bundle whose ``manifest.json`` has these bytes: their SHA-256, 64 hexadecimal digits.

    The manifest has the SHA-256 of every other file, so the fingerprint stands for every byte of the bundle.
    """
    return hashlib.sha256(content).hexdigest()


def fingerprint_of_bundle(path: str | Path) -> str:
    """The fingerprint of the bundle folder ``path``, whose files are not checked. Raises BundleError."""
    return fingerprint_of(manifest_bytes(Path(path)))


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """What the bytes of a ``manifest.json`` say; ``path`` is its bundle's folder, for messages.

    Of a higher minor version than this package's, keys, settings and graphs that it does not know are left out.

    Raises:
        BundleError: it is of another major version, or a key of it is wrong; the message names the key.
    """
    file = path / MANIFEST_FILE
    try:
        values = json.loads(decode(content), parse_int=_whole, parse_float=_finite, parse_constant=_finite)
        if _depth(values) > MAX_DEPTH:
            raise ValueError("it is nested too deep")
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read: {error}. Copy or export the bundle again.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BundleError(f"{file} is no manifest of a {FORMAT}. Copy or export the bundle again.")
    is_newer = _minor_version(path, values.get("format_version")) > MINOR
    try:
        manifest = schema.parse(Manifest, _known(values) if is_newer else values, ignore_unknown=is_newer)
    except (schema.SchemaError, ConfigError) as error:
        raise BundleError(f"{file}: {error} Copy or export the bundle again.") from error
    _check(manifest.runtime, file, is_newer)
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the folder ``path``."""
    write_json(path / MANIFEST_FILE, schema.plain(manifest))


def _finite(text: str) -> float:
    """A number of JSON's, as C++ reads it. Raises ValueError where a double has no room for it."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:20]} is not finite")
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _depth(content: Any) -> int:
    if not isinstance(content, dict | list):
        return 0
    return 1 + max(map(_depth, content.values() if isinstance(content, dict) else content), default=0)


def _minor_version(path: Path, version: Any) -> int:
    """Raises BundleError unless ``version`` is ``"MAJOR.MINOR"`` with this package's major version."""
    match = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})", version) if isinstance(version, str) else None
    if match and int(match[1]) == MAJOR:
        return int(match[2])
    shown = version if isinstance(version, str) else json.dumps(version)
    advice = "Update sam3i-edge" if match and int(match[1]) > MAJOR else "Export the bundle again"
    raise BundleError(
        f"{path} has bundle format version {shown}; this version of sam3i-edge reads {MAJOR}.x. {advice}."
    )


def _known(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without graphs, engines of graphs, and settings, that this package does not know."""
    runtime = content.get("runtime")
    if not isinstance(runtime, Mapping):
        return dict(content)
    known, graphs, engines = dict(runtime), runtime.get("graphs"), runtime.get("engines")
    if isinstance(graphs, Mapping):
        known["graphs"] = {name: graph for name, graph in graphs.items() if name in GRAPHS}
    if isinstance(engines, Sequence) and not isinstance(engines, str):
        known["engines"] = [one for one in engines if not isinstance(one, Mapping) or one.get("graph") in GRAPHS]
    target = runtime.get("target")
    if isinstance(target, Mapping) and isinstance(target.get("settings"), Mapping):
        names = SETTINGS.get(str(target.get("runtime"))) or target["settings"]
        known["target"] = {**target, "settings": {k: v for k, v in target["settings"].items() if k in names}}
    return {**content, "runtime": known}


def _check(runtime: RuntimeSection, file: Path, is_newer: bool) -> None:
    """Raises BundleError where the section is not what this package can run. Graphs of a newer one may give more."""
    if runtime.precision not in PRECISIONS:
        problem = unknown_name("precision", runtime.precision, PRECISIONS)
        raise BundleError(f"{file}: {problem} Export the bundle again.")
    expected = graph_specs(runtime.model, runtime.limits)
    fits = runtime.graphs.keys() == expected.keys() and all(
        graph.inputs == expected[name].inputs
        and (set(graph.outputs) >= set(expected[name].outputs) if is_newer else graph.outputs == expected[name].outputs)
        for name, graph in runtime.graphs.items()
    )
    if not fits:
        raise BundleError(f"{file}: its graphs do not fit its model and limits. Export the bundle again.")
    own = (ROUTES, PREPROCESSING, TOKENIZER.kind)
    if (runtime.routes, runtime.preprocessing, runtime.tokenizer.kind) != own:
        raise BundleError(
            f"{file}: its routes, preprocessing or tokenizer are not those of this version of sam3i-edge. Export the "
            f"bundle again."
        )
