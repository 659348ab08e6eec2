# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of a base from that of its sensor: against small motions that are carried over one by one."""

import numpy as np
import pytest

pytest.importorskip("nav_msgs")
from nav_msgs.msg import Odometry  # noqa: E402

from kpconv_ros.geometry.se3 import invert, motion_of_twist, twist_of_motion  # noqa: E402
from kpconv_ros.nodes.base_motion import base_motion, fill_motion  # noqa: E402
from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy  # noqa: E402
from kpconv_ros.pipelines.odometry_result import OdometryConfig, OdometryResult, OdometryStatus  # noqa: E402

pytestmark = pytest.mark.ros
T_BASE_SENSOR = matrix_of_xyz_rpy((0.8, -0.3, 1.9), (0.1, 0.2, 2.0))
T_ODOM_SENSOR = matrix_of_xyz_rpy((5.0, 2.0, 0.5), (0.05, -0.1, 0.7))
TWIST = np.array([4.0, 0.5, -0.1, 0.02, 0.1, 0.6])
SHARED, CONFIG = np.zeros((6, 6)), OdometryConfig()


def result(pose=T_ODOM_SENSOR, twist=TWIST, covariance=None):
    return OdometryResult(
        T_odom_sensor=pose,
        twist=twist,
        covariance=np.diag([4.0, 1.0, 2.0, 0.1, 0.2, 0.3]) * 1e-4 if covariance is None else covariance,
        status=OdometryStatus.TRACKING,
        reason="",
        sampled=np.zeros(0, np.int64),
        fitness=0.9,
        conditioning=0.2,
        map_points=1,
        was_reset=False,
        timings_ms={},
    )


def moved(pose, motion):
    """A pose after a small motion about the axes of the odometry frame, at its own place: translation, rotation."""
    turned = motion_of_twist(np.concatenate([np.zeros(3), motion[3:]]))[:3, :3] @ pose[:3, :3]
    changed = pose.copy()
    changed[:3, :3], changed[:3, 3] = turned, pose[:3, 3] + motion[:3]
    return changed


def difference(T_a, T_b):
    """The small motion, as `moved` takes it, from a to b."""
    turn = np.eye(4)
    turn[:3, :3] = T_b[:3, :3] @ T_a[:3, :3].T
    return np.concatenate([T_b[:3, 3] - T_a[:3, 3], twist_of_motion(turn)[3:]])


def test_the_base_begins_at_the_origin_and_moves_as_the_body_does():
    motion = base_motion(result(np.eye(4)), T_BASE_SENSOR, 0.1, SHARED, CONFIG)
    np.testing.assert_allclose(motion.T_odom_base, np.eye(4), atol=1e-12)
    step = 1e-4
    before = base_motion(result(), T_BASE_SENSOR, 0.1, SHARED, CONFIG)
    after = base_motion(result(T_ODOM_SENSOR @ motion_of_twist(TWIST * step)), T_BASE_SENSOR, 0.1, SHARED, CONFIG)
    expected = twist_of_motion(invert(before.T_odom_base) @ after.T_odom_base) / step
    np.testing.assert_allclose(before.twist, expected, atol=1e-3)


def test_the_covariance_is_that_of_a_thousand_carried_poses():
    covariance = result().covariance
    random = np.random.default_rng(0)
    motions = random.multivariate_normal(np.zeros(6), covariance, 20_000)
    centre = base_motion(result(), T_BASE_SENSOR, 0.1, SHARED, CONFIG)
    carried = []
    for motion in motions:
        T_odom_base = T_BASE_SENSOR @ moved(T_ODOM_SENSOR, motion) @ invert(T_BASE_SENSOR)
        carried.append(difference(centre.T_odom_base, T_odom_base))
    deviations = np.sqrt(np.diag(centre.covariance))
    sampled = np.cov(np.array(carried).T) / np.outer(deviations, deviations)
    np.testing.assert_allclose(sampled, centre.covariance / np.outer(deviations, deviations), atol=0.03)


def test_the_twist_is_as_sure_as_a_difference_of_two_poses_and_what_they_share_cancels():
    shared = 100.0 * np.eye(6)
    motion = base_motion(result(covariance=result().covariance + shared), np.eye(4), 0.1, shared, CONFIG)
    turn = T_ODOM_SENSOR[:3, :3].T
    expected = turn @ (2.0 / 0.1**2 * result().covariance[:3, :3]) @ turn.T
    np.testing.assert_allclose(motion.twist_covariance[:3, :3], expected, atol=1e-9)


def test_a_twist_that_is_not_known_has_the_covariance_of_the_fastest_motion():
    motion = base_motion(result(twist=np.zeros(6)), T_BASE_SENSOR, 0.0, SHARED, CONFIG)
    expected = [CONFIG.max_speed**2] * 3 + [CONFIG.max_turn_rate**2] * 3
    np.testing.assert_allclose(np.diag(motion.twist_covariance), expected)


def test_the_message_holds_the_numbers_in_their_order():
    message = fill_motion(Odometry(), base_motion(result(), np.eye(4), 0.1, SHARED, CONFIG))
    assert (message.twist.twist.linear.x, message.twist.twist.angular.z) == (4.0, 0.6)
    np.testing.assert_allclose(message.pose.covariance.reshape(6, 6), result().covariance)
