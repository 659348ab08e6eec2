# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings of task networks and of samplers for them, and the test of both, from the command line."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from kpconv_ros import cli
from kpconv_ros.config_io import ConfigError, load_config
from kpconv_ros.data.object_tasks import ObjectTaskConfig
from kpconv_ros.layers.temperature import TemperatureConfig
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig
from kpconv_ros.networks.samplenet import SIZES
from kpconv_ros.sampling_checkpoint import load_sampler, load_task_network, save_sampling_model
from kpconv_ros.training.samplenet import SamplerTraining, SamplerTrainingConfig
from kpconv_ros.training.task_network import TaskTrainingConfig

TASK_CONFIGS = ("train_pcrnet", "train_pointnet", "train_point_autoencoder")
SAMPLER_CONFIGS = ("train_samplenet_registration", "train_samplenet_classification", "train_samplenet_reconstruction")
TINY = ["steps=3", "batch_size=4", "num_threads=1", "device=cpu", "average=0.5"]
CARS = ObjectTaskConfig(classes=("car",), num_points=128, train_objects=2, test_objects=2)


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small PCRNet with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("task") / "pcrnet"
    network = PCRNet(PCRNetConfig(point_widths=(16, 32), hidden=(16,)))
    save_sampling_model(folder, network, {"name": "pcrnet", "classes": ("car",), "objects": CARS})
    return folder


def start(task_folder: Path, out: Path, **changes: object) -> SamplerTraining:
    """Start, or resume, a small training of a sampler."""
    fields = {"num_samples": 16, "batch_size": 4, "steps": 60, "device": "cpu", "average": 0.5, "learning_rate": 0.01}
    config = SamplerTrainingConfig(**{**fields, "alpha": 1.0, **changes})  # type: ignore[arg-type]
    out.mkdir(exist_ok=True)
    return SamplerTraining(config, load_task_network(task_folder), out)


@pytest.mark.parametrize("task", ["registration", "classification", "reconstruction"])
def test_a_task_is_trained_sampled_and_tested_by_one_command_each(task: str, tmp_path: Path, repository: Path) -> None:
    config = dict(zip(SIZES, TASK_CONFIGS))[task]
    small = {**yaml.safe_load((repository / f"config/{config}.yaml").read_text())["objects"]}
    small |= {"num_points": 64, "train_objects": 2, "test_objects": 2}
    small["classes"] = small.get("classes", ["car", "table"])[-2:]
    objects = f"objects={json.dumps(small)}"
    arguments = ["--config", f"{repository}/config/{config}.yaml", "--out", f"{tmp_path}/task"]
    assert cli.main(["train", "task-network", *arguments, "--set", objects, "name=task", *TINY]) == 0
    folders = []
    for name, changes in {"one": ["num_samples=16"], "snet": ["num_samples=16", "projection=false"]}.items():
        arguments = ["--config", f"{repository}/config/train_samplenet_{task}.yaml", "--out", f"{tmp_path}/{name}"]
        arguments += ["--task-network", f"{tmp_path}/task/task", "--set", f"name={name}", *TINY, *changes]
        assert cli.main(["train", "samplenet", *arguments]) == 0
        folders.append(f"{tmp_path}/{name}/{name}")
    test = ["test", "samplers", "--task-network", f"{tmp_path}/task/task", "--samplers", *folders, "--sizes", "16", "8"]
    assert cli.main([*test, "--seeds", "0", "1", "--examples", "6", "--out", f"{tmp_path}/out/result.json"]) == 0
    entry = json.loads((tmp_path / "out/result.json").read_text())[task]
    seen = [(row["sampler"], row["points"], len(row["values"])) for row in entry["rows"]]
    assert seen[0] == ("complete", 64, 1) and len(seen) == 7
    assert set(seen[1:]) == {(n, 16, 1) for n in ("samplenet", "snet")} | {
        (name, size, 2) for name in ("fps", "random") for size in (16, 8)
    }
    assert cli.main([*test, "--examples", "2", "--exact-copies", "--out", f"{tmp_path}/out/result.json"]) == 0
    assert set(json.loads((tmp_path / "out/result.json").read_text())) == {task, f"{task}_exact_copies"}


def test_a_sampler_learns_to_lie_on_the_cloud(task_folder: Path, tmp_path: Path) -> None:
    training = start(task_folder, tmp_path)
    training.train()
    with (tmp_path / "losses.csv").open() as file:
        rows = [[float(value) for value in row] for row in csv.reader(file)]
    assert len(rows) == 60
    simplifications, temperatures = [row[3] for row in rows], [row[4] for row in rows]
    assert sum(simplifications[-5:]) < 0.5 * sum(simplifications[:5])
    assert temperatures[0] == pytest.approx(1.0) and temperatures[-1] == pytest.approx(0.02)


def test_the_task_network_stays_as_it_was(task_folder: Path, tmp_path: Path) -> None:
    before = load_file(task_folder / "weights.safetensors")
    training = start(task_folder, tmp_path)
    training.train_step(training.draw_batch(0))
    after = training.task.network.state_dict()
    assert all(before[name].equal(after[name]) for name in before) and not training.task.network.training


@pytest.mark.parametrize("changes", [{"projection": True}, {"projection": False}])
def test_the_loss_is_that_of_the_equations(task_folder: Path, tmp_path: Path, changes: dict[str, bool]) -> None:
    learned = TemperatureConfig("learned", start=0.5, end=0.1)
    totals = []
    for weight in (0.0, 2.0):
        training = start(task_folder, tmp_path / str(weight), temperature=learned, lambda_project=weight, **changes)
        totals.append(training.compute_loss(training.draw_batch(0))[0].item())
    assert totals[1] - totals[0] == pytest.approx(2 * 0.25 if changes["projection"] else 0.0, abs=1e-4)  # Eq. (10)


def test_a_progressive_loss_sums_over_the_beginnings(task_folder: Path, tmp_path: Path) -> None:
    losses = {}
    for sizes in ((4,), (16,), (4, 16)):
        training = start(task_folder, tmp_path / str(sizes), control_sizes=sizes)
        losses[sizes] = training.compute_loss(training.draw_batch(0))[0].item()
    assert losses[4, 16] == pytest.approx(losses[4,] + losses[16,], rel=1e-4)  # Eq. (11)
    assert losses[4,] != pytest.approx(losses[16,], rel=1e-3)
    with pytest.raises(ConfigError, match="expected at most 16, got .4, 32."):
        start(task_folder, tmp_path / "wrong", control_sizes=(4, 32))


def test_a_resumed_training_ends_as_one_that_ran_through(task_folder: Path, tmp_path: Path) -> None:
    one = start(task_folder, tmp_path / "one", steps=4, save_every=2)
    one.train()
    half = start(task_folder, tmp_path / "two", steps=4, save_every=2)
    for step in range(2):
        half.train_step(half.draw_batch(step))
    half.save()
    resumed = start(task_folder, tmp_path / "two", steps=4, save_every=2)
    assert resumed.step == 2
    resumed.train()
    for name, value in one.network.state_dict().items():
        assert torch.allclose(value.float(), resumed.network.state_dict()[name].float(), atol=1e-6), name
    one.export(tmp_path / "model")
    manifest = load_sampler(tmp_path / "model").manifest
    assert manifest.objects == CARS and manifest.steps == 4
    assert manifest.task_sha256 == load_task_network(task_folder).manifest.sha256


def test_a_sampler_of_another_task_network_is_refused(
    task_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(task_folder, tmp_path / "out").export(tmp_path / "model")
    other = PCRNet(PCRNetConfig(point_widths=(16, 32), hidden=(16,)))
    save_sampling_model(tmp_path / "other", other, {"name": "other", "classes": ("car",), "objects": CARS})
    test = ["test", "samplers", "--task-network", f"{tmp_path}/other", "--samplers", f"{tmp_path}/model"]
    assert cli.main(test) == 2
    assert "expected a sampler for the task network" in capsys.readouterr().err


def test_every_shipped_config_loads(repository: Path) -> None:
    for name in TASK_CONFIGS:
        assert load_config(TaskTrainingConfig, repository / f"config/{name}.yaml").name == name.removeprefix("train_")
    for name in SAMPLER_CONFIGS:
        config = load_config(SamplerTrainingConfig, repository / f"config/{name}.yaml")
        assert config.name == name.removeprefix("train_")
