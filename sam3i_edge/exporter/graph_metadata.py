"""What an exported ONNX file says of itself, for who has that file alone: how to feed it, and how to read it."""

from __future__ import annotations

from pathlib import PurePosixPath

from sam3i_edge.graphs import GraphSpec
from sam3i_edge.manifest import FORMAT, FORMAT_VERSION

PREFIX = "sam3i_edge."

TEXTS = {
    "vision": {
        "inputs": "image: RGB, 0 to 255, resized to S x S with Pillow's bilinear filter, aspect ratio ignored",
        "preprocessing": "normalization is in the graph",
        "outputs": "fine, middle, coarse: features, for the grounding graph",
    },
    "text": {
        "inputs": "tokens: ids of merges.txt: start, words, end, then 0; gates: 1 for the route of concept, simple, "
        "complex, 0 for the others",
        "preprocessing": "clip-bpe of the text in lower case; too long a text loses its last words, not the end token",
        "outputs": "text: for the grounding graph",
    },
    "grounding": {
        "inputs": "fine, middle, coarse: of the vision graph; text: of the text graph; text_padding: true where the "
        "token is 0; gates: as for the text graph; box_prompts: cx cy w h as fractions of the image; box_labels: 1 an "
        "example, 0 a counterexample, -1 unused, its box 0 0 0 0",
        "preprocessing": "none",
        "outputs": "logits, presence; boxes: x0 y0 x1 y1 as fractions of the image; masks: logits, to be resized to "
        "the image (bilinear), inside above 0; query_index: which query each is of",
        "score": "sigmoid(logits) * sigmoid(presence)",
    },
}


def metadata_of(spec: GraphSpec) -> dict[str, str]:
    """The metadata of one of a bundle's graphs, by key; nothing of another graph."""
    role = PurePosixPath(spec.file).stem
    if role not in TEXTS:
        return {}
    texts = {"format": f"{FORMAT} {FORMAT_VERSION}", "role": role, **TEXTS[role]}
    return {PREFIX + name: text for name, text in texts.items()}
