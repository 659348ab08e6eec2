# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry as TF."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time

from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message
from kpconv_ros.nodes.transforms import transform_of

pytestmark = pytest.mark.ros


def test_a_transform_says_what_its_odometry_says() -> None:
    pose = matrix_of_xyz_rpy((1.0, -2.0, 0.5), (0.1, 0.2, -2.0))
    odometry = odometry_message(pose, Time(sec=3, nanosec=4), "odom", "lidar")
    message = transform_of(odometry)
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "lidar")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (3, 4)
    translation = message.transform.translation
    np.testing.assert_allclose((translation.x, translation.y, translation.z), (1.0, -2.0, 0.5))
    assert message.transform.rotation == odometry.pose.pose.orientation
