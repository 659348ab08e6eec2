# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Columns and the heaviest point of each query, against NumPy."""

import numpy as np

from kpconv_ros.kernels.patches import choose_heaviest, sort_into_columns


def test_columns_hold_the_points_above_their_squares_in_order() -> None:
    points = np.random.default_rng(0).uniform(-25, 25, (500, 3)).astype(np.float32)
    starts, rows = sort_into_columns(points, 20.0, 10.0, 4)
    cells = np.floor((points[:, :2] + 20.0) / 10.0).astype(int)
    for column in range(16):
        x, y = divmod(column, 4)
        expected = np.flatnonzero((cells[:, 0] == x) & (cells[:, 1] == y))
        np.testing.assert_array_equal(rows[starts[column] : starts[column + 1]], expected)
    assert 0 < len(rows) < 500


def test_points_that_are_not_finite_or_on_the_far_border_belong_to_no_column() -> None:
    points = np.array([[np.nan, 0, 0], [0, np.inf, 0], [20, 0, 0], [-20, -20, 0]], np.float32)
    starts, rows = sort_into_columns(points, 20.0, 10.0, 4)
    np.testing.assert_array_equal(rows, [3])
    np.testing.assert_array_equal(starts, [0, *[1] * 16])


def test_each_query_gets_the_point_of_its_column_with_the_greatest_weight() -> None:
    rng = np.random.default_rng(1)
    points, scores = rng.normal(size=(60, 3)).astype(np.float32), rng.normal(size=(60, 4)).astype(np.float32)
    queries, starts = rng.normal(size=(3, 4, 3)).astype(np.float32), np.array([0, 10, 11, 60])
    chosen, gains = choose_heaviest(queries, scores, points, starts)
    for column in range(3):
        of_column = slice(starts[column], starts[column + 1])
        square = np.square(queries[column][:, None] - points[None, of_column]).sum(2)  # (m, n)
        expected = scores[of_column].T - square
        np.testing.assert_array_equal(chosen[column], starts[column] + expected.argmax(1))
        np.testing.assert_allclose(gains[column], expected.max(1), rtol=1e-4, atol=1e-5)


def test_of_equal_points_the_first_is_chosen() -> None:
    points, scores = np.zeros((5, 3), np.float32), np.zeros((5, 1), np.float32)
    chosen, _ = choose_heaviest(np.ones((1, 1, 3), np.float32), scores, points, np.array([0, 5]))
    assert chosen[0, 0] == 0
