"""Which bundles and baselines are measured, and which are refused."""

import dataclasses
import shutil

import pytest

from sam3i_edge.benchmarks.candidates import find_candidates, foreign
from sam3i_edge.benchmarks.load_time import flat
from sam3i_edge.benchmarks.measurement import BenchmarkPlan
from sam3i_edge.benchmarks.runner import benchmark
from sam3i_edge.benchmarks.studies.full_width import full_width
from sam3i_edge.errors import BenchmarkError, BundleError, RuntimeUnavailableError
from sam3i_edge.manifest import read_manifest, write_manifest
from sam3i_edge.model.checkpoint import load
from sam3i_edge.model.random_weights import write_checkpoint
from sam3i_edge.provenance import Provenance
from tests.conftest import PARITY, rewrite
from tests.train.conftest import tiny_model


def edited(bundle, folder, **target):
    shutil.copytree(bundle, folder)
    manifest = read_manifest(folder)
    made = Provenance.of(manifest.provenance)
    changed = dataclasses.replace(made, target=dataclasses.replace(made.target, **target))
    write_manifest(folder, dataclasses.replace(manifest, provenance=changed.plain()))
    rewrite(folder, target=changed.target.on_device)
    return folder


def test_names_are_unique(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "openvino-fp32")
    found = find_candidates([str(copy)], ["openvino-fp32"])
    assert [one.label for one in found] == ["openvino-fp32", "openvino-fp32#2"]
    assert [one.label for one in find_candidates([str(bundle)] * 3)] == ["bundle", "bundle#2", "bundle#3"]


def test_an_fp32_baseline_runs_the_same_graphs_elsewhere(bundle):
    baseline = find_candidates([str(bundle)], ["openvino-fp32"])[1]
    assert (baseline.bundle, baseline.runtime, baseline.label) == (str(bundle), "openvino", "openvino-fp32")


def test_what_cannot_be_measured_is_named(bundle, tmp_path):
    int8, unknown = (shutil.copytree(bundle, tmp_path / name) for name in ("int8", "unknown"))
    rewrite(int8, precision="int8")
    write_manifest(unknown, dataclasses.replace(read_manifest(bundle), provenance={"source": 3}))
    assert foreign(read_manifest(unknown)) == ""
    weights = str(PARITY / "checkpoint.pt")
    for error, message, *asked in [
        (BundleError, "does not exist", tmp_path / "none"),
        (BenchmarkError, "Unknown baseline 'openvino'. Known: torch, torch-compile, onnx", bundle, ["openvino"]),
        (BenchmarkError, r"needs a bundle with fp32 graphs; those given are int8", int8, ["openvino-fp32"]),
        (BenchmarkError, "is not the checkpoint that the bundle was made of", bundle, ["torch"]),
        (BenchmarkError, "There is no checkpoint nowhere", bundle, ["torch"], "nowhere"),
        (BenchmarkError, r"does not say which checkpoint it was made of.*Leave them", unknown, ["torch"], weights),
    ]:
        with pytest.raises(error, match=message):
            find_candidates([str(asked[0])], *asked[1:])
    assert find_candidates([str(bundle)], ["torch"], weights)[1].baseline == "torch"


def test_another_devices_bundle_is_named_and_refused(bundle, tmp_path):
    other = edited(bundle, tmp_path / "robot", name="robot-arm", machine=("riscv64",))
    assert "it is for riscv64 (target robot-arm)" in foreign(read_manifest(other))
    with pytest.raises(RuntimeUnavailableError, match=r"robot \(.*robot\) does not run here: it is for riscv64"):
        benchmark(find_candidates([str(other)]))


def test_a_device_that_is_not_here_is_named_and_refused(bundle, tmp_path):
    other = edited(bundle, tmp_path / "gpu", device="cuda")
    with pytest.raises(RuntimeUnavailableError, match=r"gpu .* does not run here: .*CUDAExecutionProvider.*--skip-un"):
        benchmark(find_candidates([str(other)]))


def test_nothing_left_to_measure(bundle, tmp_path):
    other = edited(bundle, tmp_path / "robot", machine=("riscv64",))
    with pytest.raises(RuntimeUnavailableError, match="None of the bundles runs here: robot: it is for riscv64"):
        benchmark(find_candidates([str(other)]), BenchmarkPlan(skip_unavailable=True))


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
