# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distances between clouds."""

import pytest
import torch

from kpconv_ros.geometry.distances import (
    augmented_chamfer_distances,
    chamfer_distances,
    random_directions,
    sliced_distances,
    squared_distances_to_nearest,
)
from kpconv_ros.geometry.earth_mover import emd


def test_distances_are_those_of_every_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, points = torch.randn(3, 7, 3, generator=generator), torch.randn(3, 11, 3, generator=generator)
    pairs = (queries[:, :, None] - points[:, None]).square().sum(3)
    assert torch.allclose(squared_distances_to_nearest(queries, points), pairs.amin(2))
    assert torch.allclose(chamfer_distances(queries, points), pairs.amin(2).mean(1) + pairs.amin(1).mean(1))
    larger = torch.maximum(pairs.amin(2).mean(1), pairs.amin(1).mean(1))
    assert torch.allclose(augmented_chamfer_distances(queries, points), larger)


def test_a_pair_of_clouds_by_hand() -> None:
    one, other = torch.tensor([[[0.0, 0, 0], [2, 0, 0]]]), torch.tensor([[[0.0, 1, 0]]])
    assert chamfer_distances(one, other).tolist() == [pytest.approx((1 + 5) / 2 + 1)]
    assert augmented_chamfer_distances(one, other).tolist() == [pytest.approx((1 + 5) / 2)]
    assert augmented_chamfer_distances(other, one).tolist() == [pytest.approx((1 + 5) / 2)]


def test_distances_can_be_differentiated_by_both_clouds() -> None:
    generator = torch.Generator().manual_seed(1)
    clouds = [torch.randn(2, n, 3, generator=generator).double().requires_grad_() for n in (4, 6)]
    assert torch.autograd.gradcheck(chamfer_distances, clouds)
    assert torch.autograd.gradcheck(augmented_chamfer_distances, clouds)


def test_sliced_distances_see_density_and_stay_below_the_earth_movers() -> None:
    generator = torch.Generator().manual_seed(2)
    directions = random_directions(400, generator)
    one, far = torch.rand(2, 60, 3, generator=generator), torch.rand(2, 60, 3, generator=generator) + 3.0
    assert torch.allclose(directions.norm(dim=1), torch.ones(400))
    shifted = sliced_distances(one, one + torch.tensor([0.0, 0.0, 2.0]), directions)
    assert torch.allclose(shifted, torch.full((2,), 2.0), atol=0.15)  # the mean of |cos| over a sphere is a half
    for other in (far, one.flip(2)):
        assert (sliced_distances(one, other, directions) <= 1.1 * emd(one, other, power=1.0)).all()
    assert sliced_distances(one, one.flip(1), directions).max() == 0.0  # the order does not matter
    twice = torch.cat([one, one[:, :1].expand(-1, 60, -1)], 1)  # the same places, half of the points at one of them
    assert (sliced_distances(one, twice, directions) > 0.1).all()
