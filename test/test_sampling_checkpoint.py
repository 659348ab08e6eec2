# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samplers and task networks on disk."""

from pathlib import Path

import pytest
import torch
import yaml

from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig
from kpconv_ros.networks.samplenet import SampleNet, SampleNetConfig
from kpconv_ros.sampling_checkpoint import load_sampler, load_task_network, save_sampling_model

SMALL = SampleNetConfig(num_samples=5, point_widths=(8,), hidden=(8,), num_neighbors=3)
FIELDS = {"name": "small", "classes": ("car",), "control_sizes": (2, 5), "task_sha256": "ab", "steps": 3, "seed": 7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sampler with random weights."""
    torch.manual_seed(0)
    save_sampling_model(tmp_path / "small", SampleNet(SMALL), FIELDS)
    return tmp_path / "small"


def test_a_sampler_comes_back_with_its_config_and_its_choices(folder: Path) -> None:
    torch.manual_seed(0)
    expected, model, points = SampleNet(SMALL).eval(), load_sampler(folder), torch.rand(2, 30, 3)
    assert model.network.config == SMALL and not model.network.training
    assert model.network.sample(points).equal(expected.sample(points))
    assert (model.manifest.control_sizes, model.manifest.seed, model.manifest.task_sha256) == ((2, 5), 7, "ab")


def test_each_kind_is_loaded_as_what_it_is(folder: Path, tmp_path: Path) -> None:
    small = PCRNetConfig(point_widths=(8, 8), hidden=(8,), iterations=2)
    save_sampling_model(tmp_path / "task", PCRNet(small), {"name": "task", "classes": ("car",)})
    loaded = load_task_network(tmp_path / "task").network
    assert isinstance(loaded, PCRNet) and loaded.config == small
    with pytest.raises(CheckpointError, match="expected a SampleNet, got a PCRNet"):
        load_sampler(tmp_path / "task")
    with pytest.raises(CheckpointError, match="expected a task network, got a SampleNet"):
        load_task_network(folder)


def test_altered_weights_and_foreign_manifests_are_refused(folder: Path) -> None:
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
    (folder / "manifest.yaml").write_text(yaml.safe_dump({**manifest, "voxel_size": 0.1}))
    with pytest.raises(CheckpointError, match="unknown key 'voxel_size'"):
        load_sampler(folder)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="the file was altered"):
        load_sampler(folder)
