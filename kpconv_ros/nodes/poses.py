# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensor was when a scan was taken: from TF, from an Odometry topic, or not known (scan by scan).

A pose that cannot be had is an error with its reason. There is no silent identity: scan by scan is a mode of its own,
in which the map is that of one scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.nodes.odometry_buffer import OdometryBuffer
from kpconv_ros.nodes.pose_msg import Matrix, PoseError, matrix_of_pose, matrix_of_xyz_rpy, seconds_of
from kpconv_ros.nodes.qos import AdaptiveSubscription
from kpconv_ros.nodes.tf_buffer import TfBuffer, has_tf

ODOMETRY_TOPIC = "~/input/odometry"
ODOMETRY_DEPTH = 100  # a 200 Hz odometry while the executor is busy for half a second
SOURCES = ("auto", "tf", "odometry", "none")


@dataclass(frozen=True)
class PoseConfig:
    """Where poses come from."""

    pose_source: str = param("auto", "where poses come from: auto (TF, else odometry, else none), tf, odometry or none")
    map_frame: str = param("odom", "fixed frame of the map, for TF; an Odometry topic names its own")
    pose_timeout: float = param(0.1, "how long a scan waits for its pose [s]", 0.0, 2.0)
    odometry_tolerance: float = param(0.05, "how far from a scan a single odometry message may be [s]", 0.0, 1.0)
    odometry_max_gap: float = param(0.5, "longest time between two odometry messages to interpolate over [s]", 0.0, 5.0)
    sensor_frame: str = param("", "frame of the clouds, if the extrinsic is given; clouds of other frames are refused")
    extrinsic_xyz: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), "sensor in the odometry's child frame: x, y, z [m]"
    )
    extrinsic_rpy: tuple[float, float, float] = param((0.0, 0.0, 0.0), "sensor in it: roll, pitch, yaw [rad]")

    def __post_init__(self) -> None:
        """Check the values against each other."""
        if self.pose_source not in SOURCES:
            raise ConfigError(f"pose_source: got '{self.pose_source}', expected one of {', '.join(SOURCES)}")


class ScanPose(NamedTuple):
    """The pose of one scan."""

    T_map_sensor: Matrix | None
    """``(4, 4)``, or None when the scan stands alone."""
    map_frame: str
    """Frame of the map: the scan's own when it stands alone."""
    source: str
    """"tf", "odometry" or "none"."""
    beginning: int = 0
    """Rises when the odometry began anew: the map frame then has its old name and another place."""


class PoseSource(Protocol):
    """Finds poses of scans; called by the worker while the executor goes on receiving."""

    name: str

    def is_there(self) -> bool:
        """Whether anything was heard that could give poses."""
        ...

    def check_frame(self, frame_id: str) -> None:
        """Raise `PoseError` if it is known beforehand that there is no pose for clouds of a frame; any thread."""
        ...

    def find(self, header: Header) -> ScanPose:
        """The pose of the scan with this header; raises `PoseError`."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class OdometryPoses:
    """Poses from nav_msgs/Odometry, which says where its child frame is, and the extrinsic of the sensor in that."""

    name = "odometry"

    def __init__(self, node: Node, config: PoseConfig, topic: str = ODOMETRY_TOPIC) -> None:
        """Subscribe to the odometry."""
        self._config, self._node = config, node
        self._buffer = OdometryBuffer(config.odometry_tolerance, config.odometry_max_gap)
        self._frame, self._child_frame = "", ""
        self._T_child_sensor = matrix_of_xyz_rpy(config.extrinsic_xyz, config.extrinsic_rpy)
        self._subscription = AdaptiveSubscription(node, Odometry, topic, self._on_odometry, depth=ODOMETRY_DEPTH)

    def is_there(self) -> bool:
        """Whether odometry came."""
        return len(self._buffer) > 0

    def check_frame(self, frame_id: str) -> None:
        """Raise `PoseError` if clouds of a frame have no pose in the odometry that came."""
        if self._child_frame:
            self._extrinsic_of(frame_id)

    def find(self, header: Header) -> ScanPose:
        """The pose of the scan with this header."""
        T_odom_child = self._buffer.pose_at(seconds_of(header.stamp), self._config.pose_timeout)
        T_odom_sensor = T_odom_child @ self._extrinsic_of(header.frame_id)
        return ScanPose(T_odom_sensor, self._frame, self.name, self._buffer.num_resets)

    def close(self) -> None:
        """Unsubscribe."""
        self._subscription.destroy()

    def _extrinsic_of(self, frame_id: str) -> Matrix:
        if frame_id == (self._config.sensor_frame or frame_id) and self._has_extrinsic():
            return self._T_child_sensor
        if frame_id == self._child_frame:
            return np.eye(4)
        raise PoseError(
            f"got a cloud in frame '{frame_id}', but the odometry is that of '{self._child_frame}'"
            f"{' and the extrinsic that of ' + repr(self._config.sensor_frame) if self._config.sensor_frame else ''}; "
            "set sensor_frame, extrinsic_xyz and extrinsic_rpy to say where the sensor is"
        )

    def _has_extrinsic(self) -> bool:
        return bool(self._config.sensor_frame) or not np.array_equal(self._T_child_sensor, np.eye(4))

    def _on_odometry(self, message: Odometry, info: Mapping[str, Any]) -> None:
        try:
            T_odom_child = matrix_of_pose(message.pose.pose.position, message.pose.pose.orientation)
        except PoseError as error:
            self._node.get_logger().warning(f"odometry refused: {error}", throttle_duration_sec=5.0)
            return
        self._frame, self._child_frame = message.header.frame_id, message.child_frame_id
        self._buffer.add(seconds_of(message.header.stamp), T_odom_child, info.get("publication_sequence_number"))


class TfPoses:
    """Poses from TF, where tf2_ros is installed."""

    name = "tf"

    def __init__(self, node: Node, config: PoseConfig) -> None:
        """Listen to TF.

        Raises:
            PoseError: If tf2_ros is not installed.
        """
        try:
            self._buffer = TfBuffer(node)
        except PoseError as error:
            raise PoseError(f"pose_source is tf, but {error}; use odometry or none") from error
        self._config = config

    def is_there(self) -> bool:
        """Whether the map frame is known to TF."""
        return self._buffer.knows(self._config.map_frame)

    def check_frame(self, frame_id: str) -> None:
        """TF tells only when it is asked for a time."""

    def find(self, header: Header) -> ScanPose:
        """The pose of the scan with this header."""
        map_frame, stamp = self._config.map_frame, Time.from_msg(header.stamp)
        T_map_sensor = self._buffer.find(map_frame, header.frame_id, stamp, self._config.pose_timeout)
        return ScanPose(T_map_sensor, map_frame, self.name)

    def close(self) -> None:
        """Unsubscribe."""
        self._buffer.close()


class PoseFinder:
    """Finds poses as ``pose_source`` says.

    With "auto" the first source that gives a pose is kept; from then on a scan whose pose it cannot give is refused.
    Until then scans stand alone.
    """

    def __init__(self, node: Node, config: PoseConfig, odometry_topic: str = ODOMETRY_TOPIC) -> None:
        """Listen to the sources that come into question.

        Raises:
            PoseError: If the source asked for is not installed.
        """
        self._asked = config.pose_source
        self._sources: list[PoseSource] = []
        if self._asked == "tf" or (self._asked == "auto" and has_tf()):
            self._sources.append(TfPoses(node, config))
        if self._asked in ("odometry", "auto"):
            self._sources.append(OdometryPoses(node, config, odometry_topic))
        self._kept: PoseSource | None = self._sources[0] if self._asked in ("tf", "odometry") else None
        self.reason_alone = "pose_source is none" if self._asked == "none" else "no TF and no odometry was heard"

    @property
    def source(self) -> str:
        """What poses come from now: "tf", "odometry" or "none"."""
        return self._kept.name if self._kept is not None else "none"

    def check_frame(self, frame_id: str) -> None:
        """Refuse clouds of a frame that the source in use has no poses for; any thread.

        Raises:
            PoseError: With what was got and expected.
        """
        if self._kept is not None:
            self._kept.check_frame(frame_id)

    def find(self, header: Header) -> ScanPose:
        """The pose of the scan with this header.

        Raises:
            PoseError: If the source in use cannot give it; the text says why.
        """
        if self._kept is not None:
            return self._kept.find(header)
        for source in self._sources:
            if not source.is_there():
                continue
            try:
                pose = source.find(header)
            except PoseError as error:
                self.reason_alone = str(error)
                continue
            self._kept = source
            return pose
        return ScanPose(None, header.frame_id, "none")

    def close(self) -> None:
        """Stop listening."""
        for source in self._sources:
            source.close()
