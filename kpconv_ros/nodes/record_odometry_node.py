# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``record_odometry``: listens to an odometry and the true one beside it, and writes what a report needs.

It writes and ends when the source of the truth has gone (or the file ``.finish`` says so, for DDS notices a crashed
source late), as the node ``record`` does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32

from kpconv_ros.config_io import param
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.nodes.odometry_record import OdometryRecord
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.pose_msg import matrix_of_pose
from kpconv_ros.nodes.qos import stream_qos
from kpconv_ros.nodes.register_outputs import TIMINGS
from kpconv_ros.nodes.run_watch import RunWatch
from kpconv_ros.nodes.spinning import spin_node

if TYPE_CHECKING:
    from rclpy.subscription import MessageInfo

INPUT_TOPIC = "lidar/points"
TRUTH_TOPIC = "odom"
ODOMETRY_TOPIC = "register/output/odometry"
SAMPLED_TOPIC = "register/output/sampled"
LOOK_PERIOD = 0.25  # s


@dataclass(frozen=True)
class RecordOdometryConfig:
    """What to write, and when the run is over."""

    output: str = param("record.npz", "file to write; beside it .ready and .started appear when listening and counting")
    warm_up: float = param(
        0.0, "scans of so long after the first are not counted: nodes still find each other [s]", 0.0, 60.0
    )
    finish_delay: float = param(1.5, "how long odometry may come after the source has gone [s]", 0.0, 60.0)


class RecordOdometryNode(Node):
    """Records a run from the moment the register node listens until the source of scans has gone.

    Raises:
        ParameterError: If a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self) -> None:
        super().__init__("record_odometry")
        self.config = declare_config(self, RecordOdometryConfig)
        check_no_unknown_parameters(self)
        self.record = OdometryRecord()
        self.output = Path(self.config.output)
        self._run = RunWatch(self, self.output, TRUTH_TOPIC, self.config.warm_up, self.config.finish_delay)
        stream = stream_qos(depth=100)
        self.create_subscription(Odometry, TRUTH_TOPIC, self._take_truth, stream)
        self.create_subscription(Odometry, ODOMETRY_TOPIC, self._take_odometry, stream)
        self.create_subscription(PointCloud2, SAMPLED_TOPIC, self._take_sampled, stream)
        self._cloud: PointCloud2 | None = None
        self._clouds = self.create_subscription(PointCloud2, INPUT_TOPIC, self._take_cloud, stream_qos())
        for name in TIMINGS:
            self.create_subscription(Float32, f"register/debug/{name}_ms", self._keep_number(name), stream)
        self.create_timer(LOOK_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Write the record, whatever ended the run, and leave."""
        self.record.save(self.output)
        self.get_logger().info(f"{self.record.num_scans} scans recorded in {self.output}")
        super().destroy_node()

    def _take_truth(self, message: Odometry, info: MessageInfo) -> None:
        if not self._run.counts_truth():
            return
        pose = message.pose.pose
        T_odom_sensor = matrix_of_pose(pose.position, pose.orientation)
        self.record.add_truth(nanoseconds_of(message), T_odom_sensor, info["source_timestamp"])

    def _take_odometry(self, message: Odometry, info: MessageInfo) -> None:
        pose = message.pose.pose
        T_odom_sensor = matrix_of_pose(pose.position, pose.orientation)
        covariance = message.pose.covariance.reshape(6, 6)
        self.record.add_odometry(nanoseconds_of(message), T_odom_sensor, covariance, info["source_timestamp"])

    def _take_sampled(self, message: PointCloud2) -> None:
        sampled = read_points(message).xyz
        self.record.add_sampled(nanoseconds_of(message), sampled)
        if (
            self._clouds is not None
            and len(sampled)
            and self._cloud
            and self._cloud.header.stamp == message.header.stamp
        ):
            self.record.set_whole_scan(read_points(self._cloud).xyz, sampled)
            self.destroy_subscription(self._clouds)  # one is enough; whole clouds take time from what is measured
            self._clouds = self._cloud = None

    def _take_cloud(self, message: PointCloud2) -> None:
        self._cloud = message

    def _keep_number(self, name: str) -> Callable[[Any], None]:
        return lambda message: self.record.add_debug(name, message.data)

    def _look(self) -> None:
        """Four times a second: say when all is ready, and see whether the run is over."""
        if not self._run.is_ready:
            if self.count_subscribers(INPUT_TOPIC) > 1 and self.count_publishers(ODOMETRY_TOPIC):
                self._run.become_ready()
        elif self._run.is_over():
            raise ExternalShutdownException


def nanoseconds_of(message: Any) -> int:
    """The stamp of a message [ns]."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until the run that it records is over."""
    return spin_node(RecordOdometryNode, argv)


if __name__ == "__main__":
    sys.exit(main())
