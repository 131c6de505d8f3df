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

from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.export.tokenizer_json import clip_tokenizer
from sam3i_edge.train.batches import Collate, StepSampler, TrainingSet
from sam3i_edge.train.learner import Learner
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
    dataset = TrainingSet(load_samples(data, "train").samples, routes, recipe, model.config.image_size)
    rank, processes = accelerator.process_index, accelerator.num_processes
    sampler = StepSampler(len(dataset), recipe.images, 5, 0, 1, rank, processes)
    batch = Collate(clip_tokenizer(32))([dataset[pair] for pair in next(iter(sampler))])
    learner = accelerator.prepare(Learner(model))
    loss, _ = learner(batch)
    accelerator.backward(loss)
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("stage", ["base", "3"])
def test_two_processes_give_the_gradients_of_one_with_twice_the_batch(stage, shapes, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        "import sys, torch; from tests.train.test_distributed import gradients;"
        "torch.save(gradients(sys.argv[1], sys.argv[2]), sys.argv[3])"
    )
    processes = []
    for rank in range(2):
        common = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        environment = os.environ | common | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-c", script, str(shapes), stage, str(tmp_path / f"{rank}.pt")]
        processes.append(subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2]))
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    alone = gradients(str(shapes), stage)
    shared, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    largest = max(float(value.abs().max()) for value in alone.values())
    assert set(alone) == set(shared) and largest > 1
    for name, value in alone.items():
        assert torch.equal(shared[name], other[name])
        torch.testing.assert_close(
            shared[name], value, rtol=1e-5, atol=1e-5 * largest, msg=lambda m, n=name: f"{n}: {m}"
        )
