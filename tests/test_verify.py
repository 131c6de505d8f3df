"""The gate: what changes an answer is found, and its place named."""

import dataclasses
import json
import logging
import re
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sam3i_edge import Segmenter, verify
from sam3i_edge.bundle import list_files, read_manifest, write_manifest
from sam3i_edge.compare import Difference
from sam3i_edge.errors import BundleError
from sam3i_edge.golden import read_golden
from sam3i_edge.targets import get_target
from sam3i_edge.verify import AnswerCheck, Check, Verdict, remedy_of

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copy")


def rehash(path):
    manifest = read_manifest(path)
    write_manifest(path, type(manifest)(**{**vars(manifest), "files": list_files(path)}))


def perturb(path, graph, pick):
    """Make one weight of a graph 1 % larger, in a bundle whose hashes are all right. Returns its name."""
    file = path / f"graphs/{graph}.onnx"
    model = onnx.load(file)
    weights = sorted(
        (w for w in model.graph.initializer if len(w.dims) >= 2 and w.data_type == 1), key=lambda w: w.name
    )
    weight = weights[int(pick * (len(weights) - 1))]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    onnx.save(model, file)
    rehash(path)
    return weight.name


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("graph", ["vision", "text", "grounding"])
def test_a_layer_off_by_one_percent(copy, graph, runtime):
    name = perturb(copy, graph, 0.5)
    verdict = verify.verify(Segmenter.load(copy, runtime=runtime), read_golden(copy))
    assert not verdict.passed, name
    assert verdict.problem.startswith(f"first at {graph}/"), (name, verdict.problem)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_graphs_swapped(copy, runtime):
    text, vision = copy / "graphs/text.onnx", copy / "graphs/vision.onnx"
    content = text.read_bytes()
    text.write_bytes(vision.read_bytes())
    vision.write_bytes(content)
    rehash(copy)
    with pytest.raises(BundleError, match=r"vision\.onnx: Unknown input 'image'"):
        verify.verify(Segmenter.load(copy, runtime=runtime), read_golden(copy))


def test_one_byte_of_a_weight(copy):
    file = copy / "graphs/vision.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"graphs/vision\.onnx was changed"):
        Segmenter.load(copy)


def test_once_per_device(bundle, copy, monkeypatch, caplog):
    calls = []
    real = verify.verify
    monkeypatch.setattr(verify, "verify", lambda *arguments: (calls.append(1), real(*arguments))[1])
    Segmenter.load(bundle, verify=True).close()
    Segmenter.load(bundle, verify=True).close()
    assert len(calls) == 1
    Segmenter.load(bundle, verify=True, runtime="openvino").close()  # another device
    assert len(calls) == 2
    perturb(copy, "text", 0.5)
    for _ in range(2):  # a failure is not kept: its cause may go away
        with pytest.raises(BundleError, match=r"first at text/text.*Do not use it here; sam3i-edge verify"):
            Segmenter.load(copy, verify=True)
    assert len(calls) == 4


def test_a_kept_verdict_that_is_damaged(bundle, cache, caplog):
    Segmenter.load(bundle, verify=True).close()
    for kept in (cache / "verdicts").iterdir():
        kept.write_text("{")
    with caplog.at_level(logging.WARNING):
        Segmenter.load(bundle, verify=True).close()
    assert "cannot be read; verifying again" in caplog.text


def test_align_orders_by_query_and_keeps_missing_queries_apart():
    found = {
        "query_index": np.array([[7, 3, 5, 9]]),
        "logits": np.array([[0.7, 0.3, 0.5, 0.2]]),
        "boxes": np.arange(16.0).reshape(1, 4, 4),
        "masks": np.ones((1, 4, 2, 2)),
        "presence": np.array([[1.0]]),
    }
    aligned, missing = verify.align(found, np.array([3, 4, 7, 8]))
    assert aligned["logits"].tolist() == [[0.3, 0.0, 0.7, 0.0]]
    assert aligned["boxes"][0, 2].tolist() == [0, 1, 2, 3]
    assert aligned["masks"][0, 1].max() == aligned["masks"][0, 3].max() == 0
    assert missing.tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_of_the_chosen_the_last_may_give_way_and_the_first_may_not(bundle, runtime):
    golden = read_golden(bundle)
    with Segmenter.load(bundle, runtime=runtime) as segmenter:
        for place, passes in ((-1, True), (0, False)):
            verdict = verify.verify(segmenter, missing(golden, place))
            assert verdict.passed is passes, verdict.problem
    assert verdict.problem.startswith("first at grounding/logits")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_one_that_scores_better_than_the_last_does_not_give_way(bundle, precision):
    golden = missing(read_golden(bundle), -1)
    logits = golden.expected["grounding/logits"].copy()
    logits.reshape(len(golden.prompts), -1)[0, -1] = 9.0
    golden = dataclasses.replace(golden, expected={**golden.expected, "grounding/logits": logits})
    with Segmenter.load(bundle) as segmenter:
        segmenter.precision = precision
        verdict = verify.verify(segmenter, golden)
    assert not verdict.passed
    failed = [check for check in verdict.checks if not check.passed]
    assert {check.difference.max_abs for check in failed} == {np.inf}


@pytest.mark.parametrize("shape", ["as it is", "other"])
def test_one_mask_that_is_another_is_seen_in_all_its_pixels(bundle, shape):
    golden = another_mask(read_golden(bundle))
    if shape == "other":
        golden = dataclasses.replace(golden, inside=golden.inside[:, :-1])
    with Segmenter.load(bundle) as segmenter:
        verdict = verify.verify(segmenter, golden)
    assert all(check.passed for check in verdict.checks)
    assert re.search(r"but not the instances of 'coffee cup': mask IoU 0\.\d+, score changed", verdict.problem)


def another_mask(golden):
    """Of the first prompt's best instance a quarter of the mask is cut off."""
    scores = verify._expected_scores(golden)[0]
    inside = golden.inside.copy()
    mask = np.unpackbits(inside[scores.argmax()])
    ours = np.flatnonzero(mask)
    mask[ours[: len(ours) // 4]] = 0
    inside[scores.argmax()] = np.packbits(mask)
    return dataclasses.replace(golden, inside=inside)


def missing(golden, place):
    """Of each prompt's instances the one at ``place`` becomes one that no graph chooses."""
    index = golden.expected["grounding/query_index"].reshape(len(golden.prompts), -1).copy()
    index[:, place] = 99_999
    return dataclasses.replace(golden, expected={**golden.expected, "grounding/query_index": index.reshape(-1)})


def test_below_fp32_presence_is_held_by_its_worst_value():
    tolerance = verify._Tolerances("bf16", {}).of("grounding of 16/presence")
    assert tolerance.allows(Difference(0.01, 20.0), peak=0.1)
    assert not tolerance.allows(Difference(0.3, 20.0), peak=0.1)
    assert not verify._Tolerances("bf16", {}).of("grounding/logits").allows(Difference(0.01, 20.0), peak=0.1)
    assert not verify._Tolerances("fp32", {}).of("grounding/presence").allows(Difference(1e-4, 20.0), peak=0.1)


def test_a_verdict_on_a_full_disk(bundle, tmp_path, monkeypatch, caplog, full_disk):
    monkeypatch.setenv("SAM3I_EDGE_CACHE", str(tmp_path))
    monkeypatch.setattr(verify.schema, "plain", lambda verdict: "x" * 200_000)
    with caplog.at_level(logging.WARNING):
        Segmenter.load(bundle, verify=True).close()
    assert "The verdict could not be kept" in caplog.text
    assert not list((tmp_path / "verdicts").iterdir())


def test_instances_that_change_are_named_even_where_the_outputs_pass(bundle):
    from dataclasses import replace

    with Segmenter.load(bundle) as segmenter:
        verdict = verify.verify(segmenter, read_golden(bundle))
    wrong = replace(verdict, answers=(replace(verdict.answers[0], mask_iou=0.5, passed=False),))
    assert not wrong.passed
    assert "not the instances of 'coffee cup': mask IoU 0.500" in wrong.problem


def test_command_writes_json(bundle, tmp_path):
    from sam3i_edge.cli import main

    assert main(["verify", str(bundle), "--runtime", "openvino", "--json", str(tmp_path / "verdict.json")]) == 0
    content = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    assert content["passed"] and content["problem"] == ""
    assert content["device"].startswith("OpenVINO")
    assert len(content["checks"]) == 13


def verdict(remedy, *failed, answers=()):
    checks = tuple(Check(name, Difference(1.0, 3.0), False) for name in failed)
    return Verdict("TensorRT 10.3", "fp16", checks, answers, remedy)


def test_a_remedy_is_named_where_it_may_help():
    assert "Try this" not in verdict("Try this", "text/text").problem
    assert verdict("Try this", "text/text", "vision/fine").problem.endswith("beyond their tolerance. Try this")
    assert verdict("Try this", "grounding of 4/masks").problem.endswith(". Try this")
    assert verdict("Try this", answers=(AnswerCheck("mug", "auto", 0.1, 0.0, False),)).problem.endswith(". Try this")
    assert verdict("Try this").problem == ""


@pytest.mark.parametrize(
    ("precision", "attention", "device", "is_named"),
    [
        ("fp16", "fused", "TensorRT 10.3.0 on X", True),
        ("int8-fp16", "fused", "TensorRT-RTX 1.7.1.116 on X", True),
        ("fp16", "unfused", "TensorRT 10.3.0 on X", False),
        ("int8", "fused", "TensorRT 10.3.0 on X", False),
        ("fp16", "fused", "ONNX Runtime 1.31 on the CPU", False),
    ],
)
def test_the_remedy_is_for_fused_half_precision_on_tensorrt(bundle, precision, attention, device, is_named):
    target = dataclasses.replace(get_target("nvidia"), attention=attention)
    manifest = dataclasses.replace(read_manifest(bundle), target=target, precision=precision)
    assert ("--attention unfused" in remedy_of(manifest, device)) == is_named
