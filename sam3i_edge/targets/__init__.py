"""Targets: the devices a bundle can be made for. A target is data: a TOML file here, or a TOML or JSON file of yours.

A new device is a new file; ``sam3i-edge targets NAME`` prints one to begin with.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, ExportError, unknown_name
from sam3i_edge.runtimes import RUNTIMES, check_capability, is_nvidia

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
TARGETS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The names of those that come with the package."""

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int8-bf16", "int8-fp16")
"""What a graph computes in. ``int8-bf16``: in int8 where the recipe says so, all else in bf16; ``int8``: in fp32. Where
half precision stands in the graphs' own types, ``int8-fp16`` leaves to the recipe what stays in fp32."""
NVIDIA_SETTINGS = ("workspace_mb", "builder_optimization_level")
INT8_SCHEMES = ("symmetric", "affine")
ATTENTION = ("unfused", "fused")
"""Whether an engine builder may make one kernel of softmax(QKᵀ)V in half precision. Such kernels were found to be wrong
on some GPUs, in silence."""


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
    """Those of ``PRECISIONS`` that it can run; the first is the default."""
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
    attention: str = ""
    """One of ``ATTENTION``, of graphs with half precision in their types; empty: unfused."""
    compute_capabilities: tuple[str, ...] = ()
    """Of the GPUs that engines are built for ahead of time, at export, such as ``8.6``; none: on the device."""

    @property
    def fits_processor(self) -> bool:
        """Whether it is for this machine's processor."""
        return not self.machine or platform.machine() in self.machine

    def __post_init__(self) -> None:
        for name in ("opset", "ir_version", "max_prompts", "attention_mb"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be greater than 0.")
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; it must be 0 (the runtime's choice) or more.")
        if self.int8 not in INT8_SCHEMES:
            raise ConfigError(unknown_name("int8", self.int8, INT8_SCHEMES))
        if self.attention and self.attention not in ATTENTION:
            raise ConfigError(unknown_name("attention", self.attention, ATTENTION))
        for capability in self.compute_capabilities:
            check_capability(capability)
        if self.runtime in RUNTIMES and is_nvidia(self.runtime):
            for name in NVIDIA_SETTINGS:
                if not re.fullmatch(r"[0-9]{1,9}", self.settings.get(name, "0")):
                    raise ConfigError(f"settings.{name} is {self.settings[name]!r}; it must be a whole number.")
        if not self.precisions:
            raise ConfigError(f"precisions is empty; give some of {', '.join(PRECISIONS)}.")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise ConfigError(unknown_name("precision", precision, PRECISIONS))


def is_int8(precision: str) -> bool:
    """Whether a bundle of this precision was quantized by a recipe."""
    return precision.startswith("int8")


def float_type(precision: str) -> str:
    """What a bundle of this precision computes in outside its integer layers: ``fp32``, ``bf16`` or ``fp16``."""
    return precision.removeprefix("int8").lstrip("-") or "fp32"


def is_typed_half(target: Target, precision: str) -> bool:
    """Whether half precision stands in the graphs' own types. Other runtimes are told to compute in it."""
    return float_type(precision) == "fp16" and is_nvidia(target.runtime)


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
        values = _read(path)
        target = schema.parse(Target, {"name": path.stem, **values} if isinstance(values, dict) else values)
        if target.runtime not in RUNTIMES:
            raise ConfigError(unknown_name("runtime", target.runtime, RUNTIMES))
        return target
    except OSError as error:
        raise ExportError(f"Cannot read the target {path}: {error.strerror}.") from error
    except (ValueError, RecursionError, ConfigError) as error:
        raise ExportError(f"{path}: {error}") from error


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def check_precision(target: Target, precision: str | None) -> str:
    """``precision``, or the target's default when it is None. Raises ExportError if the target has no such one."""
    if precision is None:
        return target.precisions[0]
    if precision not in target.precisions:
        raise ExportError(unknown_name(f"precision for target {target.name}", precision, target.precisions))
    return precision
