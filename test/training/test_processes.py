# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training by two processes."""

import copy
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from kpconv_ros.checkpoint import load_model
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.training.batches import Batch
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.processes import SharedBatchNorm
from kpconv_ros.training.segment import SegmentTraining

Make = Callable[..., SegmentTraining]
TIMEOUT = 900  # s


def step_of_two(folder: Path, fields: dict[str, object]) -> Any:
    """Return what process 0 of two has after one step on the CPU."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment = {**os.environ, "MASTER_PORT": str(free.getsockname()[1]), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("one_of_two.py")
    words = [[sys.executable, script, folder, str(rank), json.dumps(fields)] for rank in range(2)]
    workers = [subprocess.Popen(word, env=environment, stderr=subprocess.PIPE, text=True) for word in words]
    try:
        errors = [worker.communicate(timeout=TIMEOUT)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], errors
    return torch.load(folder / "result.pt", weights_only=True)


def join(one: Batch, other: Batch) -> Batch:
    """Return both batches as one."""
    return Batch(*(torch.cat(pair) for pair in zip(one, other, strict=True)))


def largest_gap(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of a tensor relative to the largest value in it."""
    assert set(found) == set(expected)
    return max(float((found[name] - value).abs().max() / value.abs().max()) for name, value in expected.items())


@pytest.mark.parametrize("shared_norms", [True, False])
def test_two_processes_have_the_gradients_of_one_on_the_joined_batch(
    make_training: Make, tmp_path: Path, shared_norms: bool
) -> None:
    changes = {"lovasz": 0.0, "clip_norm": 1e9, "bf16": False, "shared_norms": shared_norms}
    (tmp_path / "one").mkdir()
    one = make_training(tmp_path / "one", **changes)
    batches = one.make_batch(0), one.make_batch(1)
    weights = [float(one.weights[batch.labels[batch.labels >= 0]].sum()) for batch in batches]
    assert not 0.95 < weights[0] / weights[1] < 1.05  # else a mean of means would do
    row = one.train_step(join(*batches))
    fields = {name: value for name, value in asdict(one.config).items() if name != "augmentation"}
    two = step_of_two(tmp_path / "two", fields)
    expected = {name: p.grad for name, p in one.network.named_parameters() if p.grad is not None}
    gap = largest_gap(two["gradients"], expected)
    if not shared_norms:
        assert gap > 0.01  # batch statistics of each process's own
        return
    assert gap < 1e-3 and two["row"]["loss"] == pytest.approx(row["loss"], rel=1e-5)
    statistics = {name: value for name, value in one.average.state_dict().items() if "running" in name}
    assert largest_gap({name: two["average"][name] for name in statistics}, statistics) < 1e-4 and statistics


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[distributed.ProcessGroup]:
    """A process group of this process alone, in which sums are over its own rows."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield distributed.new_group()
    distributed.destroy_process_group()


@pytest.mark.parametrize("num_rows", [50, 2, 1])
def test_shared_batch_norms_alone_are_plain_ones(group_of_one: distributed.ProcessGroup, num_rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    plain = PackedBatchNorm(4, momentum=0.1)
    torch.nn.init.uniform_(plain.weight, generator=generator)
    plain.running_mean = torch.randn(4, generator=generator)
    shared = SharedBatchNorm(copy.deepcopy(plain), group_of_one).double()
    plain.double()
    features = 100 + torch.randn(num_rows, 4, generator=generator, dtype=torch.float64)
    seen = torch.randn(num_rows, 4, generator=generator, dtype=torch.float64)
    for is_training in (True, False):
        gradients = []
        for norm in (plain, shared):
            leaf = features.clone().requires_grad_()
            out = norm.train(is_training)(leaf)
            gradients.append((out, *torch.autograd.grad((out * seen).sum(), [leaf, norm.weight, norm.bias])))
        torch.testing.assert_close(*gradients, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(shared.state_dict(), plain.state_dict(), atol=1e-9, rtol=1e-9)
    assert int(shared.num_batches_tracked) == (1 if num_rows > 1 else 0)


def test_a_training_of_two_processes_is_not_taken_up_by_one(make_training: Make, tmp_path: Path) -> None:
    training = make_training(tmp_path)
    training.save()
    state = torch.load(training.checkpoint, weights_only=True)
    torch.save({**state, "processes": 2}, training.checkpoint)
    with pytest.raises(TrainingError, match="expected 2 processes as before, got 1"):
        make_training(tmp_path)
    del state["processes"]  # as older checkpoints, which one process wrote
    torch.save({**state, "step": 2}, training.checkpoint)
    assert make_training(tmp_path).step == 2


CONFIG = """
name: joined
num_clips: 1
num_scans: 2
voxel_size: 0.5
sphere_radius: 4.0
width: 8
batch_points: 200
optimizer: sgd
learning_rate: 0.01
device: cpu
"""


def torchrun(out: Path, config: Path, steps: int) -> str:
    """Train with two processes as torchrun does; return what was said."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "kpconv_ros.cli", "train", "segment", "--config", config, "--out", out, "--set", f"steps={steps}"]
    done = subprocess.run([*launch, *command], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_the_command_trains_on_two_processes_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    config, whole, halted = tmp_path / "config.yaml", tmp_path / "whole", tmp_path / "halted"
    config.write_text(CONFIG)
    assert torchrun(whole, config, 4).count("wrote ") == 1  # process 0 alone
    assert load_model(whole / "joined").manifest.name == "joined"
    torchrun(halted, config, 2)  # the rate of SGD does not depend on the number of steps
    state = torch.load(halted / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2 and state["processes"] == 2
    state["config"]["steps"] = 4
    torch.save(state, halted / "checkpoint.pt")
    torchrun(halted, config, 4)
    rows = (whole / "losses.csv").read_text()
    assert [row.split(",")[0] for row in rows.splitlines()] == ["1", "2", "3", "4"]
    assert (halted / "losses.csv").read_text() == rows
    states = [torch.load(out / "checkpoint.pt", weights_only=True)["average"] for out in (whole, halted)]
    assert all(tensor.equal(states[1][name]) for name, tensor in states[0].items())
