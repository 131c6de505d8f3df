"""torch module to ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx_ir
import torch
from onnx_ir.passes import Sequential
from onnx_ir.passes import common as passes
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import fuse_batchnorm_into_conv_rule
from torch import nn

from sam3i_edge.export.modules import example
from sam3i_edge.graphs import FREE, GraphSpec
from sam3i_edge.targets import Target

EXTERNAL_DATA_BYTES = 1 << 30
"""Weights beyond this go into a file beside the graph: protobuf ends at 2 GiB, and ORT maps external data."""

NO_LIMIT = 1 << 62

LARGEST_TABLE = 1 << 19
"""Values of one: every layer has a rotary table of its own, all alike. Weights of full-size layers are larger."""


def convert(
    module: nn.Module,
    spec: GraphSpec,
    target: Target,
    folder: Path,
    lower: Callable[[onnx_ir.Model], None] | None = None,
) -> None:
    """Trace ``module`` and write it as ONNX to ``folder / spec.file``, for the target's operator set.

    ``lower`` changes the graph before it is written.
    """
    with quiet():
        program = torch.onnx.export(
            module if isinstance(module, torch.fx.GraphModule) else module.eval(),
            tuple(example(value) for value in spec.inputs),
            dynamo=True,
            dynamic_shapes=free_shapes(spec),
            input_names=[value.name for value in spec.inputs],
            output_names=[value.name for value in spec.outputs],
            opset_version=target.opset,
            verbose=False,
            optimize=False,  # its rewrite rules took a quarter of a small export; _simplify does what is needed
        )
        assert program is not None
        model = program.model
        _simplify(model)
        if lower is not None:
            lower(model)
    model.ir_version = target.ir_version
    _save(model, folder / spec.file)


def free_shapes(spec: GraphSpec) -> tuple[dict[int, Any], ...]:
    """Which sides of a graph's inputs are left free when it is traced."""
    free = torch.export.Dim(FREE, min=1, max=1 << 16)
    return tuple({i: free for i, side in enumerate(value.shape) if side == FREE} for value in spec.inputs)


def _simplify(model: onnx_ir.Model) -> None:
    """Fold what is constant, weights included (their transposes would be left to the runtime), and drop leftovers."""
    passes.InlinePass()(model)
    fold_constants(model, onnx_shape_inference=True, input_size_limit=NO_LIMIT, output_size_limit=NO_LIMIT)
    if any(node.op_type == "BatchNormalization" for node in model.graph):  # rules are slow, and only students have it
        rewrite(model, pattern_rewrite_rules=[fuse_batchnorm_into_conv_rule])
    Sequential(
        passes.RemoveUnusedNodesPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.IdentityEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.DeduplicateInitializersPass(LARGEST_TABLE),
        passes.RemoveUnusedOpsetsPass(),
        passes.ClearMetadataAndDocStringPass(),  # stack traces with the paths of this machine
    )(model)


def _save(model: onnx_ir.Model, path: Path) -> None:
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    external = f"{path.name}.data" if size > EXTERNAL_DATA_BYTES else None
    onnx_ir.save(model, path, external_data=external)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the notes of torch, torchao and the exporter (missing torchvision, skipped foldings) from burying ours."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
