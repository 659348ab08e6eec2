# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled move of a scan against its plain form."""

from __future__ import annotations

import numpy as np
import pytest

from kpconv_ros.geometry.se3 import pose_of, transform_points
from kpconv_ros.kernels.posed_scan import move_scan


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_scan_is_moved_as_se3_says_and_what_is_far_becomes_nan(dtype: type) -> None:
    points = np.random.default_rng(0).uniform(-30, 30, (1000, 3)).astype(dtype)
    points[0], points[1] = np.nan, np.inf
    pose = pose_of(np.array([10_000.0, -5.0, 2.0]), np.array([0.1, -0.2, 0.3, 0.9]))
    moved = move_scan(points, pose, 20.0)
    near = np.linalg.norm(points.astype(np.float64), axis=1) <= 20.0
    np.testing.assert_allclose(moved[near], transform_points(pose, points[near]), atol=1e-9)
    assert np.isnan(moved[~near]).all() and near.sum() > 10
