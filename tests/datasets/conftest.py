"""A tiny dataset on disk, to be spoiled."""

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

WIDTH, HEIGHT = 32, 24


def rle(x0: int, y0: int, x1: int, y1: int) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[y0:y1, x0:x1] = 1
    encoded = coco.encode(mask)
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


CONTENT = {
    "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in (1, 2)],
    "annotations": [
        {
            "id": 10 + i,
            "image_id": 1,
            "iscrowd": 0,
            "bbox": [4 * i, 2, 3, 5],
            "segmentation": rle(4 * i, 2, 4 * i + 3, 7),
            "text_inst_input": {"concept": ["mug"], "simple_query": [f"mug number {i}"], "complex_query": []},
        }
        for i in (0, 1)
    ]
    + [{"id": 20, "image_id": 2, "segmentation": rle(0, 0, 32, 24), "text_inst_input": {"concept": ["table"]}}],
}


@pytest.fixture
def content() -> dict:
    return copy.deepcopy(CONTENT)


@pytest.fixture
def write(tmp_path):
    """Writes the content, or a text, as a dataset's folder with the images 1.png and 2.png."""

    def write(content: dict | list | str, folder: str = "MMR", split: str = "val") -> Path:
        path = tmp_path / folder
        (path / "images").mkdir(parents=True, exist_ok=True)
        for name in ("1.png", "2.png"):
            cv2.imwrite(str(path / "images" / name), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        text = content if isinstance(content, str) else json.dumps(content)
        (path / f"sam3i_{split}.json").write_text(text, encoding="utf-8")
        return path

    return write
