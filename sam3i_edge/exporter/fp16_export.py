"""The part of an export that makes strongly typed FP16 graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn
from torch.fx import GraphModule

from sam3i_edge.graphs import GraphSpec, Limits
from sam3i_edge.quantize import fp16
from sam3i_edge.quantize.calibration import CalibrationData
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.quantize.pipeline import QuantizedModel
from sam3i_edge.quantize.ptq import trace
from sam3i_edge.tokenizer import Tokenizer

ISLANDS_FILE = "fp16.toml"
ASKED = "the recipe has its block in fp32"


def export_fp16(
    stage: Path,
    modules: Mapping[str, nn.Module],
    specs: Mapping[str, GraphSpec],
    limits: Limits,
    tokenizer: Tokenizer,
    image_size: int,
    data: CalibrationData,
    progress: Callable[[str], None],
    quantized: QuantizedModel | None = None,
) -> dict[str, nn.Module]:
    """The graphs in FP16, with the islands that the calibration data shows; they are written into the bundle.

    ``modules`` are the float graphs, by which it is measured. Of ``quantized`` ones what is not integer becomes FP16,
    but for the blocks that the recipe has in fp32.
    """
    inputs = GraphInputs(modules, data, tokenizer, limits, image_size)
    made: dict[str, nn.Module] = {}
    tables = {}
    for name, module in modules.items():
        progress(f"measuring what half precision does in the {name} graph on {len(data)} images")
        graph = trace(module, specs[name])
        units = fp16.measure(graph, inputs.of(name))
        tables[name] = fp16.islands(units)
        if quantized:
            single = {block for block, choice in quantized.recipe.of(name).items() if choice == "fp32"}
            asked = fp16.units_of_blocks(graph, single)
            tables[name] |= {u.name: ASKED for u in units if u.name in asked and u.name not in tables[name]}
            module = quantized.modules[name]
            assert isinstance(module, GraphModule)
            graph = module
        progress(f"{len(tables[name])} of {len(units)} operators by block stay in FP32 in the {name} graph")
        made[name] = fp16.to_half(graph, tables[name])
    note = f"Measured on {data.name}, {len(data)} images (SHA-256 {data.sha256()[:12]})."
    (stage / ISLANDS_FILE).write_text(fp16.to_toml(tables, note), encoding="utf-8")
    return made
