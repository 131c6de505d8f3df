"""The exported graphs, in ONNX Runtime, give the recorded numbers, and hold nothing a device could trip over."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from sam3i_edge.config import ModelConfig, default_limits
from sam3i_edge.exporter import convert as convert_module
from sam3i_edge.exporter.convert import convert
from sam3i_edge.graphs import FEATURES, TensorSpec, graph_specs
from sam3i_edge.image import preprocess
from sam3i_edge.manifest import read_manifest
from sam3i_edge.prompt import gates, pack_boxes
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.targets import get_target

TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def sessions(bundle):
    options = SessionOptions("cpu")
    names = ("vision", "text", "grounding")
    return {name: open_session("onnxruntime", bundle / f"graphs/{name}.onnx", options) for name in names}


def pyramid(sessions, recorded, name):
    """The features of the recorded pixels, un-normalised back to the grey levels they came from."""
    pixels = np.rint((recorded[f"pixel_values/{name}"].transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)
    return sessions["vision"].run({"image": pixels})


@pytest.mark.parametrize("name", ["landscape", "portrait", "small"])
def test_vision(sessions, recorded, name):
    features = pyramid(sessions, recorded, name)
    for level, key in enumerate(FEATURES):
        if f"fpn{level}/{name}" in recorded.files:
            np.testing.assert_allclose(features[key], recorded[f"fpn{level}/{name}"], rtol=0, atol=TOLERANCE)


def test_text_and_grounding(sessions, recorded, case):
    height, width = case.image.shape[:2]
    tokens = case.expected["tokens"].astype(np.int32)
    gate = gates([case.prompt.route])
    text = sessions["text"].run({"tokens": tokens, "gates": gate})["text"]
    np.testing.assert_allclose(text.swapaxes(0, 1), case.expected["language_features"], rtol=0, atol=TOLERANCE)

    boxes, labels = pack_boxes([case.prompt], width, height, max_boxes=16)
    prompt = {"text": text, "text_padding": tokens == 0, "gates": gate, "box_prompts": boxes, "box_labels": labels}
    found = sessions["grounding"].run({**pyramid(sessions, recorded, case.image_name), **prompt})
    index = found["query_index"][0]
    assert sorted(index) == list(range(20))
    np.testing.assert_allclose(found["logits"][0], case.expected["pred_logits"][0, index, 0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found["presence"], case.expected["presence_logit_dec"], rtol=0, atol=TOLERANCE)
    cx, cy, w, h = case.expected["pred_boxes"][0, index].T
    corners = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)
    np.testing.assert_allclose(found["boxes"][0], corners, rtol=0, atol=TOLERANCE)
    first_five = np.argsort(index)[:5]
    np.testing.assert_allclose(found["masks"][0, first_five], case.expected["pred_masks"][0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["vision", "text", "grounding"])
def test_graph_is_plain(bundle, name):
    model = onnx.load(bundle / f"graphs/{name}.onnx")
    onnx.checker.check_model(model)
    target = get_target("x86-cpu")
    assert model.ir_version == target.ir_version
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", target.opset)]
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"If", "Loop", "Scan", "NonZero", "RoiAlign", "CumSum", "Complex", "Attention", "CastLike"}
    assert str(Path(__file__).parent.parent.parent).encode() not in model.SerializeToString()

    spec = read_manifest(bundle).runtime.graphs[name]
    for values, expected in ((model.graph.input, spec.inputs), (model.graph.output, spec.outputs)):
        assert tuple(map(described, values)) == expected


def described(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(side.dim_param or side.dim_value for side in tensor.shape.dim)
    return TensorSpec(value.name, str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)), shape)


def test_large_weights_go_beside_the_graph(model, tmp_path, monkeypatch):
    from sam3i_edge.graph_modules import VisionGraph

    monkeypatch.setattr(convert_module, "EXTERNAL_DATA_BYTES", 100_000)
    module = VisionGraph(model)
    spec = graph_specs(model.config.sizes, default_limits(model.config))["vision"]
    (tmp_path / "graphs").mkdir()
    convert(module, spec, get_target("x86-cpu"), tmp_path)
    assert (tmp_path / "graphs/vision.onnx.data").stat().st_size > 1_000_000
    assert (tmp_path / spec.file).stat().st_size < 500_000
    pixels = preprocess(np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8), 224)
    features = open_session("onnxruntime", tmp_path / spec.file, SessionOptions("cpu")).run({"image": pixels})
    with torch.inference_mode():
        expected = module(torch.tensor(pixels))
    for name, level in zip(FEATURES, expected, strict=True):
        np.testing.assert_allclose(features[name], level.numpy(), atol=1e-4)


def test_openvino_fuses_the_rotary_embedding(bundle):
    openvino = pytest.importorskip("openvino", reason="pip install '.[openvino]'")
    compiled = openvino.Core().compile_model(bundle / "graphs/vision.onnx", "CPU")
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops()]
    assert kinds.count("RoPE") == 2 * ModelConfig.preset("small").vision.num_layers
