"""Two processes learn what one would from their joint batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.train.batches import Collate, StepSampler, TrainingSet, ask
from sam3i_edge.train.distributed import gather
from sam3i_edge.train.loss_module import LossModule
from sam3i_edge.train.stages import enter
from tests.train.conftest import tiny_model, tiny_recipe


def gradients(data: str, stage: str) -> dict[str, torch.Tensor]:
    """Of the first batch of a stage, on this process's share of it."""
    handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=True, kwargs_handlers=[handler])
    model = tiny_model()
    with torch.no_grad():  # adapters that begin as the identity would hide most gradients
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    recipe = tiny_recipe(stage, dropout=0.0)
    routes = enter(model, stage).routes
    samples = load_samples(data, "train").samples
    dataset = TrainingSet(samples, lambda sample: ask(sample, routes), recipe, model.config.image_size)
    rank, processes = accelerator.process_index, accelerator.num_processes
    sampler = StepSampler(len(dataset), recipe.images, 5, 0, 1, rank, processes)
    batch = Collate(clip_tokenizer(32))([dataset[pair] for pair in next(iter(sampler))])
    learner = accelerator.prepare(LossModule(model, recipe))
    loss, _ = learner(batch)
    accelerator.backward(loss)
    accelerator.end_training()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def gathered(rank: int) -> torch.Tensor:
    """What two processes with 3 and 2 rows gather, and below it the gradient of this process's rows."""
    accelerator = Accelerator(cpu=True)
    rows = (torch.arange(6 - 2 * rank).reshape(-1, 2) + 10.0 * rank).requires_grad_()
    found = gather(rows)
    (found * torch.arange(5.0)[:, None]).sum().backward()
    accelerator.end_training()
    return torch.cat([found.detach(), rows.grad])


def test_processes_may_have_different_numbers_of_rows(tmp_path):
    script = "import sys, torch; from tests.train.test_distributed import gathered;"
    script += "rank = int(sys.argv[1]); torch.save(gathered(rank), sys.argv[2])"
    in_two_processes(lambda rank: [script, str(rank), str(tmp_path / f"{rank}.pt")])
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    rows = torch.tensor([[0.0, 1], [2, 3], [4, 5], [10, 11], [12, 13]])
    assert torch.equal(first[:5], rows) and torch.equal(second[:5], rows)
    # Every process computes the sum, so that each row's gradient arrives twice.
    assert torch.equal(first[5:, 0], torch.tensor([0.0, 2, 4])) and torch.equal(second[5:, 0], torch.tensor([6.0, 8]))


def test_a_signal_that_reaches_one_process_stops_all(tmp_path):
    script = (
        "import sys, pathlib; from accelerate import PartialState; PartialState(cpu=True);"
        "from sam3i_edge.train.distributed import any_process;"
        "rank = int(sys.argv[1]); found = [any_process(rank == 1), any_process(False)];"
        "pathlib.Path(sys.argv[2]).write_text(str(found)); PartialState().destroy_process_group()"
    )
    in_two_processes(lambda rank: [script, str(rank), str(tmp_path / str(rank))])
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["[True, False]"] * 2


def in_two_processes(arguments):
    """Run ``python -c`` with the arguments of each rank, in two processes that know each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        common = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        environment = os.environ | common | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-c", *arguments(rank)]
        processes.append(subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2]))
    assert [process.wait(timeout=120) for process in processes] == [0, 0]


@pytest.mark.parametrize("stage", ["base", "3"])
def test_two_processes_give_the_gradients_of_one_with_twice_the_batch(stage, shapes, tmp_path):
    script = (
        "import sys, torch; from tests.train.test_distributed import gradients;"
        "torch.save(gradients(sys.argv[1], sys.argv[2]), sys.argv[3])"
    )
    in_two_processes(lambda rank: [script, str(shapes), stage, str(tmp_path / f"{rank}.pt")])
    alone = gradients(str(shapes), stage)
    shared, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    largest = max(float(value.abs().max()) for value in alone.values())
    assert set(alone) == set(shared) and largest > 1
    for name, value in alone.items():
        assert torch.equal(shared[name], other[name])
        torch.testing.assert_close(
            shared[name], value, rtol=1e-5, atol=1e-5 * largest, msg=lambda m, n=name: f"{n}: {m}"
        )
