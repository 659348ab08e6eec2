# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``record_outputs``: writes down what the nodes publish that work on scans, whatever the source of scans is.

It needs neither ground truth nor the clouds; both are joined to its record by stamp afterwards. Sources may come and go
while it listens; it ends when the file ``.finish`` beside its record appears.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.cdr_messages import stamp_of_cdr
from kpconv_ros.data.label_stream import LABELS_SUFFIX, LabelStreamWriter
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.nodes import outputs, register_outputs
from kpconv_ros.nodes.array_file import write_arrays
from kpconv_ros.nodes.link_recorder import DECODED_TOPIC, LATENTS_TOPIC, LinkRecorder
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.pose_msg import matrix_of_pose
from kpconv_ros.nodes.qos import latched_qos, stream_qos
from kpconv_ros.nodes.record_node import INPUT_TOPIC, LABELS_TOPIC, LOOK_PERIOD, MAP_TOPIC
from kpconv_ros.nodes.record_odometry_node import ODOMETRY_TOPIC, nanoseconds_of
from kpconv_ros.nodes.scan_record import positions_of
from kpconv_ros.nodes.spinning import spin_node

if TYPE_CHECKING:
    from rclpy.subscription import MessageInfo

TIMINGS = {"segment": outputs.TIMINGS, "register": register_outputs.TIMINGS}
OUTPUTS = {
    "segment": LABELS_TOPIC,
    "register": ODOMETRY_TOPIC,
    "encode": LATENTS_TOPIC,
    "decode": DECODED_TOPIC,
}
DEPTH = 100


@dataclass(frozen=True)
class RecordOutputsConfig:
    """What to write, and of which nodes."""

    output: str = param("record.npz", "file to write; beside it .ready appears when listening, .answers, .labels")
    nodes: tuple[str, ...] = param(("segment", "register"), "nodes to listen to")
    keep_labels: bool = param(True, "write labels, poses and times of every scan; else only when they came")
    heard: tuple[str, ...] = param(("",), "topics of clouds to listen to without a record, so that they are published")
    finish_delay: float = param(1.5, "how long outputs may come after .finish has appeared [s]", 0.0, 60.0)
    map_patience: float = param(6.0, "how long to wait for the map at the end [s]; 0: no map", 0.0, 120.0)
    cloud_listeners: int = param(0, "subscribers of the clouds that make all ready; 0: each of the nodes is one")
    map_voxel: float = param(0.2, "of the map that encode is given, a point of each such voxel is kept [m]", 0.02, 2.0)

    def __post_init__(self) -> None:
        """Check the nodes."""
        unknown = [name for name in self.nodes if name not in OUTPUTS]
        if unknown or not self.nodes:
            raise ConfigError(f"nodes: got {list(self.nodes)}, expected some of {list(OUTPUTS)}")


class RecordOutputsNode(Node):
    """Records until it is told to finish.

    Raises:
        ParameterError: If a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self) -> None:
        super().__init__("record_outputs")
        self.config = declare_config(self, RecordOutputsConfig)
        check_no_unknown_parameters(self)
        self.output = Path(self.config.output)
        self._is_ready = False
        self._finish_since: float | None = None
        self._map_since: float | None = None
        self._map: dict[str, Any] = {}
        self._diagnostics: dict[str, dict[str, str]] = {}
        self._num_labelled = 0
        self._poses: list[tuple[int, Any, Any]] = []
        self._timings: dict[str, list[float]] = {}
        self._stream: LabelStreamWriter | None = None
        self._link: LinkRecorder | None = None
        self._notes = self.output.with_suffix(".answers").open("w", buffering=1, encoding="ascii")  # read while we run
        self._listen()
        self.create_timer(LOOK_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _listen(self) -> None:
        stream, nodes = stream_qos(depth=DEPTH), self.config.nodes
        if "segment" in nodes and self.config.keep_labels:
            self._stream = LabelStreamWriter(self.output.with_suffix(LABELS_SUFFIX))
            self.create_subscription(PointCloud2, LABELS_TOPIC, self._take_labels, stream_qos(depth=20))
        elif "segment" in nodes:
            self.create_subscription(PointCloud2, LABELS_TOPIC, self._note_labels, stream_qos(depth=20), raw=True)
        if "register" in nodes:
            self.create_subscription(Odometry, ODOMETRY_TOPIC, self._take_odometry, stream)
        if "encode" in nodes:
            self._link = LinkRecorder(self, self.config.map_voxel if "segment" in nodes else None)
        for topic in filter(None, self.config.heard):
            self.create_subscription(PointCloud2, topic, lambda _: None, latched_qos(), raw=True)
        for node in nodes if self.config.keep_labels else ():  # else they would grow without end
            for name in TIMINGS.get(node, ()):
                self.create_subscription(Float32, f"{node}/debug/{name}_ms", self._keep_number(node, name), stream)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, stream)

    def destroy_node(self) -> None:
        """Write the record, whatever ended the run, and leave."""
        self._save()
        self.get_logger().info(f"{self._num_labelled} labelled scans, {len(self._poses)} poses in {self.output}")
        super().destroy_node()

    def _take_labels(self, message: PointCloud2, info: MessageInfo) -> None:
        points = read_points(message).points
        stamp, published = nanoseconds_of(message), int(info["source_timestamp"])
        if self._stream is not None:
            self._stream.add(stamp, published, points["label"], points["confidence"])
        self._num_labelled += 1
        self._note("segment", stamp, published)

    def _note_labels(self, message: bytes, info: MessageInfo) -> None:
        self._num_labelled += 1
        self._note("segment", stamp_of_cdr(message), int(info["source_timestamp"]))

    def _take_odometry(self, message: Odometry, info: MessageInfo) -> None:
        stamp = nanoseconds_of(message)
        self._note("register", stamp, int(info["source_timestamp"]))
        if self.config.keep_labels:
            pose = matrix_of_pose(message.pose.pose.position, message.pose.pose.orientation)
            self._poses.append((stamp, pose, np.array(message.pose.covariance).reshape(6, 6)))

    def _note(self, node: str, stamp: int, published: int) -> None:
        self._notes.write(f"{node} {stamp} {published}\n")

    def _keep_number(self, node: str, name: str) -> Callable[[Any], None]:
        values = self._timings.setdefault(f"{node}.{name}", [])
        return lambda message: values.append(message.data)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node = status.name.partition(":")[0]
            if node in self.config.nodes:
                self._diagnostics[node] = {pair.key: pair.value for pair in status.values}

    def _take_map(self, message: PointCloud2) -> None:
        points = read_points(message).points
        if len(points):
            self._map = {"map_points": positions_of(points), "map_labels": np.array(points["label"], np.uint8)}

    def _look(self) -> None:
        """Four times a second: say when all is ready, and see whether to finish."""
        if not self._is_ready:
            has_outputs = all(self.count_publishers(OUTPUTS[node]) for node in self.config.nodes)
            needed = self.config.cloud_listeners or len(self.config.nodes)
            is_linked = self._link is None or self._link.is_ready()
            if has_outputs and is_linked and self.count_subscribers(INPUT_TOPIC) >= needed:
                self._is_ready = True
                self.output.with_suffix(".ready").touch()
        elif self._map_since is not None:
            if self._map or time.monotonic() - self._map_since >= self.config.map_patience:
                raise ExternalShutdownException
        elif self.output.with_suffix(".finish").exists():
            now = time.monotonic()
            self._finish_since = now if self._finish_since is None else self._finish_since
            if now - self._finish_since >= self.config.finish_delay:
                self._ask_for_map()

    def _ask_for_map(self) -> None:
        if "segment" not in self.config.nodes or self.config.map_patience == 0:
            raise ExternalShutdownException
        self._map_since = time.monotonic()
        self.create_subscription(PointCloud2, MAP_TOPIC, self._take_map, latched_qos())

    def _save(self) -> None:
        """Write everything but the labels as one ``.npz``; it appears as a whole or not at all. Times in ns."""
        self._notes.close()
        if self._stream is not None:
            self._stream.close()
        stamps, poses, covariances = zip(*self._poses) if self._poses else ((), (), ())
        arrays: dict[str, Any] = {
            "pose_stamps": np.array(stamps, np.int64),
            "poses": np.array(poses, np.float64).reshape(-1, 4, 4),
            "covariances": np.array(covariances, np.float64).reshape(-1, 6, 6),
            "diagnostics": np.array(json.dumps(self._diagnostics)),
            **{f"timing.{name}": np.array(values) for name, values in self._timings.items()},
            **self._map,
            **(self._link.arrays() if self._link is not None else {}),
        }
        write_arrays(self.output, arrays)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is told to finish."""
    return spin_node(RecordOutputsNode, argv)


if __name__ == "__main__":
    sys.exit(main())
