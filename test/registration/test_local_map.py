# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rolling map of odometry."""

import numpy as np

from kpconv_ros.geometry.se3 import motion_of_twist
from kpconv_ros.registration.local_map import LocalMap
from kpconv_ros.registration.solver import SolverConfig


def make_map(radius: float = 100.0) -> LocalMap:
    return LocalMap(1.0, radius, SolverConfig())


def test_a_voxel_keeps_the_mean_of_the_scan_that_saw_it_first() -> None:
    local_map = make_map()
    local_map.insert(np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4], [5.5, 0.5, 0.5]], np.float32), np.eye(4), 1000)
    local_map.insert(np.array([[0.9, 0.9, 0.9], [7.5, 0.5, 0.5]], np.float32), np.eye(4), 1000)
    expected = [[0.3, 0.3, 0.3], [5.5, 0.5, 0.5], [7.5, 0.5, 0.5]]
    np.testing.assert_allclose(sorted(local_map.points.tolist()), expected, atol=1e-6)


def test_points_stand_in_the_odometry_frame() -> None:
    local_map, pose = make_map(), motion_of_twist(np.array([10.0, 0, 0, 0, 0, np.pi / 2]))
    local_map.insert(np.array([[2.0, 0.0, 0.0]], np.float32), pose, 1000)
    np.testing.assert_allclose(local_map.points, [pose[:3, 3] + [0.0, 2.0, 0.0]], atol=1e-6)


def test_what_lies_far_from_the_sensor_leaves() -> None:
    local_map = make_map(radius=10.0)
    local_map.insert(np.array([[1.0, 0, 0], [-9.0, 0, 0], [11.0, 0, 0]], np.float32), np.eye(4), 1000)
    assert len(local_map) == 2
    pose = motion_of_twist(np.array([5.0, 0, 0, 0, 0, 0]))
    local_map.insert(np.array([[4.0, 0, 0]], np.float32), pose, 1000)
    np.testing.assert_allclose(sorted(local_map.points[:, 0]), [1.0, 9.0])


def test_there_is_a_target_from_enough_points_on() -> None:
    local_map, rng = make_map(), np.random.default_rng(0)
    local_map.insert(rng.uniform(-5, 5, (8, 3)).astype(np.float32), np.eye(4), 50)
    assert local_map.target is None
    local_map.insert(rng.uniform(-20, 20, (200, 3)).astype(np.float32), np.eye(4), 50)
    assert local_map.target is not None and len(local_map.target.points) == len(local_map) > 50
    local_map.clear()
    assert len(local_map) == 0 and local_map.target is None


def test_an_empty_scan_changes_nothing() -> None:
    local_map = make_map()
    local_map.insert(np.ones((1, 3), np.float32), np.eye(4), 1000)
    local_map.insert(np.zeros((0, 3), np.float32), np.eye(4), 1000)
    assert len(local_map) == 1
