"""torch module to ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx_ir
import torch
from onnx_ir.passes import Sequential
from onnx_ir.passes import common as passes
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import fuse_batchnorm_into_conv_rule
from torch import nn

from sam3i_edge.exporter.graph_metadata import metadata_of
from sam3i_edge.exporter.program import Program
from sam3i_edge.graph_modules.tracing import example, free_shapes, quiet
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
        traced = torch.export.export(
            module if isinstance(module, torch.fx.GraphModule) else module.eval(),
            tuple(example(value) for value in spec.inputs),
            dynamic_shapes=free_shapes(spec),
        )
        traced.__class__ = Program
        program = torch.onnx.export(
            traced,
            dynamo=True,
            dynamic_shapes=tuple(
                {i: side for i, side in enumerate(value.shape) if side == FREE} for value in spec.inputs
            ),
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
    model.metadata_props.update(metadata_of(spec))
    _save(model, folder / spec.file)


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
