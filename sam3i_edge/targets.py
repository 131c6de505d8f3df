"""Targets: the devices a bundle can be made for. A target is data."""

from __future__ import annotations

from dataclasses import dataclass

from sam3i_edge.errors import ExportError, unknown_name


@dataclass(frozen=True)
class Target:
    """What a device needs of a bundle."""

    name: str
    description: str
    runtime: str
    precisions: tuple[str, ...]
    """The first is the default."""
    opset: int
    """ONNX operator set of the graphs."""
    ir_version: int
    """ONNX file format version: one that the oldest supported runtime reads."""


TARGETS = {
    target.name: target
    for target in (
        Target("x86-cpu", "x86-64 processor, ONNX Runtime", "onnxruntime", ("fp32",), opset=20, ir_version=10),
        Target(
            "arm-cpu",
            "64-bit Arm processor, ONNX Runtime (not yet run on hardware)",
            "onnxruntime",
            ("fp32",),
            opset=20,
            ir_version=10,
        ),
    )
}


def get_target(name: str) -> Target:
    """The named target. Raises ExportError listing the known ones and the closest."""
    if name not in TARGETS:
        raise ExportError(unknown_name("target", name, TARGETS))
    return TARGETS[name]


def check_precision(target: Target, precision: str | None) -> str:
    """``precision``, or the target's default when it is None. Raises ExportError if the target has no such one."""
    if precision is None:
        return target.precisions[0]
    if precision not in target.precisions:
        raise ExportError(unknown_name(f"precision for target {target.name}", precision, target.precisions))
    return precision
