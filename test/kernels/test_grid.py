# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hash of cells."""

import numpy as np

from kpconv_ros.kernels.grid import (
    MAX_CELLS,
    find_bounds,
    find_slot,
    hash_cells,
    majority_by_voxel,
    mean_by_voxel,
    pack_cell,
)


def test_cells_are_numbered_as_a_dictionary_would() -> None:
    points = np.random.default_rng(0).uniform(-5, 5, (3000, 3))
    low = np.full(3, -5.0)
    keys, cells, shift, cell_of_point, count = hash_cells(points, low, 1 / 0.7)
    numbers: dict[tuple[int, ...], int] = {}
    expected = [numbers.setdefault(tuple(cell), len(numbers)) for cell in ((points - low) / 0.7).astype(int).tolist()]
    assert count == len(numbers) and cell_of_point.tolist() == expected
    for (x, y, z), number in numbers.items():
        slot = find_slot(keys, shift, pack_cell(x, y, z))
        assert keys[slot] == pack_cell(x, y, z) and cells[slot] == number


def test_an_empty_cell_leads_to_an_empty_slot() -> None:
    keys, _, shift, _, _ = hash_cells(np.zeros((20, 3)), np.zeros(3), 1.0)
    assert keys[find_slot(keys, shift, pack_cell(4, 0, 0))] == -1


def test_the_corners_of_the_grid_have_keys_of_their_own() -> None:
    corners = {pack_cell(x, y, z) for x in (0, MAX_CELLS - 1) for y in (0, MAX_CELLS - 1) for z in (0, MAX_CELLS - 1)}
    assert len(corners) == 8 and min(corners) == 0


def test_no_points_make_no_cells() -> None:
    assert hash_cells(np.zeros((0, 3)), np.zeros(3), 1.0)[4] == 0


def test_means_and_majorities_by_hand() -> None:
    voxel_of_point = np.array([0, 1, 0, 1, 1])
    means = mean_by_voxel(np.array([[1.0], [2], [3], [4], [6]], np.float32), voxel_of_point, 2)
    assert means.tolist() == [[2.0], [4.0]] and means.dtype == np.float32
    assert majority_by_voxel(np.array([2, 1, 0, 1, 2]), voxel_of_point, 2, 3).tolist() == [0, 1]  # 2 and 0 tie


def test_bounds_are_the_corners_and_nan_where_a_point_is_not_finite() -> None:
    points = np.random.default_rng(0).normal(0, 10, (100, 3)).astype(np.float32)
    np.testing.assert_array_equal(find_bounds(points), np.stack([points.min(0), points.max(0)]))
    for bad in (np.nan, np.inf, -np.inf):
        points[7, 1] = bad
        assert np.isnan(find_bounds(points)).all()
