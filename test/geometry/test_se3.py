# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid motions."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from kpconv_ros.geometry.se3 import (
    PoseError,
    check_pose,
    invert,
    motion_of_twist,
    pose_of,
    rotation_angle,
    transform_points,
    twist_of_motion,
)

GENERATOR = np.random.default_rng(0)
QUATERNION = GENERATOR.normal(size=4)
TRANSLATION = GENERATOR.normal(size=3) * 10


def test_the_rotation_is_that_of_scipy() -> None:
    pose = pose_of(TRANSLATION, QUATERNION)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_quat(QUATERNION).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(pose[:3, 3], TRANSLATION)


def test_a_quarter_turn_about_the_vertical_brings_x_to_y() -> None:
    pose = pose_of(np.array([1.0, 2, 3]), np.array([0, 0, 1.0, 1.0]))
    np.testing.assert_allclose(transform_points(pose, np.array([[1.0, 0, 0]])), [[1, 3, 3]], atol=1e-12)


def test_there_and_back_is_where_one_was() -> None:
    pose, points = pose_of(TRANSLATION, QUATERNION), GENERATOR.normal(size=(20, 3)).astype(np.float32)
    back = transform_points(invert(pose), transform_points(pose, points))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, points, atol=1e-12)
    np.testing.assert_allclose(pose @ invert(pose), np.eye(4), atol=1e-12)


def test_no_points_stay_no_points() -> None:
    assert transform_points(np.eye(4), np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_a_rigid_motion_passes_the_check() -> None:
    assert check_pose(pose_of(TRANSLATION, QUATERNION).astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("case", ["shape", "nan", "scaled", "mirrored", "last row"])
def test_a_matrix_that_is_no_rigid_motion_is_refused(case: str) -> None:
    pose = np.eye(4)
    if case == "shape":
        pose = np.eye(3)
    elif case == "last row":
        pose[3, 0] = 1
    else:
        pose[0, 0] = {"nan": np.nan, "scaled": 1.01, "mirrored": -1}[case]
    with pytest.raises(PoseError, match="map to odom: expected"):
        check_pose(pose, "map to odom")


@pytest.mark.parametrize("quaternion", [np.zeros(4), np.array([0, 0, np.nan, 1])])
def test_a_quaternion_without_direction_is_refused(quaternion: np.ndarray) -> None:
    with pytest.raises(PoseError, match="quaternion"):
        pose_of(TRANSLATION, quaternion)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 0.3, 3.1])
def test_the_exponential_map_is_that_of_the_matrix_and_the_logarithm_undoes_it(angle: float) -> None:
    axis = QUATERNION[:3] / np.linalg.norm(QUATERNION[:3])
    twist = np.concatenate([TRANSLATION, angle * axis])
    generator = np.zeros((4, 4))
    x, y, z = twist[3:]
    generator[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    generator[:3, 3] = twist[:3]
    motion = motion_of_twist(twist)
    np.testing.assert_allclose(motion, expm(generator), atol=1e-9)
    np.testing.assert_allclose(twist_of_motion(motion), twist, atol=1e-6)
    assert rotation_angle(motion) == pytest.approx(angle, abs=1e-8)
