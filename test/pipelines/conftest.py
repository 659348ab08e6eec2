# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models that need no training: one that tells heights, and a small KP-FCNN with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kpconv_ros.checkpoint import Manifest, Model, save_model
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig


class HeightNetwork(torch.nn.Module):
    """Tells ground, low and high by the height feature, and is less sure far from the centre of its sphere."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.tensor(4.0))
        self.sphere_sizes: list[int] = []
        self.seen: list[torch.Tensor] = []

    def forward(self, points: torch.Tensor, lengths: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 3) with an error that depends on where the point lies in its sphere."""
        assert int(lengths.sum()) == len(points) == len(features)
        self.sphere_sizes += lengths.tolist()
        self.seen += points.split(lengths.tolist())
        error = 0.3 * torch.sin(3.0 * points).sum(dim=1) * torch.linalg.norm(points, dim=1) / 3.0
        height = features[:, 1] + error  # (N,)
        middle = torch.tensor([0.0, 1.5, 3.0], device=points.device)
        return -self.sharpness * (height[:, None] - middle).abs()  # (N, 3)


@pytest.fixture
def model() -> Model:
    """A fresh height network for spheres of 3 m on voxels of 0.2 m."""
    manifest = Manifest(
        name="height",
        weights="none",
        sha256="",
        classes=("unlabeled", "ground", "low", "high"),
        colors=((0, 0, 0), (128, 64, 128), (70, 70, 70), (0, 0, 142)),
        voxel_size=0.2,
        sphere_radius=3.0,
        features=("one", "height", "intensity"),
        intensity_scale=1.0,
        ignored_label=0,
        licence="Apache-2.0",
        score={},
    )
    return Model(manifest, HeightNetwork())


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """The folder of a KP-FCNN with random weights, for four classes."""
    torch.manual_seed(0)
    encoder = ("simple", "residual", "strided", "residual", "strided", "residual")
    network = KPFCNN(KPFCNNConfig(num_classes=4, in_features=3, voxel_size=0.3, width=16, encoder=encoder))
    manifest = {
        "name": "random",
        "classes": ("unlabeled", "a", "b", "c", "d"),
        "colors": ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)),
        "sphere_radius": 3.0,
        "features": ("one", "height", "intensity"),
        "intensity_scale": 255.0,
    }
    save_model(tmp_path / "random", network, manifest)
    return tmp_path / "random"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run small networks on one thread: with more, threads wait for each other on a busy machine."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)
