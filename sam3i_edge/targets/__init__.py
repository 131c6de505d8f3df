"""Targets: the devices a bundle can be made for. A target is data: a TOML file here, or a TOML or JSON file of yours.

A new device is a new file; ``sam3i-edge targets NAME`` prints one to begin with.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, ExportError, unknown_name
from sam3i_edge.graphs import check_capability
from sam3i_edge.manifest import RuntimeTarget
from sam3i_edge.precision import PRECISIONS
from sam3i_edge.runtimes import RUNTIMES
from sam3i_edge.text_files import read_json, read_toml

FOLDER = Path(__file__).parent
TARGETS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The names of those that come with the package."""

INT8_SCHEMES = ("symmetric", "affine")


@dataclass(frozen=True)
class Target:
    """What a device needs of a bundle, and how its runtime is to be set up there."""

    name: str
    description: str
    runtime: str
    """One of ``sam3i_edge.runtimes.RUNTIMES``."""
    device: str
    """What the device ``auto`` means: a name of the runtime's, such as ``cpu``, ``GPU`` or ``cuda:0``."""
    precisions: tuple[str, ...]
    """Those of ``PRECISIONS`` that it can run."""
    int8: str
    """How its runtime wants int8 activations: ``symmetric``, or ``affine`` (uint8 with a zero point)."""
    opset: int
    """ONNX operator set of the graphs."""
    ir_version: int
    """ONNX file format version: one that the oldest supported runtime reads."""
    max_prompts: int
    """Most prompts in one call of the grounding graph, memory permitting."""
    attention_mb: int
    """What the encoder's attention maps of one call may take; a large model then takes fewer prompts per call."""
    why: str
    """The reasons for these choices."""
    hardware: str
    """On what it was run: a device, or ``not yet run on hardware``."""
    machine: tuple[str, ...] = ()
    """Processors, as ``platform.machine()`` names them, that it is for; none: any."""
    threads: int = 0
    """Processor threads; 0: the runtime's own choice."""
    settings: dict[str, str] = field(default_factory=dict)
    """Passed to the runtime as they are, under its own names."""
    default_precision: str = ""
    """What is exported where none is asked for, one of ``precisions``; empty: the first."""
    attention: str = ""
    """One of ``manifest.ATTENTION``, of graphs with half precision in their types; empty: unfused."""
    compute_capabilities: tuple[str, ...] = ()
    """Of the GPUs that engines are built for ahead of time, at export, such as ``8.6``; none: on the device."""

    @property
    def fits_processor(self) -> bool:
        """Whether it is for this machine's processor."""
        return not self.machine or platform.machine() in self.machine

    @property
    def on_device(self) -> RuntimeTarget:
        """The part of it that a device needs."""
        return RuntimeTarget(self.name, self.runtime, self.device, self.threads, self.settings, self.attention)

    def __post_init__(self) -> None:
        for name in ("opset", "ir_version", "max_prompts", "attention_mb"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be greater than 0.")
        if self.int8 not in INT8_SCHEMES:
            raise ConfigError(unknown_name("int8", self.int8, INT8_SCHEMES))
        _ = self.on_device  # which checks itself
        for capability in self.compute_capabilities:
            check_capability(capability)
        if not self.precisions:
            raise ConfigError(f"precisions is empty; give some of {', '.join(PRECISIONS)}.")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise ConfigError(unknown_name("precision", precision, PRECISIONS))
        if self.default_precision and self.default_precision not in self.precisions:
            raise ConfigError(unknown_name("default_precision", self.default_precision, self.precisions))


def get_target(name_or_file: str | Path) -> Target:
    """The target of that name, or the one in a ``.toml`` or ``.json`` file, which is named as the file.

    Raises:
        ExportError: there is no such target, listing the known ones and the closest, or the file cannot be read.
    """
    path = Path(name_or_file)
    if path.suffix not in (".toml", ".json"):
        if str(name_or_file) not in TARGETS:
            hint = " Or give the path of a .toml or .json file."
            raise ExportError(unknown_name("target", str(name_or_file), TARGETS) + hint)
        path = FOLDER / f"{name_or_file}.toml"
    try:
        values = read_json(path) if path.suffix == ".json" else read_toml(path)
        target = schema.parse(Target, {"name": path.stem, **values} if isinstance(values, dict) else values)
        if target.runtime not in RUNTIMES:
            raise ConfigError(unknown_name("runtime", target.runtime, RUNTIMES))
        return target
    except OSError as error:
        raise ExportError(f"Cannot read the target {path}: {error.strerror}.") from error
    except (ValueError, ConfigError) as error:
        raise ExportError(f"{path}: {error}") from error


def check_precision(target: Target, precision: str | None) -> str:
    """``precision``, or the target's default when it is None. Raises ExportError if the target has no such one."""
    if precision is None:
        return target.default_precision or target.precisions[0]
    if precision not in target.precisions:
        raise ExportError(unknown_name(f"precision for target {target.name}", precision, target.precisions))
    return precision
