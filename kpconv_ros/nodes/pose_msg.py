# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps, quaternions (xyzw) and poses of messages, to and from the seconds and matrices of the rest of the package."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from nav_msgs.msg import Odometry
from transforms3d.euler import euler2mat
from transforms3d.quaternions import mat2quat, quat2mat

Matrix = npt.NDArray[np.float64]


class PoseError(RuntimeError):
    """A pose is missing, not valid, or for other frames."""


def seconds_of(stamp: Time) -> float:
    """A message stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def stamp_of(seconds: float) -> Time:
    """Seconds as a message stamp, to the nearest nanosecond."""
    whole = math.floor(seconds)
    nanoseconds = round((seconds - whole) * 1e9)
    return Time(sec=whole + nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def matrix_of_pose(position: Any, orientation: Any) -> Matrix:
    """``T_parent_child`` ``(4, 4)`` of a position (x, y, z) and a quaternion message.

    Raises:
        PoseError: If a number is not finite or the quaternion is not of length 1 within 1 %.
    """
    translation = np.array([position.x, position.y, position.z])
    quaternion = np.array([orientation.w, orientation.x, orientation.y, orientation.z])
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite(translation).all() or not abs(length - 1.0) < 0.01:
        raise PoseError(f"got position {translation} and a quaternion of length {length}, expected finite and 1")
    T_parent_child = np.eye(4)
    T_parent_child[:3, :3] = quat2mat(quaternion / length)
    T_parent_child[:3, 3] = translation
    return T_parent_child


def pose_of_matrix(T_parent_child: Matrix) -> Pose:
    """A Pose message of a ``(4, 4)`` transform."""
    w, x, y, z = (float(value) for value in mat2quat(T_parent_child[:3, :3]))
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(value) for value in T_parent_child[:3, 3])
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = x, y, z, w
    return pose


def odometry_message(T_odom_child: Matrix, stamp: Time, frame_id: str, child_frame_id: str) -> Odometry:
    """An Odometry message that says where ``child_frame_id`` is in ``frame_id`` at ``stamp``; twist unknown (zero)."""
    message = Odometry()
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.child_frame_id = child_frame_id
    message.pose.pose = pose_of_matrix(T_odom_child)
    return message


def matrix_of_xyz_rpy(xyz: tuple[float, float, float], rpy: tuple[float, float, float]) -> Matrix:
    """``T_parent_child`` of a translation in metres and fixed-axis roll, pitch, yaw in radians (as in URDF)."""
    T_parent_child = np.eye(4)
    T_parent_child[:3, :3] = euler2mat(*rpy, axes="sxyz")
    T_parent_child[:3, 3] = xyz
    return T_parent_child


def interpolate_pose(T_a: Matrix, T_b: Matrix, fraction: float) -> Matrix:
    """The pose at ``fraction`` of the way from ``T_a`` to ``T_b``: linear in position, spherical in rotation."""
    q_a, q_b = mat2quat(T_a[:3, :3]), mat2quat(T_b[:3, :3])
    cosine = float(np.dot(q_a, q_b))
    q_b, cosine = (-q_b, -cosine) if cosine < 0 else (q_b, cosine)
    angle = float(np.arccos(min(cosine, 1.0)))
    if angle < 1e-6:
        quaternion = (1 - fraction) * q_a + fraction * q_b
    else:
        quaternion = (np.sin((1 - fraction) * angle) * q_a + np.sin(fraction * angle) * q_b) / np.sin(angle)
    T = np.eye(4)
    T[:3, :3] = quat2mat(quaternion)
    T[:3, 3] = (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3]
    return T
