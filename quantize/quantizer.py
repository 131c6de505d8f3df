"""Our quantizer for torchao's PT2E: it knows the blocks of SAM3-I and asks int8 of those that a recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node

from sam3i_edge.graph_modules.tracing import quiet
from sam3i_edge.quantize.observers import ACTIVATION_OBSERVERS, LEAST_SCALE
from sam3i_edge.quantize.recipe import PRODUCTS

with quiet():
    from torchao.quantization.pt2e import PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

_ATEN = torch.ops.aten
_SOFTMAX = _ATEN.softmax.int
LINEAR, CONV, PRODUCT = _ATEN.linear.default, _ATEN.conv2d.default, _ATEN.matmul.default
WEIGHTED: tuple[Any, ...] = (LINEAR, CONV)
"""The operators with weights that are quantized; the first side has a scale for each output channel. Besides, where a
recipe says so, the two products of attention; never softmax or LayerNorm. Nor transposed convolutions, for which ONNX
Runtime has no integer kernel: the export makes 1 x 1 ones of those of the pyramid."""
LEAST_WIDTH = 16
"""Thinner layers (of box coordinates) are left alone: eight bits are too few for a place, and there is no work."""

LAYERS = ("Linear", "Conv2d")
PREFIXES = ("vision_backbone.", "language_backbone.", "model.")


@dataclass(frozen=True)
class Scheme:
    """How a runtime wants its integers; weights are symmetric int8 for all."""

    activation: torch.dtype
    lowest: int
    highest: int
    qscheme: torch.qscheme
    conv_outputs: bool
    """Whether an integer convolution must put out integers, too, to be one."""
    least_scale: float = LEAST_SCALE
    """Of activations and weights."""


SCHEMES = {
    "symmetric": Scheme(torch.int8, -127, 127, torch.per_tensor_symmetric, conv_outputs=False),
    "affine": Scheme(torch.uint8, 0, 255, torch.per_tensor_affine, conv_outputs=True),
}
"""By the names of ``targets.INT8_SCHEMES``."""


def block_of(node: Node) -> str:
    """The block that a node of an exported graph belongs to: the innermost module that called it and is no mere layer.

    A layer that the graph itself calls, of no module in between, is a block of its own.
    """
    called = [(_stripped(name), _type_name(kind)) for name, kind in node.meta["nn_module_stack"].values()]
    inner = next((name for name, kind in reversed(called) if kind not in LAYERS), "")
    return inner or called[-1][0]


def _stripped(path: str) -> str:
    for prefix in PREFIXES:
        path = "" if path + "." == prefix else path.removeprefix(prefix)
    return path


def _type_name(kind: object) -> str:
    return (kind if isinstance(kind, str) else getattr(kind, "__name__", "")).rpartition(".")[2]


def weighted_nodes(graph: GraphModule) -> Iterator[Node]:
    """The linear layers and convolutions of an exported graph, in order."""
    return (node for node in graph.graph.nodes if node.target in WEIGHTED)


def quantizable_nodes(graph: GraphModule) -> Iterator[Node]:
    """Those of a traced graph that have work in them, and the products of its attentions.

    What depends on no input has no work: it is folded into a constant, unless rounding stands in the way.
    """
    varying: set[Node] = set()
    for node in graph.graph.nodes:
        if node.op == "placeholder" or not varying.isdisjoint(node.all_input_nodes):
            varying.add(node)
            if (node.target in WEIGHTED and _has_work(node)) or _is_of_attention(node):
                yield node


def recipe_block(node: Node) -> str:
    """The block by which a recipe speaks of a layer or a product."""
    return block_of(node) + PRODUCTS if _is_of_attention(node) else block_of(node)


def makes_scores(node: Node) -> bool:
    """Whether a node is the product of queries and keys: a softmax follows, maybe with a bias added before."""
    return node.target is PRODUCT and any(
        user.target is _SOFTMAX or (user.target is _ATEN.add.Tensor and any(u.target is _SOFTMAX for u in user.users))
        for user in node.users
    )


def _is_of_attention(node: Node) -> bool:
    weighing = node.target is PRODUCT and isinstance(node.args[0], Node) and node.args[0].target is _SOFTMAX
    return weighing or makes_scores(node)


def weight_name(node: Node) -> str:
    """Of the parameter that a layer's weight is, or is a slice of."""
    source = node.args[1]
    while isinstance(source, Node) and source.op != "get_attr":
        source = source.args[0]
    assert isinstance(source, Node)
    return str(source.target)


def _has_work(node: Node) -> bool:
    """Neither too thin, nor a linear layer on a single row per prompt (a Gemm, which has no integer kernel alone)."""
    values, weight = (source.meta["val"] for source in node.args[:2] if isinstance(source, Node))
    return int(weight.shape[1:].numel()) >= LEAST_WIDTH and values.dim() > 2


class BlockQuantizer(Quantizer):  # type: ignore[misc]
    """Annotates inputs and weights of the blocks that compute in int8."""

    def __init__(self, table: Mapping[str, str], scheme: Scheme, observer: str) -> None:
        """Quantize what ``table`` (``Recipe.filled``) gives int8; ``observer`` is one of ``recipe.OBSERVERS``."""
        super().__init__()
        self._table = table
        self._conv_outputs = scheme.conv_outputs
        self._activation = QuantizationSpec(
            scheme.activation,
            ACTIVATION_OBSERVERS[observer].with_args(eps=scheme.least_scale),
            scheme.lowest,
            scheme.highest,
            scheme.qscheme,
        )
        self._weight = QuantizationSpec(
            torch.int8,
            PerChannelMinMaxObserver.with_args(eps=scheme.least_scale),
            -127,
            127,
            torch.per_channel_symmetric,
            ch_axis=0,
        )

    def annotate(self, model: GraphModule) -> GraphModule:
        """As torchao calls it."""
        for node in quantizable_nodes(model):
            if self._table[recipe_block(node)] == "int8":
                second = self._activation if node.target is PRODUCT else self._weight
                inputs = {node.args[0]: self._activation, node.args[1]: second}
                output = self._activation if node.target is CONV and self._conv_outputs else None
                node.meta["quantization_annotation"] = QuantizationAnnotation(inputs, output, _annotated=True)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing that annotate could have got wrong."""
