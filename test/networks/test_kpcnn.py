# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-CNN."""

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.networks.encoder import PAPER_DEFORMABLE_ENCODER, NetworkError
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig, mean_of_clouds

RIGID = ("simple", "residual", "strided", "residual")
DEFORMABLE = ("simple", "residual", "deformable_strided", "deformable")
SIZE = 0.25


def make_network(encoder: tuple[str, ...] = RIGID, **sizes: float) -> KPCNN:
    torch.manual_seed(0)
    return KPCNN(KPCNNConfig(5, 2, SIZE, width=16, encoder=encoder, hidden=32, **sizes)).eval()  # type: ignore[arg-type]


def make_input(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    voxels = grid_subsample(*random_batch(lengths, size=2.0, seed=seed), SIZE)
    return voxels.points, voxels.lengths, torch.stack([voxels.points[:, 2], voxels.points[:, 0].sin()], 1)


def test_the_paper_network_has_five_levels_the_last_five_blocks_deformable() -> None:
    config = KPCNNConfig(40, 1, 0.02, width=16, encoder=PAPER_DEFORMABLE_ENCODER)
    assert config.num_levels == 5 and len(config.encoder) == 10
    assert [name.startswith("deformable") for name in config.encoder] == 5 * [False] + 5 * [True]
    network = KPCNN(config)
    assert network.encoder.widths == [16, 32, 64, 128, 256]
    assert network.head.in_features == 256 and network.head.out_features == 1024 and network.dropout.p == 0.5


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_a_packed_batch_equals_its_clouds_one_by_one(encoder: tuple[str, ...]) -> None:
    network, (points, lengths, features) = make_network(encoder), make_input([200, 1, 90])
    together, counts = network(points, lengths, features), lengths.tolist()
    assert together.shape == (3, 5)
    for mine, cloud, values in zip(together, points.split(counts), features.split(counts), strict=True):
        torch.testing.assert_close(mine, network(cloud, torch.tensor([len(cloud)]), values)[0], atol=1e-5, rtol=1e-5)


def test_the_order_of_the_points_does_not_matter() -> None:
    network, (points, lengths, features) = make_network(), make_input([150])
    order = torch.randperm(len(points))
    torch.testing.assert_close(
        network(points, lengths, features), network(points[order], lengths, features[order]), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_every_parameter_has_the_right_gradient_in_double_precision(encoder: tuple[str, ...]) -> None:
    network, (points, lengths, features) = make_network(encoder).double(), make_input([30, 20])
    points, features = points.double(), features.double()
    logits = network(points, lengths, features)
    weights = torch.linspace(-1, 1, logits.numel()).double().view_as(logits)
    (logits * weights).sum().backward()
    generator, step = torch.Generator().manual_seed(1), 1e-8  # small: the network has kinks
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        way = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * step * way
                ends.append((network(points, lengths, features) * weights).sum())
                parameter -= sign * step * way
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((parameter.grad * way).sum()) == pytest.approx(float(slope), rel=1e-4, abs=1e-6), name


def test_it_learns_to_tell_four_clouds_apart() -> None:
    network = make_network(dropout=0.0).train()
    points, lengths, features = make_input([60, 60, 60, 60])
    labels, optimizer = torch.arange(4), torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(points, lengths, features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    assert float(network.regularization()) == 0


def test_dropout_acts_in_training_only() -> None:
    network, batch = make_network(dropout=0.5), make_input([80, 80])
    assert network(*batch).equal(network(*batch))
    network.dropout.train()
    assert not network(*batch).equal(network(*batch))


def test_means_are_those_of_each_cloud() -> None:
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    assert mean_of_clouds(features, torch.tensor([2, 1])).tolist() == [[2, 3], [10, 20]]


def test_what_does_not_fit_is_refused_and_nothing_gives_nothing() -> None:
    network, (points, lengths, features) = make_network(), make_input([40])
    with pytest.raises(NetworkError, match=r"features: expected \(\d+, 2\), got"):
        network(points, lengths, features[:, :1])
    with pytest.raises(NetworkError, match="clouds of one point or more"):
        network(points, torch.tensor([len(points), 0]), features)
    assert network(points[:0], lengths[:0], features[:0]).shape == (0, 5)
