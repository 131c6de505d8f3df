"""Which bundles and baselines are measured, and which are refused."""

import dataclasses
import shutil

import pytest

from sam3i_edge.benchmarks.full_width import full_width, write_checkpoint
from sam3i_edge.benchmarks.measure import Plan, benchmark
from sam3i_edge.benchmarks.opening import flat
from sam3i_edge.benchmarks.subjects import foreign, subjects
from sam3i_edge.bundle import read_manifest, write_manifest
from sam3i_edge.errors import BenchmarkError, BundleError, RuntimeUnavailableError
from sam3i_edge.model.checkpoint import load
from tests.conftest import PARITY
from tests.train.conftest import tiny_model


def edited(bundle, folder, **target):
    shutil.copytree(bundle, folder)
    manifest = read_manifest(folder)
    write_manifest(folder, dataclasses.replace(manifest, target=dataclasses.replace(manifest.target, **target)))
    return folder


def test_names_are_unique(bundle):
    assert [one.label for one in subjects([str(bundle)] * 3)] == ["bundle", "bundle#2", "bundle#3"]


def test_a_bundle_that_is_named_as_a_baseline(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "openvino-fp32")
    assert [one.label for one in subjects([str(copy)], ["openvino-fp32"])] == ["openvino-fp32", "openvino-fp32#2"]


def test_an_unknown_baseline_names_the_known(bundle):
    with pytest.raises(BenchmarkError, match=r"Unknown baseline 'openvino'. Known: torch, torch-compile, onnxruntime"):
        subjects([str(bundle)], ["openvino"])


def test_an_fp32_baseline_runs_the_same_graphs_elsewhere(bundle):
    baseline = subjects([str(bundle)], ["openvino-fp32"])[1]
    assert (baseline.bundle, baseline.runtime, baseline.label) == (str(bundle), "openvino", "openvino-fp32")


def test_an_fp32_baseline_needs_float_graphs(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "int8")
    manifest = read_manifest(tmp_path / "int8")
    write_manifest(tmp_path / "int8", dataclasses.replace(manifest, precision="int8"))
    with pytest.raises(BenchmarkError, match=r"openvino-fp32 needs a bundle with fp32 graphs; those given are int8"):
        subjects([str(tmp_path / "int8")], ["openvino-fp32"])


def test_torch_needs_the_weights_of_the_bundle(bundle):
    with pytest.raises(BenchmarkError, match="is not the checkpoint that the bundle was made of"):
        subjects([str(bundle)], ["torch"])
    with pytest.raises(BenchmarkError, match="There is no checkpoint nowhere"):
        subjects([str(bundle)], ["torch"], "nowhere")
    assert subjects([str(bundle)], ["torch"], str(PARITY / "checkpoint.pt"))[1].baseline == "torch"


def test_what_is_no_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="does not exist"):
        subjects([str(tmp_path / "none")])


def test_another_devices_bundle_is_named_and_refused(bundle, tmp_path):
    other = edited(bundle, tmp_path / "robot", name="robot-arm", machine=("riscv64",))
    assert "it is for riscv64 (target robot-arm)" in foreign(read_manifest(other))
    with pytest.raises(RuntimeUnavailableError, match=r"robot \(.*robot\) does not run here: it is for riscv64"):
        benchmark(subjects([str(other)]))


def test_a_device_that_is_not_here_is_named_and_refused(bundle, tmp_path):
    other = edited(bundle, tmp_path / "gpu", device="cuda")
    with pytest.raises(RuntimeUnavailableError, match=r"gpu .* does not run here: .*CUDAExecutionProvider.*--skip-un"):
        benchmark(subjects([str(other)]))


def test_nothing_left_to_measure(bundle, tmp_path):
    other = edited(bundle, tmp_path / "robot", machine=("riscv64",))
    with pytest.raises(RuntimeUnavailableError, match="None of the bundles runs here: robot: it is for riscv64"):
        benchmark(subjects([str(other)]), Plan(skip_unavailable=True))


def test_a_recipe_of_any_form_becomes_rows():
    recipe = {"scheme": "symmetric", "keep_float": ["a", "b"], "layers": [{"name": "x", "bits": 8}], "none": None}
    assert flat(recipe) == {"scheme": "symmetric", "keep_float": "a, b", "layers.0.name": "x", "layers.0.bits": "8"}
    assert flat(None) == {}


def test_a_full_width_checkpoint_is_read_as_any_other(tmp_path):
    wide = full_width(8)
    assert (wide.image_size, wide.vision.hidden_size, wide.vision.global_attention_layers) == (1008, 1024, (3, 7))
    assert full_width(1).vision.global_attention_layers == (0,)
    small = tiny_model().config
    model = load(write_checkpoint(small, tmp_path), tmp_path / "config.json")
    assert model.config == small
