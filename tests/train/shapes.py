"""A tiny dataset of coloured squares and discs, in the HMPL-Instruct layout."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask
from PIL import Image

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def write_shapes(folder: Path, count: int, seed: int = 0, size: int = 64, split: str = "train") -> Path:
    """``count`` images of a square on one side and a disc on the other; the texts of three levels tell them apart."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = np.full((size, size, 3), rng.integers(90, 200), np.uint8)
        kinds = [str(kind) for kind in rng.permutation(["square", "disc"])]
        for side, kind in zip(("left", "right"), kinds, strict=True):
            colour = str(rng.choice([*COLOURS]))
            mask = np.zeros((size, size), np.uint8)
            x, y = int(size * (0.25 if side == "left" else 0.75)), int(rng.integers(size // 4, 3 * size // 4))
            half = int(rng.integers(size // 10, size // 6))
            if kind == "square":
                cv2.rectangle(mask, (x - half, y - half), (x + half, y + half), 1, -1)
            else:
                cv2.circle(mask, (x, y), half, 1, -1)
            picture[mask > 0] = COLOURS[colour]
            rle = pycocotools.mask.encode(np.asfortranarray(mask))
            texts = {
                "concept": [kind],
                "simple_query": [f"the {colour} {kind} on the {side}"],
                "complex_query": ["what would roll" if kind == "disc" else "what would not roll"],
            }
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": int(mask.sum()),
                    "bbox": [float(v) for v in pycocotools.mask.toBbox(rle)],
                    "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                    "text_inst_input": texts,
                }
            )
        name = f"{number}.png"
        Image.fromarray(picture).save(folder / "images" / name)
        nothing = {"concept": ["triangle"], "simple_query": ["the green square"], "complex_query": []}
        images.append({"id": number, "file_name": name, "width": size, "height": size, "text_inst_input": nothing})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    (folder / f"sam3i_{split}.json").write_text(json.dumps(content))
    return folder
