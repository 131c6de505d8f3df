"""Golden cases: what the float model says of a photograph, prompt by prompt."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.golden import Golden, pixels_inside
from sam3i_edge.graphs import FEATURES, Limits, graph_specs
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.prompt import Box, Prompt
from sam3i_edge.quantize.inputs import GraphInputs
from sam3i_edge.tokenizer import Tokenizer

PHOTOGRAPH = Path(__file__).with_name("coffee.jpg")
"""A cup of coffee and a spoon on a table, by Rachel Michetti, public domain (CC0)."""

MAX_VALUES = 1 << 14
"""Of a larger tensor the golden file keeps every n-th value: the features of a full-size model have 28 million, and
all of the smallest model's values would weigh as much as its INT8 graphs."""

PROMPTS = (
    Prompt("coffee cup", route="concept"),
    Prompt("the spoon to the right of the cup", route="simple"),
    Prompt("what you would stir your drink with", route="complex"),
    Prompt("cup", route="concept", boxes=[Box(120, 10, 288, 145)], negative_boxes=[Box(223, 164, 288, 227)]),
)


def make_golden(modules: Mapping[str, nn.Module], config: ModelConfig, limits: Limits, tokenizer: Tokenizer) -> Golden:
    """Run the float model, as the modules of the three graphs, on the photograph: one prompt at a time."""
    image, alone = read_image(PHOTOGRAPH), dataclasses.replace(limits, max_prompts=1)
    inputs = GraphInputs(modules, [(image, PROMPTS)], tokenizer, alone, config.image_size)
    with torch.inference_mode():
        cases = [(given, modules["grounding"](*given)) for _, given in inputs.cases()]
    first = len(FEATURES)
    pyramid = cases[0][0][:first]
    expected = {"preprocess/image": preprocess(image, config.image_size)}
    expected |= {f"vision/{name}": level.numpy() for name, level in zip(FEATURES, pyramid, strict=True)}
    answers = [(given[first], *found) for given, found in cases]  # behind the features comes the text
    outputs = [f"grounding/{output.name}" for output in graph_specs(config.sizes, limits)["grounding"].outputs]
    for name, values in zip(("text/text", *outputs), zip(*answers, strict=True), strict=True):
        expected[name] = torch.cat(values).numpy()
    steps = {name: sampling_step(values.size) for name, values in expected.items()}
    sampled: dict[str, np.ndarray] = {name: values.reshape(-1)[:: steps[name]] for name, values in expected.items()}
    return Golden(image, PROMPTS, sampled, steps, pixels_inside(expected["grounding/masks"]))


def sampling_step(size: int) -> int:
    """Every how-manieth of ``size`` values is kept."""
    step = max(1, -(-size // MAX_VALUES))
    while math.gcd(step, size) != 1:  # or columns of maps, or colours of pixels, would be left out
        step += 1
    return step
