# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From one PointCloud2 to a published pose: what the worker thread of the register node does with each scan."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rclpy.clock import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.point_times import find_time_field, read_times
from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error, read_points
from kpconv_ros.nodes.base_motion import BaseMotion, base_motion, fill_motion
from kpconv_ros.nodes.diagnostics import Statistics
from kpconv_ros.nodes.map_tiles import MapView, TileExchange
from kpconv_ros.nodes.mounting import Mounted, Mounting
from kpconv_ros.nodes.pose_msg import Matrix, PoseError, odometry_message, seconds_of
from kpconv_ros.nodes.register_config import RegisterConfig
from kpconv_ros.nodes.register_outputs import RegisterOutputs
from kpconv_ros.nodes.timings import pipeline_latency
from kpconv_ros.pipelines.odometry import Odometry
from kpconv_ros.pipelines.odometry_result import OdometryResult, OdometryStatus
from kpconv_ros.registration.deskew import deskew

NO_FACTS: dict[str, object] = {
    "status": "waiting",
    "fitness": "0.00",
    "conditioning": "0.000",
    "sampled": 0,
    "map_points": 0,
    "unbelieved": 0,
    "deskew": "",
}
"""What the diagnostics tell before the first scan."""
WARNING_SHOWN = 3.0  # s for which a warning stays on the diagnostics, so that a 1 Hz reader sees it


class _Place(NamedTuple):
    """The last believed pose, and the map around it; never changed, so any thread may look at it."""

    header: Header
    T_base_sensor: Matrix
    T_odom_sensor: Matrix
    map_points: Matrix


class ScanFollower:
    """Reads scans, follows the sensor through them and publishes where it is; used by one thread."""

    def __init__(
        self,
        odometry: Odometry,
        mounting: Mounting,
        outputs: RegisterOutputs,
        tiles: TileExchange,
        statistics: Statistics,
        clock: Clock,
        config_of_node: Callable[[], RegisterConfig],
    ) -> None:
        """Join the parts.

        Args:
            odometry: The pipeline.
            mounting: Where the sensor is on the robot.
            outputs: Where results go.
            tiles: Where the map goes.
            statistics: Counts them.
            clock: The node's clock, for the latency.
            config_of_node: Gives the parameters as they are now.
        """
        self.odometry, self._mounting, self._outputs, self._tiles = odometry, mounting, outputs, tiles
        self._statistics, self._clock, self._config_of_node = statistics, clock, config_of_node
        self._place: _Place | None = None
        self._sensor_frame = ""
        self._placed_at = 0.0
        self._shared_covariance = np.zeros((6, 6))
        self._num_unbelieved = 0
        self._warning, self._warned_at = "", -WARNING_SHOWN

    def process(self, message: PointCloud2) -> None:
        """Place one scan and publish what is listened to.

        Raises:
            PointCloud2Error: If the message contradicts itself.
            PoseError: If it is not known where the sensor is on the robot.
        """
        config, started = self._config_of_node(), time.perf_counter()
        cloud = read_points(message)
        if len(cloud.xyz) > config.max_points:
            raise PointCloud2Error(f"got {len(cloud.xyz)} points, expected at most max_points = {config.max_points}")
        stamp = seconds_of(message.header.stamp)
        times, deskew_text = _read_times(cloud, stamp, config)
        self.check_frame(message.header.frame_id)
        mounted = self._mounting.find(message.header.frame_id)
        read = time.perf_counter()
        result = self.odometry.process(cloud.xyz, stamp, times)
        placed = time.perf_counter()
        self._publish(message.header, result, mounted, config)
        self._publish_points(message.header, cloud, times, result, config)
        ended = time.perf_counter()
        stages = {"preprocess": read - started, "registration": placed - read, "postprocess": ended - placed}
        timings_ms = {name: 1e3 * seconds for name, seconds in (*stages.items(), ("total", ended - started))}
        timings_ms.update(pipeline_latency(self._clock, message.header.stamp))
        self._outputs.timings.publish(timings_ms)
        self._count(result, timings_ms, deskew_text, config)

    def check_frame(self, sensor_frame: str) -> None:
        """Refuse clouds of other frames: it is one sensor that is followed, until the node is reset. Any thread.

        Raises:
            PoseError: If it is another.
        """
        followed = self._sensor_frame
        if followed not in ("", sensor_frame):
            raise PoseError(f"got a cloud in frame '{sensor_frame}', expected '{followed}' as before")

    def publish_if_due(self) -> None:
        """Publish path and map tile if it is time to."""
        self._outputs.publish_path_if_due(self._config_of_node().path_period)
        self._tiles.publish_if_due(None if self._place is None else self._place.header.stamp)

    def view_map(self) -> MapView:
        """The map as it is now; may be called by any thread.

        Raises:
            RuntimeError: If there is none yet.
        """
        place = self._place
        if place is None:
            raise RuntimeError("there is no map yet")
        points, T_base_sensor = place.map_points, place.T_base_sensor
        viewpoint = place.T_odom_sensor[:3, 3]
        radius = float(np.linalg.norm(points - viewpoint, axis=1).max())
        rotation, translation = T_base_sensor[:3, :3], T_base_sensor[:3, 3]
        return MapView(points @ rotation.T + translation, rotation @ viewpoint + translation, radius, place.header)

    def reset(self) -> None:
        """Forget map, pose and path; the next scan begins anew."""
        self.odometry.reset()
        self._forget()

    def _forget(self) -> None:
        self._sensor_frame, self._place = "", None
        self._shared_covariance = np.zeros((6, 6))
        self._outputs.forget_path()

    def _publish(self, header: Header, result: OdometryResult, mounted: Mounted, config: RegisterConfig) -> None:
        """Publish the pose: believed, or held with its grown covariance; nothing before there is a first one."""
        if result.was_reset:
            self._forget()
        if self._place is None and not result.is_believed:
            return
        self._sensor_frame = header.frame_id
        motion = self._motion_of(seconds_of(header.stamp), result, mounted.T_base_sensor)
        pose = odometry_message(motion.T_odom_base, header.stamp, config.odom_frame, mounted.base_frame)
        if result.is_believed or config.publish_held:
            self._outputs.publish_odometry(fill_motion(pose, motion))
        if result.is_believed:
            self._place = _Place(pose.header, mounted.T_base_sensor, result.T_odom_sensor, self.odometry.map_points)
            self._outputs.publish_believed(pose, motion.T_odom_base, config.path_spacing)
        self.publish_if_due()

    def _motion_of(self, stamp: float, result: OdometryResult, T_base_sensor: Matrix) -> BaseMotion:
        is_moving = result.status in (OdometryStatus.TRACKING, OdometryStatus.DEGENERATE)
        period = stamp - self._placed_at if is_moving else 0.0
        if result.status is OdometryStatus.RESTARTED:
            self._shared_covariance = result.covariance
        if result.is_believed or result.status is OdometryStatus.RESTARTED:
            self._placed_at = stamp
        return base_motion(result, T_base_sensor, period, self._shared_covariance, self.odometry.config)

    def _publish_points(
        self, header: Header, cloud: CloudFields, times: Any, result: OdometryResult, config: RegisterConfig
    ) -> None:
        self._outputs.publish_sampled(header, cloud, result.sampled)
        has_twist = result.status in (OdometryStatus.TRACKING, OdometryStatus.DEGENERATE)
        field = find_time_field(cloud, config.time_field)
        if times is None or field is None or not has_twist or not self._outputs.wants_deskewed():
            return
        self._outputs.publish_deskewed(header, cloud, deskew(cloud.xyz, times, result.twist), field)

    def _count(
        self, result: OdometryResult, timings_ms: dict[str, float], deskew_text: str, config: RegisterConfig
    ) -> None:
        status, now = result.status.value, time.monotonic()
        self._num_unbelieved += not result.is_believed
        if not result.is_believed:
            self._statistics.note_error(f"{status}: {result.reason}", refused_scan=False)
        elif result.reason:
            self._warning, self._warned_at = f"{status}: {result.reason}", now
        facts = {
            "status": status,
            "fitness": f"{result.fitness:.2f}",
            "conditioning": f"{result.conditioning:.3f}",
            "sampled": len(result.sampled),
            "map_points": result.map_points,
            "unbelieved": self._num_unbelieved,
            "deskew": deskew_text,
        }
        warnings = (self._warning,) if now - self._warned_at < WARNING_SHOWN else ()
        self._statistics.count_processed(timings_ms, 1e3 * config.processing_limit, facts, warnings, result.was_reset)


def _read_times(cloud: CloudFields, stamp: float, config: RegisterConfig) -> tuple[Any, str]:
    """Seconds of each point after the stamp, or None, and what to say of them.

    Raises:
        PointCloud2Error: If the field was named by the user, and is missing or holds no times of a scan.
    """
    try:
        times = read_times(cloud, stamp, config.time_field, config.time_unit)
    except PointCloud2Error as error:
        if config.time_field:
            raise
        return None, f"off: {error}"
    return times, "off: points have no times" if times is None else "on"
