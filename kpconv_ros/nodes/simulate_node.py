# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes a simulated lidar that drives along a street, its ground truth, and where it is.

Topics: ``lidar/points`` and ``lidar/ground_truth`` (sensor_msgs/PointCloud2, same stamp and order of points), ``odom``
(nav_msgs/Odometry, pose of the lidar), and on demand ``lidar/true_map`` (`kpconv_ros.nodes.true_map`). The next scan is
computed right after one is published, so it is ready in time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.config_io import param
from kpconv_ros.data.simulator import SimulatedScan, Simulator, SimulatorConfig
from kpconv_ros.nodes.parameters import ParameterError, check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, pack_columns
from kpconv_ros.nodes.pose_msg import odometry_message
from kpconv_ros.nodes.qos import stream_qos
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.nodes.transforms import make_broadcaster
from kpconv_ros.nodes.true_map import TrueMap, TrueMapConfig


@dataclass(frozen=True)
class SimulateNodeConfig:
    """What the node adds to the parameters of the simulator."""

    seed: int = param(0, "Draws the street, what moves in it, and the noise", 0, 1_000_000_000)
    start: float = param(0.0, "Seconds into the drive at which to begin", 0.0, 1e6)
    frame_id: str = param("lidar", "Frame of the clouds")
    odom_frame: str = param("odom", "Frame in which odometry gives the pose of the lidar")
    publish_tf: bool = param(True, "Whether the pose is sent as TF too, where tf2_ros is installed")
    best_effort: bool = param(False, "Whether clouds go out best effort instead of reliable")
    consumers: int = param(0, "Subscribers of the odometry to wait for before the drive begins", 0, 100)


class SimulateNode(Node):
    """A timer publishes the prepared scan and prepares the next."""

    def __init__(self) -> None:
        """Draw the street and compute the first scan.

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        super().__init__("simulate")
        self.config = declare_config(self, SimulateNodeConfig)
        self.simulator_config = declare_config(self, SimulatorConfig)
        map_config = declare_config(self, TrueMapConfig)
        check_no_unknown_parameters(self)
        try:
            self._simulator = Simulator(self.simulator_config, self.config.seed)
            self._map = TrueMap(self, map_config, self.config.odom_frame)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        self._num_published = 0
        self._next_scan = self._simulator.scan(self._drive_time())
        qos = stream_qos(reliable=not self.config.best_effort)
        self._points = self.create_publisher(PointCloud2, "lidar/points", qos)
        self._ground_truth = self.create_publisher(PointCloud2, "lidar/ground_truth", qos)
        self._odometry = self.create_publisher(Odometry, "odom", stream_qos())
        self._broadcast = make_broadcaster(self) if self.config.publish_tf else None
        self.create_timer(1.0 / self.simulator_config.rate, self._publish_scan)
        num_points, rate = len(self._next_scan.points), self.simulator_config.rate
        self.get_logger().info(f"street {self.config.seed}: {rate:g} Hz, about {num_points} points a scan")

    def _drive_time(self) -> float:
        """Seconds into the drive of the scan to publish next."""
        return self.config.start + self._num_published / self.simulator_config.rate

    def _publish_scan(self) -> None:
        if not self._num_published and self._odometry.get_subscription_count() < self.config.consumers:
            return
        scan, stamp = self._next_scan, self.get_clock().now().to_msg()
        odometry = self._odometry_of(scan, stamp)
        self._odometry.publish(odometry)
        if self._broadcast is not None:
            self._broadcast(odometry)
        header = Header(stamp=stamp, frame_id=self.config.frame_id)
        x, y, z = scan.points.T
        points = pack_columns(x=x, y=y, z=z, intensity=scan.intensity, ring=scan.ring, time=scan.time)
        self._points.publish(cloud_message(points, header, is_dense=True))
        truth = pack_columns(x=x, y=y, z=z, label=scan.labels)
        self._ground_truth.publish(cloud_message(truth, header, is_dense=True))
        self._map.add(scan, self._drive_time(), stamp)
        self._num_published += 1
        self._next_scan = self._simulator.scan(self._drive_time())

    def _odometry_of(self, scan: SimulatedScan, stamp: Time) -> Odometry:
        message = odometry_message(scan.T_map_sensor, stamp, self.config.odom_frame, self.config.frame_id)
        message.twist.twist.linear.x = self.simulator_config.ego_speed
        return message


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted."""
    return spin_node(SimulateNode, argv)


if __name__ == "__main__":
    sys.exit(main())
