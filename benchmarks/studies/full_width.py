"""A checkpoint as wide as the full-size model, with random weights and fewer layers: for times without weights.

python -m sam3i_edge.benchmarks.studies.full_width -o DIR [--vision-layers 4] [--other-layers 1] [--student PRESET]
sam3i-edge export --checkpoint DIR/checkpoint.safetensors --target intel-cpu -o DIR/openvino-fp32
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from sam3i_edge.config import ModelConfig
from sam3i_edge.distill.students import get_preset, plan
from sam3i_edge.model.random_weights import write_checkpoint


def full_width(vision_layers: int, other_layers: int = 1) -> ModelConfig:
    """1008 pixels, full size in widths and heads; every fourth layer of the trunk, or its last, attends globally."""
    full = ModelConfig()
    attending = tuple(range(3, vision_layers, 4)) or (vision_layers - 1,)
    return dataclasses.replace(
        full,
        vision=dataclasses.replace(full.vision, num_layers=vision_layers, global_attention_layers=attending),
        text=dataclasses.replace(full.text, num_layers=other_layers),
        geometry_layers=1,
        encoder_layers=other_layers,
        decoder_layers=other_layers,
    )


def main() -> None:
    """Write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--vision-layers", type=int, default=4)
    parser.add_argument("--other-layers", type=int, default=1)
    parser.add_argument("--student", metavar="PRESET", help="of that size instead, as `distill list` names them")
    asked = parser.parse_args()
    config = full_width(asked.vision_layers, asked.other_layers)
    if asked.student:
        config = plan(get_preset(asked.student), config).config
    sys.stdout.write(f"{write_checkpoint(config, asked.output)}\n")


if __name__ == "__main__":
    main()
