# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the register node publishes of scans. Nothing is computed for a topic that nobody listens to."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import CloudFields, replace_xyz, take_points
from kpconv_ros.nodes.pointcloud2_msg import packed_message
from kpconv_ros.nodes.pose_msg import Matrix, odometry_message
from kpconv_ros.nodes.qos import has_listener, latched_qos, stream_qos
from kpconv_ros.nodes.register_config import RegisterConfig
from kpconv_ros.nodes.timings import TimingOutputs
from kpconv_ros.nodes.transforms import make_broadcaster

TIMINGS = ("preprocess", "registration", "postprocess", "total", "pipeline_latency")


class RegisterOutputs:
    """Publishers of odometry, path, sampled and de-skewed points, TF and timings."""

    def __init__(self, node: LifecycleNode, config: RegisterConfig) -> None:
        """Create the publishers of ``node``."""
        self._node, self._config = node, config
        self._odometry = node.create_lifecycle_publisher(Odometry, "~/output/odometry", stream_qos())
        self._path = node.create_lifecycle_publisher(Path, "~/output/path", latched_qos())
        self._sampled, self._deskewed = (
            node.create_lifecycle_publisher(PointCloud2, f"~/output/{name}", stream_qos())
            for name in ("sampled", "deskewed")
        )
        self._publishers = (self._odometry, self._path, self._sampled, self._deskewed)
        self.timings = TimingOutputs(node, TIMINGS)
        broadcast = make_broadcaster(node) if config.publish_tf else None
        self._broadcast = broadcast
        self.tf_text = (
            "published"
            if broadcast
            else "not published: " + ("tf2_ros is not installed" if config.publish_tf else "publish_tf is false")
        )
        self._poses: deque[PoseStamped] = deque(maxlen=config.path_length)
        self._path_published_at = 0.0
        self._path_is_new = False

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self.timings.destroy()

    def publish_odometry(self, message: Odometry) -> None:
        """Publish a pose, whether believed or held: its covariance says."""
        self._odometry.publish(message)

    def publish_believed(self, message: Odometry, T_odom_base: Matrix, spacing: float) -> None:
        """Send a believed pose where no covariance goes along: to TF, and to the path after ``spacing`` metres."""
        if self._broadcast is not None:
            self._broadcast(self._inverse_of(message, T_odom_base) if self._config.invert_tf else message)
        if not self._poses or _distance(self._poses[-1], message) >= spacing:
            self._poses.append(PoseStamped(header=message.header, pose=message.pose.pose))
            self._path_is_new = True

    def forget_path(self) -> None:
        """Begin a new path."""
        self._poses.clear()
        self._path_is_new = True

    def publish_path_if_due(self, period: float) -> None:
        """Publish the path if it grew, ``period`` seconds have passed and somebody listens."""
        now = time.monotonic()
        if not self._path_is_new or now - self._path_published_at < period or not has_listener(self._path):
            return
        header = Header(frame_id=self._config.odom_frame)
        if self._poses:
            header.stamp = self._poses[-1].header.stamp
        self._path.publish(Path(header=header, poses=list(self._poses)))
        self._path_published_at, self._path_is_new = now, False

    def publish_sampled(self, header: Header, cloud: CloudFields, rows: npt.NDArray[np.int64]) -> None:
        """Publish the points that were registered, all their fields, best first."""
        if has_listener(self._sampled):
            self._sampled.publish(packed_message(take_points(cloud, rows), header, is_dense=True))

    def wants_deskewed(self) -> bool:
        """Whether somebody listens to the de-skewed cloud."""
        return has_listener(self._deskewed)

    def publish_deskewed(self, header: Header, cloud: CloudFields, xyz: npt.NDArray[Any], time_field: str) -> None:
        """Publish the scan as if measured at its stamp, less the field of times, which would be applied once more."""
        is_dense = bool(np.isfinite(xyz).all())
        self._deskewed.publish(packed_message(replace_xyz(cloud, xyz, (time_field,)), header, is_dense))

    def _inverse_of(self, message: Odometry, T_odom_base: Matrix) -> Odometry:
        header = message.header
        T_base_odom = np.asarray(np.linalg.inv(T_odom_base), np.float64)
        return odometry_message(T_base_odom, header.stamp, message.child_frame_id, header.frame_id)


def _distance(pose: PoseStamped, odometry: Odometry) -> float:
    a, b = pose.pose.position, odometry.pose.pose.position
    return float(np.linalg.norm([a.x - b.x, a.y - b.y, a.z - b.z]))
