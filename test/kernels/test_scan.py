# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Passes over all points of a scan."""

import numpy as np

from kpconv_ros.kernels.scan import keep_in_range, move_by_time


def test_points_that_are_not_finite_too_near_or_too_far_are_left_out() -> None:
    points = np.array([[1, 0, 0], [np.nan, 1, 1], [0, 3, 0], [0, 0, 5], [np.inf, 0, 0], [0, 0, 5.01], [0.5, 0, 0]])
    kept, rows = keep_in_range(points.astype(np.float32), 1.0, 5.0)
    np.testing.assert_array_equal(rows, [0, 2, 3])
    np.testing.assert_array_equal(kept, points[[0, 2, 3]])


def test_no_points_have_no_rows() -> None:
    kept, rows = keep_in_range(np.zeros((0, 3), np.float32), 0.0, 1.0)
    assert kept.shape == (0, 3) and rows.shape == (0,)


def test_a_point_moves_by_the_motion_of_its_time() -> None:
    motions = np.tile(np.eye(4), (3, 1, 1))
    motions[:, 0, 3] = [0.0, 1.0, 4.0]
    times = np.array([0.0, 0.5, 1.5, 2.0])
    moved = move_by_time(np.zeros((4, 3), np.float32), times, 0.0, 1.0, motions)
    np.testing.assert_allclose(moved[:, 0], [0.0, 0.5, 2.5, 4.0])
