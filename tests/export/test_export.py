"""Exporting checkpoints of any size; refusing to write a bundle that is not the model."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from sam3i_edge import Segmenter, schema
from sam3i_edge.errors import ConfigError, ExportError
from sam3i_edge.exporter import export
from sam3i_edge.exporter.golden_cases import MAX_VALUES, sampling_step
from sam3i_edge.exporter.pipeline import _accuracy
from sam3i_edge.golden import read_golden
from sam3i_edge.model import AdapterConfig, ModelConfig, Sam3i, TextConfig, VisionConfig
from sam3i_edge.provenance import Provenance
from sam3i_edge.targets import get_target
from sam3i_edge.tolerance_rules import TOLERANCES
from sam3i_edge.tolerances import MAX_SQNR_DB, Difference, measure
from sam3i_edge.verification import Check, Verdict, verify
from tests.conftest import PARITY

OTHER_SIZES = ModelConfig(
    image_size=196,
    pretrain_image_size=84,
    vision=VisionConfig(
        hidden_size=48,
        num_layers=5,
        num_heads=3,
        mlp_ratio=2.5,
        window_size=4,  # no divisor of the 14 x 14 grid
        global_attention_layers=(1, 3),  # the last layer is not global, so nothing reads it
    ),
    text=TextConfig(hidden_size=40, num_layers=2, num_heads=5),
    hidden_size=24,
    ffn_size=40,
    num_heads=6,
    geometry_layers=1,
    encoder_layers=1,
    decoder_layers=2,
    num_queries=50,
    adapter=AdapterConfig(bottleneck_size=8, num_heads=4, scale=0.5),
)


@pytest.mark.slow
def test_a_checkpoint_of_other_sizes(tmp_path):
    torch.manual_seed(1)
    model = Sam3i(OTHER_SIZES)
    torch.save({"model": model.state_dict()}, tmp_path / "checkpoint.pt")
    (tmp_path / "config.json").write_text(json.dumps(OTHER_SIZES.to_dict()))
    lines = []
    manifest = export(
        tmp_path / "checkpoint.pt",
        tmp_path / "config.json",
        tmp_path / "bundle",
        target="arm-cpu",
        progress=lines.append,
    )
    steps = ["precision", "loading", "running", *["exporting"] * 3, "verifying", "putting"]
    assert [line.split()[0] for line in lines] == steps
    assert manifest.runtime.limits.max_instances == 32
    assert manifest.runtime.target.name == "arm-cpu"
    accuracy = Provenance.of(manifest.provenance).accuracy
    assert min(difference.sqnr_db for difference in accuracy.values()) >= TOLERANCES["fp32"].min_sqnr_db
    found = Segmenter.load(tmp_path / "bundle", threshold=0.0).segment(np.zeros((30, 40, 3), np.uint8), "mug")
    assert len(found) == 32


def test_the_source_is_recorded(bundle):
    made = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    assert made["source"]["checkpoint"] == "checkpoint.pt"
    assert len(made["source"]["sha256"]) == 64
    assert made["model"] == ModelConfig.preset("small").to_dict()
    assert made["target"] == schema.plain(get_target("x86-cpu"))
    assert {"torch", "onnx", "onnxruntime"} <= made["tool_versions"].keys()
    assert set(made["accuracy"]) >= {"vision/fine", "text/text", "grounding/masks"}
    assert Provenance.of(made).plain() == made


def test_a_base_model_says_that_its_routes_are_alike(tmp_path):
    """The whole way is covered elsewhere; here the run is stopped once the note was given."""
    model = Sam3i(ModelConfig.preset("small"))
    model.reset_adapters()
    base = {f"detector.{name}": value for name, value in model.state_dict().items() if "adapter" not in name}
    torch.save(base, tmp_path / "sam3.pt")
    lines = []

    def stop_after_loading(line: str) -> None:
        lines.append(line)
        if line.startswith("running"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "sam3.pt", ModelConfig.preset("small"), tmp_path / "bundle", progress=stop_after_loading)
    assert any(line.startswith("base SAM 3 without trained adapters") for line in lines), lines
    assert Sam3i(ModelConfig.preset("small")).has_trained_adapters


def test_wrong_vocabulary(tmp_path):
    config = dataclasses.replace(ModelConfig.preset("small"), text=TextConfig(64, 1, 4, vocab_size=1000))
    with pytest.raises(ConfigError, match="vocab_size is 1000; the CLIP tokenizer has 49408"):
        export(PARITY / "checkpoint.pt", config, tmp_path / "bundle")
    with pytest.raises(ConfigError, match="A config describes a checkpoint: give both, or neither"):
        export(config=ModelConfig.preset("small"), output=tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_stops_the_export():
    checks = (
        Check("vision/fine", Difference(0.0, MAX_SQNR_DB), passed=True),
        Check("text/text", Difference(0.5, 12.0), passed=False),
        Check("grounding/masks", Difference(9.0, 1.0), passed=False),
    )
    with pytest.raises(ExportError, match=r"first at text/text, worst grounding/masks \(SQNR 1.0 dB\); 2 of 3.*ten\.$"):
        _accuracy(Verdict("here", "fp32", checks, ()))
    with pytest.raises(
        ExportError, match=r"No bundle was written\. Calibrate on some 32 pictures.*--precision auto.*--recipe"
    ):
        _accuracy(Verdict("here", "int8", checks, ()))
    assert set(_accuracy(Verdict("here", "fp32", checks[:1], ()))) == {"vision/fine"}


def test_measure_and_tolerance():
    reference = np.array([3.0, 4.0], np.float32)
    assert measure(reference, reference) == Difference(0.0, MAX_SQNR_DB)
    assert measure(np.array([3.5, 4.0]), reference) == Difference(0.5, 20.0)
    assert measure(np.array([np.nan, 4.0]), reference).max_abs == np.inf
    assert measure(np.zeros(3), reference).max_abs == np.inf
    tolerance = TOLERANCES["fp32"]
    assert tolerance.allows(Difference(9e-4, 80.0), peak=0.1)
    assert not tolerance.allows(Difference(9e-4, 50.0), peak=0.1)
    assert not tolerance.allows(Difference(2e-3, 80.0), peak=0.1)
    assert tolerance.allows(Difference(2e-3, 80.0), peak=5.0)


def test_small_tensors_are_kept_whole_and_of_large_ones_every_column():
    def kept(size):
        return np.arange(0, size, sampling_step(size))

    assert sampling_step(MAX_VALUES) == 1
    assert MAX_VALUES // 2 <= len(kept(3 * MAX_VALUES + 1)) <= MAX_VALUES
    assert set(kept(336 * 336 * 3) % 3) == {0, 1, 2}, "all colours"
    assert len(set(kept(96 * 48 * 48) % 48)) == 48, "all columns"


def test_golden_cases_cover_all_routes_boxes_and_stages(bundle):
    golden = read_golden(bundle)
    assert {prompt.route for prompt in golden.prompts} == {"concept", "simple", "complex"}
    assert any(prompt.boxes and prompt.negative_boxes for prompt in golden.prompts)
    verdict = verify(Segmenter.load(bundle).engine, golden)
    assert verdict.passed
    stages = [check.name.split("/")[0] for check in verdict.checks]
    assert stages == ["preprocess", *["vision"] * 3, "text", *["grounding"] * 4, *["grounding of 16"] * 4]
    assert len(verdict.answers) == len(golden.prompts)
