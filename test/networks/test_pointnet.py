# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointNet as a classifier."""

import pytest
import torch
from torch.nn import functional

from kpconv_ros.networks.pointnet import PointNet, PointNetConfig

SMALL = {"num_classes": 3, "local_widths": (8, 8), "point_widths": (16, 32), "hidden": (16, 8)}


@pytest.mark.parametrize("transforms", [False, True])
def test_order_and_copies_of_points_do_not_matter(transforms: bool) -> None:
    torch.manual_seed(0)
    network = PointNet(PointNetConfig(**SMALL, transforms=transforms)).eval()
    points = torch.randn(4, 30, 3)
    logits = network(points)
    assert logits.shape == (4, 3)
    mixed = torch.cat([points.flip(1), points[:, :7]], 1)
    assert torch.allclose(network(mixed), logits, atol=1e-5)


def test_the_published_sizes() -> None:
    plain = sum(p.numel() for p in PointNet(PointNetConfig(transforms=False)).parameters())
    whole = sum(p.numel() for p in PointNet(PointNetConfig()).parameters())
    assert plain == 384 + 2 * 4_288 + 8_576 + 134_144 + 525_824 + 131_840 + 10_280  # 0.8 million, Table 6 of its paper
    assert 3_400_000 < whole < 3_600_000  # 3.5 million


def test_alignments_begin_as_the_identity_and_are_kept_orthogonal() -> None:
    torch.manual_seed(0)
    network = PointNet(PointNetConfig(**SMALL)).eval()
    network(torch.randn(2, 20, 3))
    assert network.regularization().item() == pytest.approx(0.0, abs=1e-6)
    assert network.align_features is not None
    with torch.no_grad():
        network.align_features.matrix.bias.mul_(2)
    network(torch.randn(2, 20, 3))
    assert network.regularization().item() == pytest.approx(8 * 9)  # ||I - 4 I||^2
    assert PointNet(PointNetConfig(**SMALL, transforms=False)).regularization().item() == 0


def test_a_small_network_learns_four_clouds() -> None:
    torch.manual_seed(0)
    network = PointNet(PointNetConfig(**SMALL, dropout=0.0))
    points, labels = torch.randn(4, 20, 3), torch.tensor([0, 1, 2, 1])
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        loss = functional.cross_entropy(network(points), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert network(points).argmax(1).equal(labels)
