# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points sorted by cell, against all distances."""

import numpy as np
import pytest
import torch

from kpconv_ros.geometry.sorted_cells import SortedCells
from reference.neighbors import nearest_rows

FAR = np.array([363_000.0, 6_500_000.0, 120.0])  # coordinates as of UTM, metres


def cloud(num_points: int, seed: int = 0) -> np.ndarray:
    """A bumpy floor with heaps: dense, sparse and empty cells."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-5, -4, -0.1), (5, 4, 0.1), (num_points, 3))
    points[::3] = generator.normal((2, 1, 1), 0.3, points[::3].shape)
    return points


@pytest.mark.parametrize("shift", [np.zeros(3), FAR])
@pytest.mark.parametrize("cell_size", [0.05, 0.4, 30.0])
def test_balls_hold_the_rows_that_all_distances_tell(cell_size: float, shift: np.ndarray) -> None:
    points = cloud(2000) + shift
    index, sizes = SortedCells(points, cell_size), []
    for center in [points[7], *(cloud(20, seed=1) + shift), shift + 50.0, shift - [1e7, 0, 0]]:
        for radius in (0.01, 0.7, 3.0):
            away = points - center
            squared = away[:, 0] ** 2 + away[:, 1] ** 2 + away[:, 2] ** 2
            rows = np.flatnonzero(squared <= radius**2)
            found, distances = index.rows_in_ball(center, radius)
            np.testing.assert_array_equal(found, rows)
            np.testing.assert_array_equal(distances, squared[rows])
            sizes.append(len(rows))
    assert min(sizes) == 0 and max(sizes) > 500


def test_a_ball_has_the_point_on_its_border() -> None:
    points = np.array([[1.0, 2.0, 3.0], [1.25, 2.0, 3.0], [1.0, 1.75, 3.0], [1.0, 2.0, 3.25]])
    for cell_size in (0.25, 0.1, 0.3):
        assert SortedCells(points, cell_size).rows_in_ball(points[0], 0.25)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell_size", [0.1, 0.5, 4.0])
def test_nearest_points_are_those_of_all_distances(cell_size: float, dtype: type) -> None:
    points = cloud(1500)
    near, away = cloud(700, seed=1), np.random.default_rng(2).uniform(-20, 20, (100, 3))
    queries = np.concatenate([near, away, points[:50]]).astype(dtype)
    found = SortedCells(points, cell_size).nearest(queries)
    np.testing.assert_array_equal(found, nearest_rows(queries, points))


def test_nearest_points_far_from_the_origin_are_those_of_all_distances() -> None:
    points, queries = cloud(1500) + FAR, cloud(700, seed=1) + FAR
    np.testing.assert_array_equal(SortedCells(points, 0.3).nearest(queries), nearest_rows(queries, points))


def test_of_points_equally_near_the_first_is_taken() -> None:
    lattice = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), -1).reshape(-1, 3)
    points = np.random.default_rng(0).permutation(np.concatenate([lattice, lattice]))  # each twice
    queries = np.concatenate([lattice + 0.5, lattice, lattice + [0.5, 0, 0]])
    np.testing.assert_array_equal(SortedCells(points, 1.0).nearest(queries), nearest_rows(queries, points))


def test_the_number_of_threads_does_not_matter() -> None:
    index, queries, before = SortedCells(cloud(3000), 0.2), cloud(5000, seed=1), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = index.nearest(queries)
        torch.set_num_threads(3)
        np.testing.assert_array_equal(index.nearest(queries), one)
    finally:
        torch.set_num_threads(before)


def test_queries_that_are_not_finite_have_no_nearest_point_and_those_out_of_range_do() -> None:
    points = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    queries = np.array([[np.nan, 0, 0], [0.9, 0, 0], [0, np.inf, 0], [1e9, 0, 0], [-1e9, 0, 0], [0, 0, -np.inf]])
    assert SortedCells(points, 0.1).nearest(queries).tolist() == [-1, 1, -1, 1, 0, -1]


def test_points_that_are_all_equal_share_a_cell() -> None:
    index = SortedCells(np.ones((9, 3)), 0.1)
    assert index.nearest(np.zeros((2, 3))).tolist() == [0, 0] and len(index.rows_in_ball(np.ones(3), 0.0)[0]) == 9


def test_without_points_balls_are_empty_and_nobody_has_a_nearest_point() -> None:
    index = SortedCells(np.zeros((0, 3)), 0.1)
    assert not len(index.rows_in_ball(np.zeros(3), 5.0)[0]) and not len(index.nearest(np.zeros((0, 3))))
    with pytest.raises(ValueError, match="expected some for 2 queries, got none"):
        index.nearest(np.zeros((2, 3)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e6])
def test_points_beyond_the_keys_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"expected up to 2097152 cells of 0\.1 m on an axis"):
        SortedCells(np.array([[0, 0, 0], [wrong, 0, 0]]), 0.1)
