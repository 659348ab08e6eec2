# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry as TF too, where tf2_ros is installed: RViz draws a cloud only if TF knows its frame."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node


def make_broadcaster(node: Node) -> Callable[[Odometry], None] | None:
    """A function that sends an odometry's pose as a transform, or None where tf2_ros is not installed."""
    try:
        from tf2_ros import TransformBroadcaster
    except ImportError:
        return None
    broadcaster = TransformBroadcaster(node)
    return lambda odometry: broadcaster.sendTransform(transform_of(odometry))


def transform_of(odometry: Odometry) -> TransformStamped:
    """The transform from the child frame to the frame of an odometry message."""
    message = TransformStamped(header=odometry.header, child_frame_id=odometry.child_frame_id)
    position = odometry.pose.pose.position
    message.transform.translation.x = position.x
    message.transform.translation.y = position.y
    message.transform.translation.z = position.z
    message.transform.rotation = odometry.pose.pose.orientation
    return message
