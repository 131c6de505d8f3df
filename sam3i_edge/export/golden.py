"""Golden cases: what the float model says of a photograph, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sam3i_edge.config import ModelConfig
from sam3i_edge.export.graphs import GroundingGraph, TextGraph, VisionGraph
from sam3i_edge.golden import Golden
from sam3i_edge.graphs import FEATURES
from sam3i_edge.image import preprocess, read_image
from sam3i_edge.prompt import Box, Prompt, gates
from sam3i_edge.segmenter import pack_boxes
from sam3i_edge.tokenizer import PADDING_ID, Tokenizer

PHOTOGRAPH = Path(__file__).with_name("coffee.jpg")
"""A cup of coffee and a spoon on a table, by Rachel Michetti, public domain (CC0)."""

PROMPTS = (
    Prompt("coffee cup", route="concept"),
    Prompt("the spoon to the right of the cup", route="simple"),
    Prompt("what you would stir your drink with", route="complex"),
    Prompt("cup", route="concept", boxes=[Box(172, 15, 412, 207)], negative_boxes=[Box(318, 235, 412, 325)]),
)


def make_golden(
    vision: VisionGraph,
    text: TextGraph,
    grounding: GroundingGraph,
    config: ModelConfig,
    tokenizer: Tokenizer,
    max_boxes: int,
) -> Golden:
    """Run the float model on the photograph, one prompt at a time."""
    image = read_image(PHOTOGRAPH)
    height, width = image.shape[:2]
    pixels = preprocess(image, config.image_size)
    with torch.inference_mode():
        pyramid = vision(torch.tensor(pixels))
        answers = [
            _answer(text, grounding, pyramid, prompt, tokenizer, (width, height, max_boxes)) for prompt in PROMPTS
        ]
    expected = {"preprocess/image": pixels}
    expected |= {f"vision/{name}": level.numpy() for name, level in zip(FEATURES, pyramid, strict=True)}
    for name in answers[0]:
        expected[name] = np.concatenate([answer[name] for answer in answers])
    return Golden(image, PROMPTS, expected)


def _answer(
    text: TextGraph,
    grounding: GroundingGraph,
    pyramid: Sequence[Tensor],
    prompt: Prompt,
    tokenizer: Tokenizer,
    image: tuple[int, int, int],
) -> dict[str, np.ndarray]:
    width, height, max_boxes = image
    tokens = torch.from_numpy(tokenizer.encode(prompt.text))[None]
    gate = torch.from_numpy(gates([prompt.resolved_route]))
    boxes, labels = (torch.from_numpy(array) for array in pack_boxes([prompt], width, height, max_boxes))
    memory = text(tokens, gate)
    outputs = grounding(*pyramid, memory, tokens == PADDING_ID, gate, boxes, labels)
    names = ("logits", "presence", "boxes", "masks", "query_index")
    answer = {f"grounding/{name}": value.numpy() for name, value in zip(names, outputs, strict=True)}
    return answer | {"text/text": memory.numpy()}
