"""A strongly typed FP16 graph, with the places in FP32 where half precision is measured to be too little.

TensorRT 11 takes the types as they stand in the graph, and 10 does so if asked: what computes in FP32 must say so here.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.node import map_arg

from sam3i_edge.quantize.inputs import Inputs
from sam3i_edge.quantize.ptq import decibels
from sam3i_edge.quantize.quantizer import block_of, recipe_block
from sam3i_edge.terminal import printable
from sam3i_edge.tolerances import MAX_SQNR_DB

_ATEN = torch.ops.aten

RANGE = torch.finfo(torch.float16).max / 8
"""Calibration has not seen every image: values must stay below this share of the largest."""
LEAST_SQNR_DB = 55.0
"""Rounding alone leaves about 73 dB; less means that an operator makes its input's rounding larger."""

NORMS = frozenset({_ATEN.layer_norm.default, _ATEN.group_norm.default})
"""They square their input on the way."""
FLOAT_ONLY = frozenset(
    {
        _ATEN.topk.default,  # equal scores would change places
        _ATEN.to.dtype,
        _ATEN.zeros.default,
        _ATEN.zeros_like.default,
        _ATEN.full_like.default,
        _ATEN.arange.default,
    }
)
VIEWS = frozenset(
    {
        operator.getitem,
        _ATEN.slice.Tensor,
        _ATEN.transpose.int,
        _ATEN.permute.default,
        _ATEN.view.default,
        _ATEN.flatten.using_ints,
        _ATEN.unflatten.int,
        _ATEN.unsqueeze.default,
        _ATEN.unbind.int,
        _ATEN.expand.default,
    }
)
"""They pass values on as they are."""
INTEGERS = "quantized_decomposed"
"""The namespace of what leads to integers and back; the types of its scales are changed later, in ``lowering``."""
CHECKS = frozenset({_ATEN._assert_tensor_metadata.default})
"""They would insist on the types that are about to change."""


@dataclass
class Unit:
    """One kind of operator in one block, by what half precision does to it on the same input."""

    name: str
    """``block/operator``"""
    signal: float = 0.0
    noise: float = 0.0
    peak: float = 0.0
    """Of what it reads and writes; a norm's squared."""
    fed_by: set[str] = field(default_factory=set)
    """The units that compute what it reads."""

    @property
    def sqnr_db(self) -> float:
        """Of its output, when its input and output are rounded to half precision."""
        return decibels(self.signal, self.noise) if self.noise else MAX_SQNR_DB

    @property
    def fits(self) -> bool:
        """Whether half precision can hold its values."""
        return self.peak <= RANGE


@torch.no_grad()
def measure(graph: GraphModule, data: Iterable[Inputs]) -> list[Unit]:
    """Every unit of a traced float graph, on calibration data, in one pass."""
    measuring = _Measuring(graph)
    for inputs in data:
        measuring.run(*inputs)
    return list(measuring.units.values())


def units_of_blocks(graph: GraphModule, blocks: Collection[str]) -> set[str]:
    """The names of all units of some of a recipe's blocks in a traced graph."""
    nodes = [node for node in graph.graph.nodes if node.op == "call_function" and "nn_module_stack" in node.meta]
    return {unit_of(node) for node in nodes if recipe_block(node) in blocks}


def islands(units: Iterable[Unit], least_sqnr_db: float = LEAST_SQNR_DB) -> dict[str, str]:
    """The units that must stay in FP32, with the reasons.

    What suffers from its input's rounding is not helped by FP32 alone: what feeds it stays there, too.
    """
    kept: dict[str, str] = {}
    for unit in units:
        if not unit.fits:
            kept[unit.name] = f"reaches {unit.peak:.3g}, beyond {RANGE:.0f}"
        elif unit.sqnr_db < least_sqnr_db:
            kept[unit.name] = f"SQNR {unit.sqnr_db:.0f} dB, below {least_sqnr_db:.0f}"
            for feeding in sorted(unit.fed_by):
                kept.setdefault(feeding, f"feeds {unit.name}")
    return kept


def to_toml(tables: Mapping[str, Mapping[str, str]], note: str) -> str:
    """The islands of each graph as a file to read; ``note`` becomes a comment at its top."""
    lines = [f"# {printable(note)}", "# All else computes in FP16. A line: block/operator, and why it does not."]
    for graph, kept in tables.items():
        lines += ["", f"[{graph}]", *(f"{json.dumps(name)} = {json.dumps(why)}" for name, why in kept.items())]
    return "\n".join(lines) + "\n"


def to_half(graph: GraphModule, kept: Mapping[str, str]) -> GraphModule:
    """Retype a traced graph in place: FP16 but for integers and the units ``kept``. Its interface stays as it is."""
    for node in list(graph.graph.nodes):
        if _keeps_type(node):
            node.replace_all_uses_with(node.args[0])
        elif node.target not in CHECKS:
            continue
        graph.graph.erase_node(node)
    _Retyping(graph, kept).run()
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def unit_of(node: Node) -> str:
    """The name of the unit that a node belongs to."""
    operator = getattr(node.target, "_opname", None) or getattr(node.target, "__name__", str(node.target))
    return f"{block_of(node) if node.meta.get('nn_module_stack') else ''}/{operator}"


class _Measuring(Interpreter):
    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.units: dict[str, Unit] = {}

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_function" and _is_float(result) and n.target not in FLOAT_ONLY:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            name = unit_of(n)
            unit = self.units.setdefault(name, Unit(name))
            unit.fed_by |= {
                unit_of(source) for source in map(_computed, n.all_input_nodes) if source.op == "call_function"
            }
            self._count(unit, n, args, kwargs, result)
        return result

    def _count(self, unit: Unit, node: Node, args: Any, kwargs: Any, result: Tensor) -> None:
        assert callable(node.target)
        rounded = node.target(*_rounded(args), **_rounded(kwargs))
        error = _rounded(rounded) - result
        known = result.isfinite()  # hidden attention is -inf in both
        unit.signal += float(result[known].double().square().sum())
        noise = float(error[known].double().square().sum())
        unit.noise += noise if math.isfinite(noise) else math.inf
        for value in [result, *_floats(args)]:
            peak = float(value.abs().amax()) if value.numel() else 0.0  # TensorRT refuses infinite FP16 constants
            unit.peak = max(unit.peak, peak**2 if node.target in NORMS else peak)


class _Retyping:
    """Edits a graph node by node, with a cast wherever two types meet."""

    def __init__(self, graph: GraphModule, kept: Mapping[str, str]) -> None:
        self._graph, self._kept = graph, kept
        self._half: set[Node] = set()
        self._casts: dict[tuple[Node, torch.dtype], Node] = {}

    def run(self) -> None:
        for node in list(self._graph.graph.nodes):
            if node.op == "output":
                node.args = map_arg(node.args, lambda arg: self._as(arg, torch.float32))
            elif node.op == "call_function":
                half = self._wants_half(node)
                wanted = torch.float16 if half else torch.float32
                convert = lambda arg, wanted=wanted: self._as(arg, wanted)  # noqa: E731
                if node.target is not operator.getitem:
                    node.args, node.kwargs = map_arg(node.args, convert), map_arg(node.kwargs, convert)
                if half:
                    self._half.add(node)

    def _wants_half(self, node: Node) -> bool:
        if node.target is operator.getitem:
            return node.args[0] in self._half
        values = node.meta.get("val")
        parts = values if isinstance(values, tuple | list) else (values,)
        is_float = all(isinstance(part, Tensor) and part.dtype == torch.float32 for part in parts)
        made_of_floats = any(self._is_float32(source) for source in node.all_input_nodes)  # or it would not be retyped
        float_only = node.target in FLOAT_ONLY or getattr(node.target, "namespace", "") == INTEGERS
        return is_float and made_of_floats and not float_only and unit_of(node) not in self._kept

    def _as(self, node: Node, wanted: torch.dtype) -> Node:
        """``node``, or a cast of it, if it is of the other floating-point type."""
        if not self._is_float32(node):
            return node
        has = torch.float16 if node in self._half else torch.float32
        if has == wanted:
            return node
        if (node, wanted) not in self._casts:
            self._casts[node, wanted] = self._constant(node) if node.op == "get_attr" else self._cast(node, wanted)
        return self._casts[node, wanted]

    def _is_float32(self, node: Node) -> bool:
        """Whether it gave one float32 tensor before its retyping."""
        if getattr(node.target, "namespace", "") == INTEGERS:  # PT2E puts them in without their values
            return "dequantize" in str(node.target)
        value = node.meta.get("val")
        if node.op == "get_attr" and value is None:
            value = operator.attrgetter(str(node.target))(self._graph)
        return isinstance(value, Tensor) and value.dtype == torch.float32

    def _cast(self, node: Node, wanted: torch.dtype) -> Node:
        place = node
        while place.next.op == "placeholder":
            place = place.next
        with self._graph.graph.inserting_after(place):
            return self._graph.graph.call_function(_ATEN.to.dtype, (node, wanted))

    def _constant(self, node: Node) -> Node:
        """A parameter in half precision: stored so, not cast when the graph runs."""
        name = f"half_{str(node.target).replace('.', '_')}"
        if not hasattr(self._graph, name):
            self._graph.register_buffer(name, operator.attrgetter(str(node.target))(self._graph).detach().half())
        with self._graph.graph.inserting_after(node):
            return self._graph.graph.get_attr(name)


def _computed(node: Node) -> Node:
    """Where a node's values come from: itself, or what it is a view of."""
    while node.target in VIEWS and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def _keeps_type(node: Node) -> bool:
    """Whether it is a cast to the type that there is, such as ``x.float()``; it would become one to FP32 and back."""
    if node.target is not _ATEN.to.dtype or not isinstance(node.args[0], Node):
        return False
    before, after = node.args[0].meta.get("val"), node.meta.get("val")
    return isinstance(before, Tensor) and isinstance(after, Tensor) and before.dtype == after.dtype


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float32


def _rounded(values: Any) -> Any:
    """Tensors, alone or in a call's arguments, as half precision would hold them."""
    if isinstance(values, Tensor):
        return values.half().float() if _is_float(values) else values
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, tuple | list):
        return type(values)(_rounded(value) for value in values)
    return values


def _floats(values: Any) -> Iterator[Tensor]:
    for value in values if isinstance(values, tuple | list) else (values,):
        if _is_float(value):
            yield value
        elif isinstance(value, tuple | list):
            yield from _floats(value)
