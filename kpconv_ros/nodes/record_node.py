# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``record``: listens to published labels and their ground truth, and writes what a report needs.

It touches nothing of what it listens to: it has its own process, reads each message once and keeps counts. It starts to
listen to the map, which costs its publisher work, only when the source of scans has gone (or the file ``.finish`` says
so, for DDS notices a crashed source late); then it writes and ends. To each scan of which labels and truth have come it
publishes an answer with the scan's stamp, on ``record/answers``: a replay that waits for it loses nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32, Float64

from kpconv_ros.config_io import param
from kpconv_ros.data.pointcloud2 import PointCloud2Error, read_points
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.qos import latched_qos, stream_qos
from kpconv_ros.nodes.run_watch import RunWatch
from kpconv_ros.nodes.scan_record import ScanRecord
from kpconv_ros.nodes.spinning import spin_node

if TYPE_CHECKING:
    from rclpy.subscription import MessageInfo

INPUT_TOPIC = "lidar/points"
TRUTH_TOPIC = "lidar/ground_truth"
LABELS_TOPIC = "segment/output/labels"
MAP_TOPIC = "segment/output/map"
ANSWERS_TOPIC = "record/answers"
DEBUG_PREFIX = "segment/debug/"
NUMBER_TYPES = {"std_msgs/msg/Float32": Float32, "std_msgs/msg/Float64": Float64}
LOOK_PERIOD = 0.25  # [s]


@dataclass(frozen=True)
class RecordConfig:
    """What to write, and when the run is over."""

    output: str = param("record.npz", "file to write; beside it .ready and .started appear when listening and counting")
    warm_up: float = param(
        0.0, "scans of so long after the first are not counted: nodes still find each other [s]", 0.0, 60.0
    )
    finish_delay: float = param(1.5, "how long labels may come after the source of scans has gone [s]", 0.0, 60.0)
    map_patience: float = param(6.0, "how long to wait for the map at the end [s]; 0: no map", 0.0, 120.0)


class RecordNode(Node):
    """Records a run from the moment the segmentation node listens until the source of scans has gone.

    Raises:
        ParameterError: If a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self) -> None:
        super().__init__("record")
        self.config = declare_config(self, RecordConfig)
        check_no_unknown_parameters(self)
        self.record = ScanRecord()
        self.output = Path(self.config.output)
        self._run = RunWatch(self, self.output, TRUTH_TOPIC, self.config.warm_up, self.config.finish_delay)
        self._map_wanted_since: float | None = None
        self._debug_topics: set[str] = set()
        stream = stream_qos(depth=20)
        self.create_subscription(PointCloud2, TRUTH_TOPIC, self._take_truth, stream)
        self.create_subscription(PointCloud2, LABELS_TOPIC, self._take_labels, stream)
        self._answers = self.create_publisher(PointCloud2, ANSWERS_TOPIC, stream)
        self.create_timer(LOOK_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Write the record, whatever ended the run, and leave."""
        self.record.save(self.output)
        self.get_logger().info(f"{self.record.num_scans} scans recorded in {self.output}")
        super().destroy_node()

    def _take_truth(self, message: PointCloud2, info: MessageInfo) -> None:
        points = self._points_of(message)
        if points is None:
            return
        if self._run.counts_truth() and self.record.add_truth(stamp_of(message), points, info["source_timestamp"]):
            self._answer(message)

    def _take_labels(self, message: PointCloud2, info: MessageInfo) -> None:
        received = time.time_ns()
        points = self._points_of(message)
        if points is None:
            return
        if self.record.add_labels(stamp_of(message), points, info["source_timestamp"], received):
            self._answer(message)

    def _answer(self, message: PointCloud2) -> None:
        if self._answers.get_subscription_count():
            self._answers.publish(PointCloud2(header=message.header))

    def _take_map(self, message: PointCloud2) -> None:
        points = self._points_of(message)
        if points is not None and len(points):
            self.record.set_map(points)

    def _points_of(self, message: PointCloud2) -> Any | None:
        try:
            points = read_points(message).points
        except PointCloud2Error as error:
            self.get_logger().error(f"cloud not recorded: {error}")
            return None
        if "label" not in (points.dtype.names or ()):
            self.get_logger().error(f"cloud not recorded: got fields {points.dtype.names}, expected 'label' among them")
            return None
        return points

    def _look(self) -> None:
        """Four times a second: say when all is ready, and see whether the run is over."""
        self._subscribe_to_debug_numbers()
        if not self._run.is_ready:
            self._become_ready()
        elif self._map_wanted_since is not None:
            waited = time.monotonic() - self._map_wanted_since
            if self.record.map or waited >= self.config.map_patience:
                raise ExternalShutdownException
        elif self._run.is_over():
            self._map_wanted_since = time.monotonic()
            self.create_subscription(PointCloud2, MAP_TOPIC, self._take_map, latched_qos())

    def _become_ready(self) -> None:
        if not self.count_subscribers(INPUT_TOPIC) or not self.count_publishers(LABELS_TOPIC):
            return
        self._run.become_ready()

    def _subscribe_to_debug_numbers(self) -> None:
        prefix = self.resolve_topic_name(DEBUG_PREFIX + "x")[:-1]
        for topic, types in self.get_topic_names_and_types():
            is_new = topic not in self._debug_topics  # each is found when DDS tells of it, in any order
            if is_new and topic.startswith(prefix) and types[0] in NUMBER_TYPES:
                self._debug_topics.add(topic)
                self.create_subscription(
                    NUMBER_TYPES[types[0]], topic, self._keep_number(topic.removeprefix(prefix)), stream_qos()
                )

    def _keep_number(self, name: str) -> Callable[[Any], None]:
        return lambda message: self.record.add_debug(name, message.data)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until the run that it records is over."""
    return spin_node(RecordNode, argv)


def stamp_of(message: PointCloud2) -> int:
    """The stamp of a message [ns]."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


if __name__ == "__main__":
    sys.exit(main())
