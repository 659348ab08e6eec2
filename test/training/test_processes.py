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
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import distributed

from kpconv_ros.checkpoint import load_model
from kpconv_ros.data.clips import Clip
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.training.batches import Batch
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.processes import SharedBatchNorm
from kpconv_ros.training.propagation import pair_clouds
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import load_clips, make_cutter

Make = Callable[..., SegmentTraining]
TIMEOUT = 900  # s
FIELDS: dict[str, object] = {
    "name": "joined",
    "num_clips": 1,
    "num_scans": 2,
    "voxel_size": 0.5,
    "sphere_radius": 4.0,
    "width": 8,
    "batch_points": 200,
    "steps": 4,
    "save_every": 2,
    "num_threads": 1,
    "device": "cpu",
    "optimizer": "sgd",
    "learning_rate": 0.01,
}
STEP = {**FIELDS, "lovasz": 0.0, "clip_norm": 1e9, "bf16": False, "seed": 4}
STEPS: dict[str, dict[str, object]] = {
    "plain": STEP,
    "own_norms": {**STEP, "shared_norms": False},
    "cross": {**STEP, "propagation": "cross"},
    "intra": {**STEP, "propagation": "intra"},
}
TRAININGS = {name: {**FIELDS, "seed": 4, "propagation": name} for name in ("cross", "intra")}
Job = tuple[str, str, dict[str, object]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left: ``step_NAME`` and ``whole_NAME`` of each, and ``halted``, stopped after step 3."""
    jobs: list[Job] = [("step", f"step_{name}", fields) for name, fields in STEPS.items()]
    jobs += [("train", f"whole_{name}", fields) for name, fields in TRAININGS.items()]
    jobs.append(("die", "halted", TRAININGS["cross"]))
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment = {**os.environ, "MASTER_PORT": str(free.getsockname()[1]), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("one_of_two.py")
    words = [[sys.executable, script, folder, str(rank), json.dumps(jobs)] for rank in range(2)]
    workers = [subprocess.Popen(word, env=environment, stderr=subprocess.PIPE, text=True) for word in words]
    try:
        errors = [worker.communicate(timeout=TIMEOUT)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], errors
    return folder


def load(*parts: str | Path) -> Any:
    """Return what a process wrote."""
    return torch.load(Path(*parts), weights_only=True)


def join(one: Batch, other: Batch) -> Batch:
    """Return both batches as one."""
    return Batch(*(torch.cat(pair) for pair in zip(one, other, strict=True)))


def largest_gap(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of a tensor relative to the largest value in it."""
    assert set(found) == set(expected)
    return max(float((found[name] - value).abs().max() / value.abs().max()) for name, value in expected.items())


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """The clips of the jobs."""
    return load_clips(SegmentTrainingConfig(**FIELDS))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", STEPS)
def test_two_processes_have_the_gradients_of_one_on_the_joined_batch(
    folder: Path, clips: list[Clip], tmp_path: Path, name: str
) -> None:
    config = SegmentTrainingConfig(**STEPS[name])  # type: ignore[arg-type]
    one, two = SegmentTraining(config, make_cutter(config, clips), tmp_path), load(folder, f"step_{name}", "step0.pt")
    batches = one.make_batch(0), one.make_batch(1)
    weights = [float(one.weights[batch.labels[batch.labels >= 0]].sum()) for batch in batches]
    assert not 0.95 < weights[0] / weights[1] < 1.05  # else a mean of means would do
    joined = join(*batches)
    assert pair_clouds(joined.labels, joined.lengths) == [1, 0, 3, 2]  # none across the processes
    row = one.train_step(joined)
    expected = {name: p.grad for name, p in one.network.named_parameters() if p.grad is not None}
    gap = largest_gap(two["gradients"], expected)
    if not config.shared_norms:
        assert gap > 0.01  # batch statistics of each process's own
        return
    assert gap < 1e-3 and {key: two["row"][key] for key in row if key != "accuracy"} == pytest.approx(
        {key: value for key, value in row.items() if key != "accuracy"}, rel=1e-4
    )
    if one.reallocation is not None:
        assert one.reallocation.affinity.grad is not None and row["gap"] > 0
        assert largest_gap({"W": two["affinity"]}, {"W": one.reallocation.affinity.grad}) < 1e-3
    statistics = {name: value for name, value in one.average.state_dict().items() if "running" in name}
    assert largest_gap({name: two["average"][name] for name in statistics}, statistics) < 1e-4 and statistics


@pytest.mark.parametrize("name", ["cross", "intra"])
def test_dense_supervision_propagation_gives_both_processes_the_same_weights(
    folder: Path, clips: list[Clip], tmp_path: Path, name: str
) -> None:
    states = [load(folder, f"whole_{name}", f"train{rank}.pt") for rank in range(2)]
    for part in ("network", "reallocation", "average"):
        assert states[0][part].keys() == states[1][part].keys()
        assert all(tensor.equal(states[1][part][key]) for key, tensor in states[0][part].items())
    config = SegmentTrainingConfig(**TRAININGS[name])  # type: ignore[arg-type]
    start = SegmentTraining(config, make_cutter(config, clips), tmp_path)
    assert start.reallocation is not None
    assert not states[0]["reallocation"]["affinity"].equal(start.reallocation.affinity)
    pairs = [pair_clouds(batch.labels, batch.lengths) for batch in map(start.make_batch, range(8))]
    has_pair = [max(partners) >= 0 for partners in pairs]
    if name == "cross":  # steps with pairs in both processes, in one, and in none
        assert [sum(has_pair[step : step + 2]) for step in (0, 2, 4, 6)] == [2, 0, 1, 0]
    gaps = [float(row.split(",")[-1]) for row in (folder / f"whole_{name}" / "losses.csv").read_text().splitlines()]
    assert [gap > 0 for gap in gaps] == ([True, False, True, False] if name == "cross" else [True] * 4)


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


@pytest.mark.slow
def test_torchrun_of_the_command_goes_on_where_two_processes_were_stopped(folder: Path, tmp_path: Path) -> None:
    config, whole, halted = tmp_path / "config.yaml", folder / "whole_cross", folder / "halted"
    config.write_text(yaml.safe_dump(TRAININGS["cross"]))
    assert load(halted, "checkpoint.pt")["step"] == 2  # saved before it was stopped after 3
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "kpconv_ros.cli", "train", "segment", "--config", config, "--out", halted]
    done = subprocess.run([*launch, *command], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("wrote ") == 1  # process 0 alone
    assert load_model(halted / "joined").manifest.name == "joined"
    rows = (whole / "losses.csv").read_text()
    assert [row.split(",")[0] for row in rows.splitlines()] == ["1", "2", "3", "4"]
    assert (halted / "losses.csv").read_text() == rows
    states = [load(out, "checkpoint.pt") for out in (whole, halted)]
    assert states[0]["step"] == states[1]["step"] == 4 and states[0]["processes"] == 2
    for part in ("network", "average", "reallocation"):
        assert all(tensor.equal(states[1][part][name]) for name, tensor in states[0][part].items())
