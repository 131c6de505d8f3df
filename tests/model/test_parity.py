"""The torch model computes what the published code computes."""

import gzip
import json

import numpy as np
import pytest
import torch

from sam3i_edge.model import ModelConfig, Sam3i
from sam3i_edge.model.geometry import roi_align
from sam3i_edge.prompt import ROUTES, gates, pack_boxes
from tests.conftest import CASES, DATA, PARITY, Case

TOLERANCE = 1e-4


def assert_close(actual: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=TOLERANCE)


def encode(model: Sam3i, recorded, name: str):
    with torch.inference_mode():
        return model.encode_image(torch.from_numpy(recorded[f"pixel_values/{name}"]))


def detect(model: Sam3i, pyramid, cases: list[Case]):
    """All ``cases`` of one image in one batch."""
    height, width = cases[0].image.shape[:2]
    gate = torch.from_numpy(gates([case.prompt.route for case in cases]))
    tokens = torch.from_numpy(np.concatenate([case.expected["tokens"] for case in cases]))
    boxes, labels = pack_boxes([case.prompt for case in cases], width, height, max_boxes=4)
    with torch.inference_mode():
        text = model.encode_text(tokens, gate)
        found = model.detect(pyramid, text, tokens == 0, gate, torch.from_numpy(boxes), torch.from_numpy(labels))
        return text, found, model.masks(found, gate), model.segmentation_head.semantic(found.pixels)


@pytest.mark.parametrize("name", ["landscape", "portrait", "small"])
def test_pyramid(model, recorded, name):
    for level, features in enumerate(encode(model, recorded, name)):
        if f"fpn{level}/{name}" in recorded.files:
            assert_close(features, recorded[f"fpn{level}/{name}"])


def tensors(found):
    """What ``Sam3i.detect`` says of its last layer."""
    return [value for value in found if isinstance(value, torch.Tensor)]


def test_every_recorded_tensor(model, recorded, case):
    text, found, masks, semantic = detect(model, encode(model, recorded, case.image_name), [case])
    expected = case.expected
    assert_close(text.transpose(0, 1), expected["language_features"])
    assert_close(found.memory.transpose(0, 1), expected["encoder_hidden_states"])
    assert_close(found.logits[..., None], expected["pred_logits"])
    assert_close(found.presence, expected["presence_logit_dec"])
    assert_close(found.boxes, expected["pred_boxes"])
    assert_close(masks[:, :5], expected["pred_masks"])
    assert_close(semantic, expected["semantic_seg"])


def test_padding_is_token_zero(case):
    assert np.array_equal(case.expected["tokens"] == 0, case.expected["language_mask"])


def test_mixed_routes_in_one_batch_equal_single_runs(model, recorded):
    pyramid = encode(model, recorded, "landscape")
    cases = [case for case in CASES if case.image_name == "landscape"]
    assert {case.prompt.route for case in cases} == set(ROUTES)
    assert any(case.prompt.boxes for case in cases)
    together = detect(model, pyramid, cases)
    for i, case in enumerate(cases):
        alone = detect(model, pyramid, [case])
        for a, b in zip(tensors(together[1]), tensors(alone[1]), strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together[2][i : i + 1], alone[2], rtol=1e-5, atol=1e-4)


def test_concept_route_is_bit_identical_without_adapters(model, recorded):
    """The base model's own answer survives adaptation: what the adapters hold cannot reach the concept route."""
    base = Sam3i(model.config).eval()
    base.load_state_dict(model.state_dict())
    base.reset_adapters()
    pyramid = encode(model, recorded, "landscape")
    cases = [case for case in CASES if case.image_name == "landscape"]
    adapted, plain = detect(model, pyramid, cases), detect(base, pyramid, cases)
    for i, case in enumerate(cases):
        same = all(torch.equal(a[i], b[i]) for a, b in zip(tensors(adapted[1]), tensors(plain[1]), strict=True))
        assert (same and torch.equal(adapted[2][i], plain[2][i])) == (case.prompt.route == "concept")
    alone = [case for case in cases if case.prompt.route == "concept"]  # a batch that skips the adapters altogether
    assert all(map(torch.equal, tensors(detect(model, pyramid, alone)[1]), tensors(detect(base, pyramid, alone)[1])))


def test_full_size_names_and_shapes():
    with torch.device("meta"):
        model = Sam3i(ModelConfig.preset("full"))
    published = json.loads(gzip.decompress((DATA / "full_keys.json.gz").read_bytes()))
    expected = {name: tuple(shape) for name, shape in published.items() if not name.endswith("freqs_cis")}
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == expected


def test_rotary_tables_equal_the_recorded_ones(model):
    state = torch.load(PARITY / "checkpoint.pt", weights_only=True)["model"]
    for i, block in enumerate(model.backbone.vision_backbone.trunk.blocks):
        table = state[f"backbone.vision_backbone.trunk.blocks.{i}.attn.freqs_cis"]
        torch.testing.assert_close(block.attn.rotary.cos[:, ::2], table.real, rtol=0, atol=1e-6)
        torch.testing.assert_close(block.attn.rotary.sin[:, ::2], table.imag, rtol=0, atol=1e-6)


def naive_roi_align(features: np.ndarray, box: np.ndarray) -> np.ndarray:
    """RoIAlign by its definition: 7 x 7 bins, ceil(side / 7) samples per bin and axis, unaligned."""
    size = features.shape[-1]
    x0, y0, x1, y1 = box
    width, height = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
    columns, rows = int(np.ceil(width / 7)), int(np.ceil(height / 7))

    def at(y: float, x: float) -> np.ndarray:
        if not (-1 <= y <= size and -1 <= x <= size):
            return np.zeros(len(features))
        y, x = np.clip([y, x], 0, size - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, size - 1), min(left + 1, size - 1)
        dy, dx = y - top, x - left
        upper = features[:, top, left] * (1 - dx) + features[:, top, right] * dx
        lower = features[:, bottom, left] * (1 - dx) + features[:, bottom, right] * dx
        return upper * (1 - dy) + lower * dy

    pooled = np.zeros((len(features), 7, 7))
    for i, j in np.ndindex(7, 7):
        ys = y0 + i * height / 7 + (np.arange(rows) + 0.5) * height / 7 / rows
        xs = x0 + j * width / 7 + (np.arange(columns) + 0.5) * width / 7 / columns
        pooled[:, i, j] = np.mean([at(y, x) for y in ys for x in xs], axis=0)
    return pooled


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 16, 16),
        (3.2, 5.1, 5.9, 15.7),
        (0.4, 0.3, 0.9, 0.8),
        (7, 0, 14, 7),
        (0, 2.5, 7.01, 16),
        (15.5, 15.5, 16, 16),
    ],
)
def test_roi_align_as_matrices_equals_its_definition(box):
    features = np.random.default_rng(0).normal(size=(3, 16, 16)).astype(np.float32)
    pooled = roi_align(torch.from_numpy(features.transpose(1, 2, 0))[None], torch.tensor([[box]], dtype=torch.float32))
    expected = naive_roi_align(features, np.array(box))
    np.testing.assert_allclose(pooled[0, 0].numpy(), expected.transpose(1, 2, 0), atol=1e-5)
