"""What the teacher tells: nothing to a perfect student, the right thing to others."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from sam3i_edge.distill.losses import Answers, answer_losses, margin, pyramid_losses, relations, text_losses
from tests.train.test_distributed import in_two_processes


def answers(prompts=3, queries=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(prompts, queries, generator=generator) * 3
    logits[:, 0] = 4.0
    boxes = torch.rand(prompts, queries, 4, generator=generator) * 0.4 + 0.3
    presence = torch.full((prompts, 1), 3.0)
    return Answers(logits, boxes, presence, torch.randn(2, queries, 8, 8, generator=generator) * 5)


MASKED = torch.tensor([0, 2])


def test_a_perfect_student_has_only_the_entropy_of_its_teacher_to_learn():
    theirs = answers()
    parts = answer_losses(theirs, theirs, MASKED)
    assert parts["box_l1"] == parts["box_giou"].round(decimals=5) == parts["margin"] == 0
    assert parts["mask_dice"] < 1e-3


def test_a_student_with_fewer_cells_is_compared_with_the_means_of_the_teachers():
    wanted = tuple(torch.randn(1, 4, side, side) for side in (32, 16, 8))
    halved = tuple(F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True) for x in wanted)
    assert max(pyramid_losses(halved, wanted).values()) < 1e-5
    theirs = answers()
    smaller = theirs._replace(masks=F.interpolate(theirs.masks, scale_factor=0.5, mode="bilinear", antialias=True))
    apart = theirs._replace(masks=-smaller.masks)
    assert answer_losses(smaller, theirs, MASKED)["mask_dice"] < 0.1 < answer_losses(apart, theirs, MASKED)["mask_dice"]


def test_queries_may_come_in_any_order_and_number():
    theirs = answers()
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = Answers(theirs.logits[:, order], theirs.boxes[:, order], theirs.presence, theirs.masks[:, order])
    more = Answers(
        torch.cat([shuffled.logits, torch.full((3, 2), -9.0)], 1),
        torch.cat([shuffled.boxes, torch.full((3, 2, 4), 0.05)], 1),
        theirs.presence,
        torch.cat([shuffled.masks, torch.zeros(2, 2, 8, 8)], 1),
    )
    same, mixed, added = (answer_losses(found, theirs, MASKED) for found in (theirs, shuffled, more))
    for name in same:
        torch.testing.assert_close(same[name], mixed[name])
        torch.testing.assert_close(same[name], added[name], rtol=1e-3, atol=1e-3)


def test_every_part_of_an_answer_is_taught():
    """Following the gradient brings a student to its teacher's scores, presence, boxes and masks."""
    theirs = answers()
    mine = answers(seed=1)
    values = [value.clone().requires_grad_() for value in mine]
    optimizer = torch.optim.Adam(values, lr=0.02)
    for _ in range(1500):
        parts = answer_losses(Answers(*values), theirs, MASKED)
        optimizer.zero_grad()
        torch.stack([*parts.values()]).sum().backward()
        optimizer.step()
    learned = Answers(*(value.detach() for value in values))
    assert (learned.presence - theirs.presence).abs().max() < 0.3
    best = theirs.scores.argmax(1)
    nearest = (learned.boxes - theirs.boxes[torch.arange(3), best][:, None]).abs().sum(-1).argmin(1)
    rows = torch.arange(3)
    assert (learned.boxes[rows, nearest] - theirs.boxes[rows, best]).abs().max() < 0.02
    assert (learned.scores[rows, nearest] - theirs.scores[rows, best]).abs().max() < 0.1
    found, wanted = (a.masks[[0, 1], q[MASKED]] > 0 for a, q in ((learned, nearest), (theirs, best)))
    assert (found == wanted).float().mean() > 0.95


def test_no_answer_at_all_teaches_presence_alone():
    theirs = answers()._replace(presence=torch.full((3, 1), -9.0))
    mine = answers(seed=1)
    values = [value.clone().requires_grad_() for value in mine]
    torch.stack([*answer_losses(Answers(*values), theirs, MASKED).values()]).sum().backward()
    assert values[2].grad.abs().sum() > 0
    assert values[0].grad is None or values[0].grad.abs().sum() == 0
    smaller = mine._replace(masks=mine.masks[..., ::2, ::2])
    assert answer_losses(smaller, theirs, MASKED)["mask_dice"] == 0


def test_the_lead_of_the_best_is_taught_where_it_is_missing():
    flat = answers()._replace(logits=torch.full((3, 5), 2.0))
    parts = answer_losses(flat, answers(), MASKED)
    torch.testing.assert_close(parts["margin"], margin(answers().scores).mean())
    assert answer_losses(answers(), flat, MASKED)["margin"] == 0


def test_the_level_in_which_the_detector_looks_weighs_most():
    wanted = tuple(torch.randn(1, 8, side, side) for side in (8, 4, 2))
    blind = [tuple(torch.zeros_like(x) if i == level else x for i, x in enumerate(wanted)) for level in range(3)]
    fine, middle, coarse = (pyramid_losses(found, wanted)["feature_error"].item() for found in blind)
    assert fine == pytest.approx(middle, rel=0.3) and coarse > 5 * max(fine, middle)


def test_feature_losses_do_not_depend_on_the_features_scale():
    wanted = tuple(torch.randn(1, 8, side, side) for side in (8, 4, 2))
    found = tuple(level + 0.1 * torch.randn(level.shape) for level in wanted)
    once, twice = pyramid_losses(found, wanted), pyramid_losses(*([10 * x for x in p] for p in (found, wanted)))
    for name in once:
        torch.testing.assert_close(once[name], twice[name])
    assert all(value < 1e-6 for value in pyramid_losses(wanted, wanted).values())


def test_padding_says_nothing():
    wanted, used = torch.randn(4, 32, 8), torch.arange(32)[None].expand(4, -1) < 5
    found = torch.where(used[..., None], wanted, torch.randn(4, 32, 8))
    assert all(value < 1e-6 for value in text_losses(found, wanted, used).values())
    torch.testing.assert_close(relations(found, used), relations(wanted, used))


def test_texts_that_lose_their_relation_are_noticed():
    wanted, used = torch.randn(4, 32, 8), torch.ones(4, 32, dtype=torch.bool)
    collapsed = wanted.mean(0, keepdim=True).expand(4, -1, -1)
    assert text_losses(collapsed, wanted, used)["text_relation"] > 0.1


def told(rank: int, processes: int) -> list[torch.Tensor]:
    """The gradients of all losses for what a student says of a process's share of four prompts and images.

    The shares are unlike: the first prompt has many answers, the texts are of different lengths.
    """
    accelerator = Accelerator(cpu=True)
    share = slice(rank, None, processes)
    theirs = answers(prompts=4, queries=5)
    theirs.logits[0] = 4.0
    theirs = Answers(*(value[share] for value in theirs[:3]), theirs.masks[[0, 1, 0, 1]][share])
    generator = torch.Generator().manual_seed(2)
    levels = [torch.randn(4, 4, side, side, generator=generator) for side in (8, 4, 2)]
    texts = torch.randn(4, 32, 8, generator=generator)
    used = (torch.arange(32) < torch.tensor([[30], [2], [3], [5]]))[share]
    said = [*answers(4, 5, seed=1)[:3], torch.randn(4, 5, 8, 8, generator=generator), *levels, texts * 0.5 + 1]
    mine = [value[share].clone().requires_grad_() for value in said]
    parts = answer_losses(Answers(*mine[:4]), theirs, torch.arange(len(mine[0])))
    parts |= pyramid_losses(mine[4:7], [level.flip(0)[share] * 3 for level in levels])
    parts |= text_losses(mine[7], texts[share], used)
    (torch.stack([*parts.values()]).sum() / processes).backward()
    accelerator.end_training()
    return [value.grad for value in mine]


def test_two_processes_are_told_what_one_is_of_their_joint_batch(tmp_path):
    script = "import sys, torch; from tests.distill.test_losses import told;"
    script += "torch.save(told(int(sys.argv[1]), 2), sys.argv[2])"
    in_two_processes(lambda rank: [script, str(rank), str(tmp_path / f"{rank}.pt")])
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for i, alone in enumerate(told(0, 1)):
        assert alone.abs().max() > 0
        for rank in range(2):
            torch.testing.assert_close(parts[rank][i], alone[rank::2], rtol=1e-4, atol=1e-7)
