# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of a robot's base from that of the sensor on it, as REP-105 and nav_msgs/Odometry want it.

The odometry frame is where the base was at the first scan. Pose covariances are about the axes of the odometry frame,
twists and their covariances in the base.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from nav_msgs.msg import Odometry

from kpconv_ros.nodes.pose_msg import Matrix
from kpconv_ros.pipelines.odometry_result import OdometryConfig, OdometryResult


class BaseMotion(NamedTuple):
    """Where a base is, how it moves, and how sure that is."""

    T_odom_base: Matrix
    """``(4, 4)``."""
    covariance: Matrix
    """``(6, 6)``: translation [m^2], then rotation [rad^2], about the axes of the odometry frame."""
    twist: Matrix
    """``(6,)``: linear [m/s], then angular [rad/s], of the base, in the base."""
    twist_covariance: Matrix
    """``(6, 6)``, in the base."""


def base_motion(
    result: OdometryResult, T_base_sensor: Matrix, period: float, shared_covariance: Matrix, config: OdometryConfig
) -> BaseMotion:
    """Carry the odometry of a sensor over to the base that it is fixed to.

    Args:
        result: Odometry of the sensor.
        T_base_sensor: Where the sensor is on the base, ``(4, 4)``.
        period: Time since the pose that the twist counts from, seconds; 0: there is none, and the twist is not known.
        shared_covariance: The part of the covariance that this pose has in common with the last one, ``(6, 6)``.
        config: Its fastest motion is how little is known of a twist that is not known.
    """
    T_sensor_base = np.asarray(np.linalg.inv(T_base_sensor), np.float64)
    T_odom_base = T_base_sensor @ result.T_odom_sensor @ T_sensor_base
    turn = both_blocks(T_base_sensor[:3, :3])
    # A turn of the sensor moves the base by the lever between them.
    lever = result.T_odom_sensor[:3, :3] @ T_sensor_base[:3, 3]
    carry = turn @ moved_by_turning(lever)
    carry_twist = turn @ moved_by_turning(T_sensor_base[:3, 3])
    covariance = carry @ result.covariance @ carry.T
    if period > 0.0:
        # A velocity is the difference of two poses; but for what they share they are taken as equally unsure.
        to_base = both_blocks(T_odom_base[:3, :3].T) @ carry
        own = np.asarray(result.covariance - shared_covariance)
        twist_covariance = to_base @ (2.0 * own / period**2) @ to_base.T
    else:
        twist_covariance = np.diag(np.repeat([config.max_speed**2, config.max_turn_rate**2], 3))
    return BaseMotion(T_odom_base, covariance, carry_twist @ result.twist, twist_covariance)


def fill_motion(message: Odometry, motion: BaseMotion) -> Odometry:
    """Give an Odometry message its covariance and twist."""
    message.pose.covariance = motion.covariance.ravel()
    twist = message.twist.twist
    twist.linear.x, twist.linear.y, twist.linear.z = (float(value) for value in motion.twist[:3])
    twist.angular.x, twist.angular.y, twist.angular.z = (float(value) for value in motion.twist[3:])
    message.twist.covariance = motion.twist_covariance.ravel()
    return message


def both_blocks(rotation: Matrix) -> Matrix:
    """``(6, 6)`` with a rotation for translations and for rotations."""
    blocks = np.zeros((6, 6))
    blocks[:3, :3] = blocks[3:, 3:] = rotation
    return blocks


def moved_by_turning(lever: Matrix) -> Matrix:
    """``(6, 6)`` that carries a small motion of a body's point to that of the point at ``lever (3,)`` from it."""
    carry = np.eye(6)
    x, y, z = lever
    carry[:3, 3:] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]  # omega x lever
    return carry
