# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The autoencoder of clouds."""

import torch

from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.networks.point_autoencoder import PointAutoencoder, PointAutoencoderConfig

SMALL = PointAutoencoderConfig(num_points=30, point_widths=(16, 32), hidden=(32,))


def test_clouds_of_any_size_give_as_many_points() -> None:
    torch.manual_seed(0)
    network = PointAutoencoder(SMALL).eval()
    points = torch.randn(2, 50, 3)
    assert network(points).shape == network(points[:, :3]).shape == (2, 30, 3)
    assert torch.allclose(network(points.flip(1)), network(points), atol=1e-6)


def test_a_small_network_learns_two_clouds() -> None:
    torch.manual_seed(0)
    network, points = PointAutoencoder(SMALL), torch.rand(2, 30, 3)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    errors = []
    for _ in range(150):
        loss = chamfer_distances(network(points), points).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.1 * errors[0] and errors[-1] < 0.02
