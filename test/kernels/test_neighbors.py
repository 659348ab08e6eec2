# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Searches over sorted cells."""

import numpy as np
import pytest

from kpconv_ros.kernels.neighbors import search_nearest, search_radius, sort_into_cells

GENERATOR = np.random.default_rng(0)


def test_points_are_sorted_by_cell_and_none_is_lost() -> None:
    points = GENERATOR.uniform(0, 4, (500, 3)).astype(np.float32)
    cells = sort_into_cells(points, np.zeros(3), 1.0)
    assert sorted(cells.order.tolist()) == list(range(500))
    np.testing.assert_array_equal(cells.points, points[cells.order])
    for first, last in zip(cells.starts[:-1], cells.starts[1:], strict=True):
        assert len(np.unique(cells.points[first:last].astype(int), axis=0)) == 1


def test_crowded_cells_make_the_lists_grow() -> None:
    points = GENERATOR.uniform(0, 0.5, (300, 3)).astype(np.float32)  # all see all: more than the room at first
    starts, columns = search_radius(points, points, 1.0)
    assert np.diff(starts).tolist() == 300 * [300]
    assert np.sort(columns.reshape(300, 300), axis=1).tolist() == 300 * [list(range(300))]


def test_queries_outside_the_supports_see_none() -> None:
    supports = GENERATOR.uniform(0, 1, (50, 3)).astype(np.float32)
    queries = np.array([[-9, 0, 0], [0, 99, 0], [0.5, 0.5, 0.5]], np.float32)
    starts, _ = search_radius(queries, supports, 0.4)
    assert np.diff(starts)[:2].tolist() == [0, 0] and np.diff(starts)[2] > 0


@pytest.mark.parametrize("far", [4e5, 1e6, 3e12])  # with a radius of 0.15 m, 2^21 cells are 315 km
def test_clouds_of_any_extent_are_searched(far: float) -> None:
    near = GENERATOR.uniform(0, 1, (60, 3))
    points = np.concatenate([near, near + (far, 0, 0), near - (0, far, 0), near + (0, 0, 0.15 * 2**21)])
    points = points.astype(np.float32)
    offsets = points[:, None] - points[None]
    starts, _ = search_radius(points, points, 0.15)
    assert np.diff(starts).tolist() == (np.square(offsets).sum(axis=2) <= np.float32(0.15**2)).sum(axis=1).tolist()
    nearest = search_nearest(points + np.float32(1e-4), points, 0.3)
    np.testing.assert_array_equal(points[nearest[:60]], points[:60])


def test_neighbours_on_the_borders_of_cells_are_found() -> None:
    steps = np.arange(40)
    for radius in (0.07, 0.1, 0.7):
        line = np.zeros((80, 3), np.float32)
        line[:, 0] = np.concatenate([steps * np.float32(radius), (steps + 0.95) * radius])
        starts, _ = search_radius(line, line, radius)
        near = np.square(line[:, None, 0] - line[None, :, 0]) <= np.float32(radius * radius)
        assert np.diff(starts).tolist() == near.sum(axis=1).tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_points_that_are_not_finite_are_told(wrong: float) -> None:
    points = np.zeros((3, 3), np.float32)
    points[1, 2] = wrong
    with pytest.raises(ValueError, match="points: expected finite ones within"):
        search_radius(points, points, 0.1)
    with pytest.raises(ValueError, match="points: expected finite ones within"):
        search_radius(np.zeros((1, 3), np.float32), points, 0.1)


def test_a_nearest_support_is_given_only_where_it_is_certain() -> None:
    supports = np.array([[0, 0, 0], [4.9, 4.9, 4.9]], np.float32)
    queries = np.array([[0.1, 0, 0], [0, -5, 0], [40, 0, 0], [1.2, 1.2, 1.2]], np.float32)
    assert search_nearest(queries, supports, 1.0).tolist() == [0, -1, -1, 0]


def test_a_corner_of_the_reach_does_not_hide_a_nearer_support() -> None:
    supports = np.array([[4.5, 4.5, 4.5], [5.5, 0.5, 0.5]], np.float32)  # 6.93 and 5 cells away
    assert search_nearest(np.array([[0.5, 0.5, 0.5]], np.float32), supports, 1.0)[0] in (-1, 1)


def test_two_supports_at_the_same_distance_give_the_smaller_row() -> None:
    supports = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0]], np.float32)
    assert search_nearest(np.zeros((1, 3), np.float32), supports, 0.5).tolist() == [0]
