# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the sampler for scans, on short drives of a coarse lidar."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.data.simulator import SimulatorConfig
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig
from kpconv_ros.patch_sampler_checkpoint import load_patch_sampler
from kpconv_ros.training import scan_drives
from kpconv_ros.training.loop import run_training
from kpconv_ros.training.patch_sampler import PatchSamplerTraining, PatchSamplerTrainingConfig
from kpconv_ros.training.scan_drives import DrivesConfig, load_drives
from kpconv_ros.training.scan_pairs import draw_pair

DRIVES = DrivesConfig(drives=2, scans=2)
NETWORK = PatchSamplerConfig(slots=4, widths=(16, 32), hidden=(32,), score_width=8, patch_points=24)
CONFIG = PatchSamplerTrainingConfig(
    name="tiny",
    steps=6,
    save_every=3,
    drives=DRIVES,
    network=NETWORK,
    projection_points=48,
    budgets=(20, 60),
    device="cpu",
)


@pytest.fixture(scope="module", autouse=True)
def coarse_lidars():
    """Simulate few rays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_drives, "LIDARS", (SimulatorConfig(rings=16, azimuth_steps=360),))
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the drives."""
    folder = tmp_path_factory.mktemp("drives")
    load_drives(DRIVES, folder)
    return folder


def test_drives_are_kept_and_differ(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_drives, "simulate_drive", lambda *_: pytest.fail("simulated again"))
    first, second = load_drives(DRIVES, cache)
    assert len(first) == 2 and len(first[0].voxels.rows) > 500
    assert first[0].voxels.points.shape != second[0].voxels.points.shape
    moved = np.linalg.norm(first[1].T_map_sensor[:3, 3] - first[0].T_map_sensor[:3, 3])
    assert 0.25 < moved < 1.25  # 3 to 12 m/s at 10 Hz, up to the bends


def test_other_drives_are_other_files(cache: Path) -> None:
    before = set(cache.iterdir())
    load_drives(dataclasses.replace(DRIVES, drives=1, voxel_size=0.5), cache)
    assert len(set(cache.iterdir()) - before) == 1


def test_a_pair_lies_together_after_the_true_motion_and_not_before(cache: Path) -> None:
    drive = load_drives(DRIVES, cache)[0]
    batch = draw_pair(drive, NETWORK, 64, (0.5, 0.02), np.random.default_rng(0))
    columns = int(batch.num_target)
    places = (batch.patches[..., :3] * NETWORK.cell_size + batch.centers[:, None]).double()
    target, source = places[:columns].flatten(0, 1), places[columns:].flatten(0, 1).numpy()
    moved = torch.from_numpy(transform_points(batch.T_true_guess.double().numpy(), source))
    near = [torch.cdist(cloud, target).amin(1).median() for cloud in (moved, torch.from_numpy(source))]
    assert near[0] < 0.8 * near[1]
    assert batch.patches.shape[1:] == (64, 9) and float(batch.patches[..., :2].abs().max()) <= 0.5 + 1e-5
    upright = batch.normals[..., 2].abs()
    torch.testing.assert_close(upright, batch.patches[..., 5], atol=0.1, rtol=0)  # up to the tilt


def test_a_resumed_training_ends_at_the_same_weights(cache: Path, tmp_path: Path) -> None:
    run_training(CONFIG, tmp_path / "whole", lambda: PatchSamplerTraining(CONFIG, tmp_path / "whole", cache))
    first = PatchSamplerTraining(CONFIG, make(tmp_path / "parts"), cache)
    for step in range(3):
        first.train_step(first.draw_batch(step))
    first.save()
    run_training(CONFIG, tmp_path / "parts", lambda: PatchSamplerTraining(CONFIG, tmp_path / "parts", cache))
    whole, parts = (load_patch_sampler(tmp_path / name / "tiny").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_loss_falls_on_one_pair(cache: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=5e-3, warm_up=0.0, steps=40)
    training = PatchSamplerTraining(config, tmp_path, cache)
    batch = training.draw_batch(0)
    losses = [training.train_step(batch)["loss"] for _ in range(25)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
