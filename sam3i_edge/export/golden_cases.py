"""Golden cases: what the float model says of a photograph, prompt by prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.golden import Golden, pixels_inside
from sam3i_edge.graphs import FEATURES, Limits, graph_specs
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.prompt import Box, Prompt, gates, pack_boxes
from sam3i_edge.tokenizer import PADDING_ID, Tokenizer

PHOTOGRAPH = Path(__file__).with_name("coffee.jpg")
"""A cup of coffee and a spoon on a table, by Rachel Michetti, public domain (CC0)."""

PROMPTS = (
    Prompt("coffee cup", route="concept"),
    Prompt("the spoon to the right of the cup", route="simple"),
    Prompt("what you would stir your drink with", route="complex"),
    Prompt("cup", route="concept", boxes=[Box(120, 10, 288, 145)], negative_boxes=[Box(223, 164, 288, 227)]),
)


def make_golden(modules: Mapping[str, nn.Module], config: ModelConfig, limits: Limits, tokenizer: Tokenizer) -> Golden:
    """Run the float model, as the modules of the three graphs, on the photograph: one prompt at a time."""
    image = read_image(PHOTOGRAPH)
    height, width = image.shape[:2]
    pixels = preprocess(image, config.image_size)
    expected = {"preprocess/image": pixels}
    with torch.inference_mode():
        pyramid = modules["vision"](torch.tensor(pixels))
        expected |= {f"vision/{name}": level.numpy() for name, level in zip(FEATURES, pyramid, strict=True)}
        answers = []
        for prompt in PROMPTS:
            tokens = torch.from_numpy(tokenizer.encode(prompt.text)[None])
            gate = torch.from_numpy(gates([prompt.route]))
            boxes = map(torch.from_numpy, pack_boxes([prompt], width, height, limits.max_boxes))
            text = modules["text"](tokens, gate)
            found = modules["grounding"](*pyramid, text, tokens == PADDING_ID, gate, *boxes)
            answers.append((text, *found))
    outputs = [f"grounding/{output.name}" for output in graph_specs(config, limits)["grounding"].outputs]
    for name, values in zip(("text/text", *outputs), zip(*answers, strict=True), strict=True):
        expected[name] = torch.cat(values).numpy()
    return Golden(image, PROMPTS, expected, pixels_inside(expected["grounding/masks"]))
