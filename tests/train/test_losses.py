"""Every loss against the values recorded from the published code."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from sam3i_edge.train.alignment_loss import divergence_loss, info_nce_loss, kl_loss, margin_loss
from sam3i_edge.train.detection_loss import (
    Answer,
    box_losses,
    mask_losses,
    presence_loss,
    score_loss,
    semantic_losses,
    weighted,
)
from sam3i_edge.train.matching import match_one_to_many, match_one_to_one
from sam3i_edge.train.targets import Match, Targets
from tests.conftest import DATA

RECORDED = json.loads((DATA / "losses/losses.json").read_text())
INPUTS = {name: torch.from_numpy(value) for name, value in np.load(DATA / "losses/losses.npz").items()}


def unpack(name: str) -> torch.Tensor:
    shape = INPUTS[f"{name}_shape"].tolist()
    return torch.from_numpy(np.unpackbits(INPUTS[name].numpy())[: np.prod(shape)].reshape(shape)).bool()


def near(recorded: float):
    return pytest.approx(recorded, rel=1e-4)


@pytest.fixture(scope="module")
def targets() -> Targets:
    return Targets(INPUTS["det_boxes"], unpack("det_masks"), INPUTS["det_num_boxes"])


@pytest.fixture(scope="module")
def answer() -> Answer:
    return Answer(INPUTS["det_pred_logits"][..., 0], INPUTS["det_pred_boxes"])


@pytest.fixture(scope="module")
def match(answer, targets) -> Match:
    return match_one_to_one(answer.logits, answer.boxes, targets)


COUNT = torch.tensor(5.0)


def test_the_hungarian_matches_are_the_recorded_ones(match):
    assert match.prompts.tolist() == INPUTS["det_match_0"].tolist()
    assert match.queries.tolist() == INPUTS["det_match_1"].tolist()
    assert match.targets.tolist() == list(range(5))


def test_losses_of_detection(answer, targets, match):
    picked = INPUTS["det_pred_masks"][match.prompts, match.queries]
    scores = score_loss(answer, targets, match) | presence_loss(INPUTS["det_presence_logit_dec"], targets)
    semantic = semantic_losses(INPUTS["det_semantic_seg"], targets)
    for group, losses, names in [
        ("boxes", box_losses(answer, targets, match, COUNT), {"box_l1": "loss_bbox", "box_giou": "loss_giou"}),
        ("iabce", scores, {"score": "loss_ce", "presence": "presence_loss"}),
        ("masks", mask_losses(picked, targets, match, COUNT), {"mask_focal": "loss_mask", "mask_dice": "loss_dice"}),
        ("semantic", semantic, {"semantic_focal": "loss_semantic_seg", "semantic_dice": "loss_semantic_dice"}),
    ]:
        recorded = RECORDED["detection"][group]
        assert losses.keys() == names.keys()
        for name, published in names.items():
            assert losses[name].item() == near(recorded[published]), name
        assert weighted(losses).item() == near(recorded["core_loss"])


def test_alignment_losses():
    recorded, texts = RECORDED["alignment"], RECORDED["texts"]
    simple, complex_, concept = (INPUTS[f"feat_{name}"] for name in ("simple", "complex", "concept"))
    a, b = INPUTS["sem_a"], INPUTS["sem_b"]
    boxes = torch.zeros(int(INPUTS["num_boxes"].sum()), 4)
    targets = Targets(boxes, unpack("masks"), INPUTS["num_boxes"])
    assert info_nce_loss(simple, complex_, texts).item() == near(recorded["infonce"])
    assert margin_loss(simple, complex_, concept, texts).item() == near(recorded["margin"])
    assert kl_loss(a, b).item() == near(recorded["kl_a_to_b"])
    assert kl_loss(b, a).item() == near(recorded["kl_b_to_a"])
    assert divergence_loss(a, b, targets).item() == near(recorded["hard_a"])
    assert divergence_loss(b, a, targets).item() == near(recorded["hard_b"])


def test_one_to_many_takes_the_best_few_above_the_least_merit():
    boxes = torch.tensor([[[0.5, 0.5, 0.4, 0.4]] * 6 + [[0.1, 0.1, 0.1, 0.1]] * 4])
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 9.0, 9.0, 9.0, 9.0]])
    targets = Targets(torch.tensor([[0.5, 0.5, 0.4, 0.4]]), torch.ones(1, 2, 2).bool(), torch.tensor([1]))
    assert match_one_to_many(logits, boxes, targets).queries.tolist() == [0, 1, 2, 3]
    weak = Targets(torch.tensor([[0.8, 0.8, 0.1, 0.1]]), targets.masks, targets.counts)
    assert match_one_to_many(logits, boxes, weak).queries.tolist() == []


def test_the_weight_of_unmatched_queries(answer, targets, match):
    """It counts what is unmatched, in prompts that have a target, and nothing else."""
    once, tenfold = (score_loss(answer, targets, match, weight)["score"].item() for weight in (1.0, 10.0))
    quiet = dataclasses.replace(answer, logits=answer.logits.clone())
    unmatched = torch.ones_like(quiet.logits, dtype=torch.bool)
    unmatched[match.prompts, match.queries] = False
    quiet.logits[unmatched] = -12
    assert tenfold > once * 1.5
    assert score_loss(quiet, targets, match, 10.0)["score"].item() == near(
        score_loss(quiet, targets, match)["score"].item()
    )


def test_a_batch_without_any_target_teaches_presence_alone(answer):
    nothing = Targets(torch.zeros(0, 4), torch.zeros(0, 24, 24).bool(), torch.zeros(3, dtype=torch.long))
    match = match_one_to_one(answer.logits, answer.boxes, nothing)
    assert len(match.queries) == len(match_one_to_many(answer.logits, answer.boxes, nothing).queries) == 0
    one = torch.tensor(1.0)
    losses = box_losses(answer, nothing, match, one) | score_loss(answer, nothing, match)
    losses |= mask_losses(torch.zeros(0, 24, 24), nothing, match, one) | semantic_losses(
        INPUTS["det_semantic_seg"], nothing
    )
    assert {name: value.item() for name, value in losses.items()} == dict.fromkeys(losses, 0.0)
    assert presence_loss(torch.full((3, 1), 8.0), nothing)["presence"].item() == pytest.approx(4.0, abs=1e-3)
