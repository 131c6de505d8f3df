"""Answers, drawn: the same questions to every run, to be put side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from sam3i_edge.benchmarks.report import Picture
from sam3i_edge.benchmarks.scenarios import WorkloadItem
from sam3i_edge.segmenter import Segmenter

MAX_PICTURES = 3
MAX_SIDE = 480
QUALITY = 82


def draw_previews(segmenter: Segmenter, items: Sequence[WorkloadItem]) -> Iterator[Picture]:
    """Of up to ``MAX_PICTURES`` questions, over as many images and texts as there are."""
    questions = [  # each time around another text of each image, so that neighbours show different levels
        (item, item.prompts[(turn + number) % len(item.prompts)])
        for turn in range(MAX_PICTURES)
        for number, item in enumerate(items)
        if turn < len(item.prompts)
    ]
    for item, prompt in questions[:MAX_PICTURES]:
        found = segmenter.segment(item.image, prompt)
        yield Picture(item.name, prompt.text, found.route, len(found), _jpeg(found.plot(item.image)))


def _jpeg(image: np.ndarray) -> str:
    scale = MAX_SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(content.tobytes()).decode("ascii")
