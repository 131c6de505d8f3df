"""The format is documented for a stranger: its page's example runs, and the graphs say what they are."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from sam3i_edge import Segmenter
from tests.conftest import CASES, iou
from tests.damages import of_runtime

PAGE = (Path(__file__).parent.parent / "docs/bundle-format.md").read_text(encoding="utf-8")
ALLOWED = {"json", "pathlib", "numpy", "onnxruntime", "PIL"}


@pytest.mark.parametrize("text", ["red mug", "an unbelievably long word"])
def test_the_example_finds_what_a_segmenter_finds(bundle, tmp_path, monkeypatch, text):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert set(re.findall(r"^(?:import|from) (\w+)", example, re.MULTILINE)) == ALLOWED
    shutil.copytree(bundle, tmp_path / "bundle")
    image = Image.fromarray(CASES[0].image)
    image.save(tmp_path / "photo.jpg", "PNG")
    monkeypatch.chdir(tmp_path)
    made: dict[str, object] = {}
    # The recorded model was never trained: whatever it scores counts.
    of_runtime("postprocessing", "thresholds", "concept", value=0)(tmp_path / "bundle")
    exec(example.replace('"red mug"', repr(text)), made)
    expected = Segmenter.load(tmp_path / "bundle").segment(np.asarray(image), text, route="concept")
    assert len(expected) > 0
    assert np.allclose(np.sort(made["scores"])[::-1], expected.scores, atol=1e-6)
    assert np.allclose(made["corners"], expected.boxes, atol=1e-3)
    assert iou(np.stack(made["found"]), expected.masks).min() > 0.98


@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_a_graph_says_how_to_feed_and_read_it(bundle, name):
    session = onnxruntime.InferenceSession(str(bundle / f"graphs/{name}.onnx"), providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert told["sam3i_edge.role"] == name
    assert told["sam3i_edge.format"] == "sam3i-edge-bundle 2.1"
    for key, ports in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        for port in ports:
            assert re.search(rf"\b{port.name}\b", told[f"sam3i_edge.{key}"]), port.name
    assert told.get("sam3i_edge.score") == ("sigmoid(logits) * sigmoid(presence)" if name == "grounding" else None)
