# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The levels that a network works on."""

import pytest
import torch
from random_clouds import random_batch

from kpconv_ros.geometry.neighbors import NeighborError
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.neighborhood import Neighborhood
from kpconv_ros.networks.pyramid import build_pyramid
from reference.neighbors import all_distances, brute_radius_sets

SIZE, RADII = 0.1, (0.25, 0.5, 1.0)


def sets_of(neighborhood: Neighborhood) -> list[set[int]]:
    starts, columns = neighborhood.lists
    return [set(columns[first:last].tolist()) for first, last in zip(starts[:-1], starts[1:], strict=True)]


def test_every_level_is_the_brute_one() -> None:
    points, lengths = random_batch([400, 150])
    levels = build_pyramid(points, lengths, SIZE, RADII)
    assert levels[0].points is points and len(levels) == 3
    for index, (level, radius) in enumerate(zip(levels, RADII, strict=True)):
        around = (level.points, level.points, level.lengths, level.lengths)
        assert sets_of(level.neighborhood) == brute_radius_sets(*around, radius)
        if index == 2:
            assert level.pooling is None and level.coarse_of_fine is None
            continue
        coarse = levels[index + 1]
        expected = grid_subsample(level.points, level.lengths, SIZE * 2 ** (index + 1))
        assert coarse.points.equal(expected.points) and coarse.lengths.equal(expected.lengths)
        assert level.pooling is not None and level.coarse_of_fine is not None
        pooled = brute_radius_sets(coarse.points, level.points, coarse.lengths, level.lengths, radius)
        assert sets_of(level.pooling) == pooled
        distances = all_distances(level.points, coarse.points, level.lengths, coarse.lengths)
        chosen = distances[torch.arange(len(distances)), level.coarse_of_fine]
        torch.testing.assert_close(chosen, distances.min(1)[0], atol=1e-7, rtol=0)


def test_limits_keep_the_nearest_neighbors() -> None:
    points, lengths = random_batch([400])
    full, limited = (build_pyramid(points, lengths, SIZE, RADII, limits) for limits in ((), (8, 6, 4)))
    for level, reference, most in zip(limited, full, (8, 6, 4), strict=True):
        kept, counts = sets_of(level.neighborhood), reference.neighborhood.lists.row_starts.diff()
        assert level.neighborhood.lists.row_starts.diff().equal(counts.clamp(max=most))
        assert all(few <= many for few, many in zip(kept, sets_of(reference.neighborhood), strict=True))


def test_one_point_has_every_level() -> None:
    levels = build_pyramid(torch.ones(1, 3), torch.tensor([1]), SIZE, RADII)
    assert [len(level.points) for level in levels] == [1, 1, 1]
    assert all(sets_of(level.neighborhood) == [{0}] for level in levels)


def test_points_that_are_not_finite_are_refused() -> None:
    points, lengths = random_batch([20])
    points[4] = torch.nan
    with pytest.raises(NeighborError, match="expected finite"):
        build_pyramid(points, lengths, SIZE, RADII)
