"""A traced module in operators that the ONNX exporter knows.

The exporter has PyTorch decompose what it does not know, by tracing the whole program again: half of an export. Our
graphs need that for a few operators only, which are replaced one by one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

_ATEN = torch.ops.aten

_TRANSLATED = (
    *(_ATEN.linear.default, _ATEN.matmul.default, _ATEN.conv2d.default, _ATEN.softmax.int, _ATEN.dropout.default),
    *(_ATEN.layer_norm.default, _ATEN.group_norm.default, _ATEN.pad.default, _ATEN.upsample_nearest2d.vec),
    *(_ATEN.reshape.default, _ATEN.sym_size.int),
)
"""Operators that consist of others, which the exporter translates as they are."""


class Program(ExportedProgram):
    """A program that PyTorch decomposes only if something is left to decompose."""

    def run_decompositions(self, decomp_table: Mapping[Any, Any] | None = None, **options: Any) -> ExportedProgram:
        """What the exporter calls; ``decomp_table`` has the operators that it does not know."""
        for node in self.graph.nodes:
            _replace(node)
        if decomp_table is None or any(_is_left(node, decomp_table) for node in self.graph.nodes):
            return super().run_decompositions(decomp_table, **options)
        return self


def _replace(node: Node) -> None:
    """Have a node compute the same with an operator that the exporter knows, or translates to fewer ONNX nodes."""
    given: list[Any] = list(node.args)
    if node.target is _ATEN.__and__.Tensor:
        node.target = _ATEN.bitwise_and.Tensor
    elif node.target is _ATEN.rsub.Scalar and len(given) == 2:
        node.target, node.args = _ATEN.sub.Tensor, (given[1], given[0])
    elif node.target is _ATEN.to.dtype and len(given) == 2:
        node.target, node.args, node.kwargs = _ATEN._to_copy.default, (given[0],), {"dtype": given[1]}
    elif node.target is _ATEN.conv_transpose2d.input:
        defaults = [None, (1, 1), (0, 0), (0, 0), 1, (1, 1)]
        x, weight, bias, stride, padding, extra, groups, dilation = given + defaults[len(given) - 2 :]
        node.target = _ATEN.convolution.default
        node.args = (x, weight, bias, stride, padding, dilation, True, extra, groups)
    elif node.target in (_ATEN.flatten.using_ints, _ATEN.unflatten.int):
        sides = [side if isinstance(side, int) else -1 for side in node.meta["val"].shape]
        if sides.count(-1) < 2:
            node.target, node.args = _ATEN.reshape.default, (given[0], sides)


def _is_left(node: Node, table: Mapping[Any, Any]) -> bool:
    """Whether PyTorch has to replace it: it is asked to, or it writes into its input, or consists of others."""
    if isinstance(node.target, torch._ops.HigherOrderOperator):
        return True
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    is_composite = node.target._can_decompose() and node.target not in _TRANSLATED
    return is_composite or node.target in table or node.target._schema.is_mutable
