# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps, quaternions and matrices."""

import numpy as np
import pytest

pytest.importorskip("geometry_msgs")
from geometry_msgs.msg import Pose  # noqa: E402

from kpconv_ros.nodes.pose_msg import (  # noqa: E402
    PoseError,
    interpolate_pose,
    matrix_of_pose,
    matrix_of_xyz_rpy,
    odometry_message,
    pose_of_matrix,
    seconds_of,
    stamp_of,
)

pytestmark = pytest.mark.ros


def random_matrix(seed):
    random = np.random.default_rng(seed)
    return matrix_of_xyz_rpy(tuple(random.normal(size=3)), tuple(random.uniform(-3, 3, 3)))


@pytest.mark.parametrize("seed", range(5))
def test_a_pose_comes_back_as_it_went(seed):
    T = random_matrix(seed)
    pose = pose_of_matrix(T)
    np.testing.assert_allclose(matrix_of_pose(pose.position, pose.orientation), T, atol=1e-12)


def test_a_quarter_turn_is_xyzw():
    pose = pose_of_matrix(matrix_of_xyz_rpy((1, 2, 3), (0, 0, np.pi / 2)))
    half = np.sqrt(0.5)
    assert [pose.position.x, pose.position.y, pose.position.z] == [1, 2, 3]
    np.testing.assert_allclose([pose.orientation.z, pose.orientation.w], [half, half])


def test_roll_pitch_yaw_are_those_of_urdf():
    T = matrix_of_xyz_rpy((0, 0, 0), (0.1, 0.2, 0.3))
    c, s = np.cos, np.sin
    Rx = np.array([[1, 0, 0], [0, c(0.1), -s(0.1)], [0, s(0.1), c(0.1)]])
    Ry = np.array([[c(0.2), 0, s(0.2)], [0, 1, 0], [-s(0.2), 0, c(0.2)]])
    Rz = np.array([[c(0.3), -s(0.3), 0], [s(0.3), c(0.3), 0], [0, 0, 1]])
    np.testing.assert_allclose(T[:3, :3], Rz @ Ry @ Rx, atol=1e-12)


def test_a_pose_without_a_rotation_is_refused():
    pose = Pose()
    pose.orientation.w = 0.0
    with pytest.raises(PoseError, match="length 0"):
        matrix_of_pose(pose.position, pose.orientation)
    pose.orientation.w = 1.0
    pose.position.x = float("nan")
    with pytest.raises(PoseError, match="finite"):
        matrix_of_pose(pose.position, pose.orientation)


def test_stamps_keep_their_nanoseconds_as_far_as_float64_does():
    stamp = stamp_of(1700000000.25)
    assert (stamp.sec, stamp.nanosec) == (1700000000, 250000000)
    assert seconds_of(stamp) == 1700000000.25
    assert stamp_of(0.9999999999).sec == 1


def test_half_way_between_two_poses_is_half_of_both_motions():
    T_a, T_b = np.eye(4), matrix_of_xyz_rpy((2, 0, 0), (0, 0, 1.0))
    np.testing.assert_allclose(interpolate_pose(T_a, T_b, 0.5), matrix_of_xyz_rpy((1, 0, 0), (0, 0, 0.5)), atol=1e-12)
    np.testing.assert_allclose(interpolate_pose(T_a, T_b, 0.0), T_a, atol=1e-12)
    np.testing.assert_allclose(interpolate_pose(T_a, T_b, 1.0), T_b, atol=1e-12)
    np.testing.assert_allclose(interpolate_pose(T_b, T_b, 0.3), T_b, atol=1e-12)


def test_odometry_names_its_frames():
    message = odometry_message(random_matrix(1), stamp_of(3.5), "odom", "lidar")
    assert (message.header.frame_id, message.child_frame_id, message.header.stamp.sec) == ("odom", "lidar", 3)


@pytest.mark.parametrize("seed", range(3))
def test_quaternions_equal_those_of_tf_transformations_where_it_is_installed(seed):
    tf_transformations = pytest.importorskip("tf_transformations")
    T = random_matrix(seed)
    orientation = pose_of_matrix(T).orientation
    ours = np.array([orientation.x, orientation.y, orientation.z, orientation.w])
    theirs = tf_transformations.quaternion_from_matrix(T)
    np.testing.assert_allclose(ours * np.sign(ours @ theirs), theirs, atol=1e-9)
