"""One recorded photograph as a dataset: a text of each level, all about its left half."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from tests.conftest import CASES

TEXTS = {"concept": ["mug"], "simple_query": ["the mug left of the book"], "complex_query": ["what you drink from"]}


def write_photo(folder: Path, *splits: str) -> Path:
    image = CASES[0].image
    height, width = image.shape[:2]
    cv2.imwrite(str(folder / "1.png"), image[..., ::-1])
    half = {"size": [height, width], "counts": [0, height * width // 2, height * width // 2]}
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": width, "height": height}],
        "annotations": [{"id": 1, "image_id": 1, "segmentation": half, "text_inst_input": TEXTS}],
    }
    for split in splits:
        (folder / f"sam3i_{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
