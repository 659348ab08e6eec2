# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network in tensors of fixed sizes against the dense one in float64."""

import pytest
import torch
from random_clouds import Batch, random_batch
from real_clouds import CloudSource
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.static_pyramid import Room
from kpconv_ros.pipelines import captured_network
from kpconv_ros.pipelines.captured_network import CapturedNetwork, listed_size
from reference.kpfcnn import DenseKPFCNN

RIGID = ("simple", "residual", "strided", "residual")
DEFORMABLE = ("simple", "deformable", "deformable_strided", "residual")


def random_network(**sizes: object) -> KPFCNN:
    """Return a small network whose batch norms do something."""
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(num_classes=3, in_features=2, voxel_size=0.2, width=8, **sizes)).eval()
    for module in network.modules():
        if isinstance(module, PackedBatchNorm):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return network


def random_voxels(lengths: list[int], size: float = 0.5, batch: Batch = random_batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return voxels, their lengths and features."""
    points, counts = batch(lengths, size=size)
    voxels = grid_subsample(points.double() + 0.2, counts, 0.2)  # few cells of the next level
    return voxels.points, voxels.lengths, torch.randn(len(voxels.points), 2, generator=torch.Generator().manual_seed(1))


def dense(network: KPFCNN, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
    """The same by the dense twin in float64."""
    with torch.inference_mode():
        expected: Tensor = DenseKPFCNN(network).eval().double()(points.double(), lengths, features.double())
    network.float()
    return expected


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that the interpreter can run."""
    monkeypatch.setattr(captured_network, "FEWEST_POINTS", 2)
    monkeypatch.setattr(captured_network, "FIRST_NEIGHBORS", 16)


@pytest.mark.parametrize(
    "sizes",
    [
        {"encoder": RIGID, "max_neighbors": (1, 3), "shadow_pooling": True, "half_decoder": True},
        {"encoder": DEFORMABLE, "deformable_radius": 3.0, "leaky_logits": True},
    ],
    ids=["rigid", "deformable"],
)
@pytest.mark.usefixtures("small_sizes")
def test_it_is_the_network_that_it_is_made_from(
    device: torch.device, source: CloudSource, sizes: dict[str, object]
) -> None:
    size = 0.5 if source.batch is random_batch else 0.35  # some, not all voxels share a cell of the next level
    network, inputs = random_network(**sizes), random_voxels([4, 3], size, source.batch)
    expected = dense(network, *inputs)
    captured = CapturedNetwork(network.to(device), torch.float32)
    out = captured(*(t.to(device) for t in inputs))
    assert expected.abs().max() > 0.05 and out.dtype == torch.float32
    torch.testing.assert_close(out.cpu().double(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("small_sizes")
def test_a_batch_that_needs_more_room_gets_it(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_network, "FIRST_NEIGHBORS", 1)
    monkeypatch.setattr(captured_network, "FEWEST_POINTS", 2)
    network, inputs = random_network(encoder=RIGID, radius=1.5), random_voxels([5])
    expected = dense(network, *inputs)
    captured = CapturedNetwork(network.to(device), torch.float32)
    rooms: list[Room] = []
    run = captured._run
    monkeypatch.setattr(captured, "_run", lambda *at: rooms.append(at[-1]) or run(*at))
    out = captured(*(t.to(device) for t in inputs))
    assert len(rooms) >= 2 and rooms[0].neighbors == (1, 1) and rooms[-1].neighbors[0] >= 3
    torch.testing.assert_close(out.cpu().double(), expected, rtol=1e-3, atol=1e-5)
    assert captured._room(8).neighbors == rooms[-1].neighbors  # kept for the next ones


def test_sizes_recur() -> None:
    assert [listed_size(n) for n in (1, 1024, 1025, 5000, 20_000, 20_481)] == [1024, 1024, 2048, 5120, 20480, 24576]
    assert len({listed_size(n) for n in range(16_384, 32_768)}) <= 5


def test_room_is_compared_with_needs() -> None:
    room = Room((10, 5), (4, 4), (4,))
    assert room.is_enough((10, 5, 4, 3, 4), False) and not room.is_enough((10, 6, 4, 3, 4), False)
    assert not room.is_enough((10, 5, 4, 3, 5), False) and room.is_enough((10, 5, 9, 9, 9), True)


def test_no_points_need_no_run(device: torch.device) -> None:
    network = random_network(encoder=RIGID).to(device)
    nothing = torch.zeros(0, 3, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    assert CapturedNetwork(network, torch.float32)(*nothing, torch.zeros(0, 2, device=device)).shape == (0, 3)
