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

from sam3i_edge import Segmenter, verification
from sam3i_edge.errors import BundleError
from sam3i_edge.golden import checked_outputs, read_golden
from sam3i_edge.graphs import Limits
from sam3i_edge.manifest import read_manifest
from sam3i_edge.precision import PRECISIONS
from sam3i_edge.targets import get_target
from sam3i_edge.tolerance_rules import resolve
from sam3i_edge.tolerances import MAX_SQNR_DB, Difference, Tolerance
from sam3i_edge.verification import AnswerCheck, Check, Verdict, remedy_of
from tests.conftest import rewrite

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copy")


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
    rewrite(path)
    return weight.name


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("graph", ["vision", "text", "grounding"])
def test_a_layer_off_by_one_percent(copy, graph, runtime):
    name = perturb(copy, graph, 0.5)
    verdict = verification.verify(Segmenter.load(copy, runtime=runtime).engine, read_golden(copy))
    assert not verdict.passed, name
    assert verdict.problem.startswith(f"first at {graph}/"), (name, verdict.problem)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_graphs_swapped(copy, runtime):
    text, vision = copy / "graphs/text.onnx", copy / "graphs/vision.onnx"
    content = text.read_bytes()
    text.write_bytes(vision.read_bytes())
    vision.write_bytes(content)
    rewrite(copy)
    with pytest.raises(BundleError, match=r"vision\.onnx: Unknown input 'image'"):
        verification.verify(Segmenter.load(copy, runtime=runtime).engine, read_golden(copy))


def test_once_per_device(bundle, copy, monkeypatch, caplog):
    calls = []
    real = verification.verify
    monkeypatch.setattr(verification, "verify", lambda *arguments: (calls.append(1), real(*arguments))[1])
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


EMPTY = {"device": "", "precision": "", "checks": [], "answers": []}


@pytest.mark.parametrize("content", ["{", "[" * 100_000, json.dumps(EMPTY)])
def test_a_kept_verdict_that_is_damaged(bundle, cache, monkeypatch, content):
    Segmenter.load(bundle, verify=True).close()
    for kept in (cache / "verdicts").iterdir():
        kept.write_text(content)
    calls, verify = [], verification.verify
    monkeypatch.setattr(verification, "verify", lambda *arguments: (calls.append(1), verify(*arguments))[1])
    Segmenter.load(bundle, verify=True).close()
    assert calls == [1]


def test_align_orders_by_query_and_keeps_missing_queries_apart():
    found = {
        "query_index": np.array([[7, 3, 5, 9]]),
        "logits": np.array([[0.7, 0.3, 0.5, 0.2]]),
        "boxes": np.arange(16.0).reshape(1, 4, 4),
        "masks": np.ones((1, 4, 2, 2)),
        "presence": np.array([[1.0]]),
    }
    aligned, missing = verification.align(found, np.array([3, 4, 7, 8]))
    assert aligned["logits"].tolist() == [[0.3, 0.0, 0.7, 0.0]]
    assert aligned["boxes"][0, 2].tolist() == [0, 1, 2, 3]
    assert aligned["masks"][0, 1].max() == aligned["masks"][0, 3].max() == 0
    assert missing.tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_of_the_chosen_the_last_may_give_way_and_the_first_may_not(bundle, runtime):
    golden = read_golden(bundle)
    with Segmenter.load(bundle, runtime=runtime) as segmenter:
        for place, passes in ((-1, True), (0, False)):
            verdict = verification.verify(segmenter.engine, missing(golden, place))
            assert verdict.passed is passes, verdict.problem
    assert verdict.problem.startswith("first at grounding/logits")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_one_that_scores_better_than_the_last_does_not_give_way(copy, precision):
    rewrite(copy, tolerances=resolve(precision, checked_outputs(read_manifest(copy).runtime.limits), {}))
    golden = missing(read_golden(copy), -1)
    logits = golden.expected["grounding/logits"].copy()
    logits.reshape(len(golden.prompts), -1)[0, -1] = 9.0
    golden = dataclasses.replace(golden, expected={**golden.expected, "grounding/logits": logits})
    with Segmenter.load(copy) as segmenter:
        segmenter.engine.precision = precision
        verdict = verification.verify(segmenter.engine, golden)
    assert not verdict.passed
    failed = [check for check in verdict.checks if not check.passed]
    assert {check.difference.max_abs for check in failed} == {np.inf}


@pytest.mark.parametrize("shape", ["as it is", "other"])
def test_one_mask_that_is_another_is_seen_in_all_its_pixels(bundle, shape):
    golden = another_mask(read_golden(bundle))
    if shape == "other":
        golden = dataclasses.replace(golden, inside=golden.inside[:, :-1])
    with Segmenter.load(bundle) as segmenter:
        verdict = verification.verify(segmenter.engine, golden)
    assert all(check.passed for check in verdict.checks)
    assert re.search(r"but not the instances of 'coffee cup': mask IoU 0\.\d+, score changed", verdict.problem)


def another_mask(golden):
    """Of the first prompt's best instance a quarter of the mask is cut off."""
    scores = verification._expected_scores(golden)[0]
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
    allowed = resolve("bf16", OUTPUTS, {})
    tolerance = allowed["bf16"].outputs["grounding of 16/presence"]
    assert tolerance.allows(Difference(0.01, 20.0), peak=0.1)
    assert not tolerance.allows(Difference(0.3, 20.0), peak=0.1)
    assert not allowed["bf16"].outputs["grounding/logits"].allows(Difference(0.01, 20.0), peak=0.1)
    assert not allowed["fp32"].outputs["grounding/presence"].allows(Difference(1e-4, 20.0), peak=0.1)


OUTPUTS = checked_outputs(Limits(max_prompts=16, max_boxes=16, max_instances=20))
REACHED = {name: Difference(1e-6, 60.0 + number) for number, name in enumerate(OUTPUTS)}
"""What an export might have recorded: 60 dB for the first output, 1 more for each."""
RULE = {  # max_abs, general dB, dB that may be lost of what was reached; instances: IoU, score change, least score
    "fp32": (1e-3, 60.0, 25.0, (0.99, 2e-3, 0.0)),
    "fp16": (0.05, 40.0, None, (0.95, 0.02, 0.0)),
    "bf16": (0.25, 25.0, None, (0.85, 0.1, 0.0)),
    "int8": (1.0, 10.0, 6.0, (0.75, 0.2, 0.3)),
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tolerances_are_resolved_by_the_rule(precision):
    found = resolve(precision, OUTPUTS, REACHED)
    assert list(found) == list(dict.fromkeys([precision, "int8" if "int8" in precision else "fp32"]))
    for one, tolerances in found.items():
        max_abs, least, loss, (iou, change, score) = RULE["int8" if "int8" in one else one]
        for name in OUTPUTS:
            expected = least if loss is None else max(least, REACHED[name].sqnr_db - loss)
            if name == "preprocess/image":
                assert tolerances.outputs[name] == Tolerance(0.0, MAX_SQNR_DB)
            elif name.endswith("presence") and one != "fp32":
                assert tolerances.outputs[name] == Tolerance(max_abs, -MAX_SQNR_DB)
            else:
                assert tolerances.outputs[name] == Tolerance(max_abs, expected)
        instances = tolerances.instances
        assert (instances.min_mask_iou, instances.max_score_change, instances.min_score) == (iou, change, score)
        assert (instances.best, instances.min_pixels) == (5, 100)


def test_the_manifest_decides_what_is_allowed(copy):
    own = read_manifest(copy).runtime.tolerances["fp32"]
    strict = own.outputs | {"grounding/masks": Tolerance(0.0, MAX_SQNR_DB)}
    rewrite(copy, tolerances={"fp32": dataclasses.replace(own, outputs=strict)})
    with Segmenter.load(copy, runtime="openvino") as segmenter:  # which sums in another order
        verdict = verification.verify(segmenter.engine, read_golden(copy))
    assert [check.name for check in verdict.checks if not check.passed] == ["grounding/masks"]


def test_what_the_manifest_has_no_tolerance_for(copy):
    own = read_manifest(copy).runtime.tolerances["fp32"]
    rewrite(copy, tolerances={"fp32": dataclasses.replace(own, outputs={"preprocess/image": Tolerance(0.0, 0.0)})})
    with pytest.raises(BundleError, match="The manifest has no tolerance for vision/fine"):
        verification.verify(Segmenter.load(copy).engine, read_golden(copy))
    rewrite(copy, tolerances={"bf16": own})
    with pytest.raises(BundleError, match=r"Unknown precision 'fp32'\. Known: bf16"):
        verification.verify(Segmenter.load(copy).engine, read_golden(copy))


def test_a_verdict_on_a_full_disk(bundle, tmp_path, monkeypatch, caplog, full_disk):
    monkeypatch.setenv("SAM3I_EDGE_CACHE", str(tmp_path))
    monkeypatch.setattr(verification.schema, "plain", lambda verdict: "x" * 200_000)
    with caplog.at_level(logging.WARNING):
        Segmenter.load(bundle, verify=True).close()
    assert "The verdict could not be kept" in caplog.text
    assert not list((tmp_path / "verdicts").iterdir())


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
    manifest = read_manifest(bundle)
    runtime = dataclasses.replace(manifest.runtime, target=target.on_device, precision=precision)
    manifest = dataclasses.replace(manifest, runtime=runtime)
    assert ("--attention unfused" in remedy_of(manifest, device)) == is_named
