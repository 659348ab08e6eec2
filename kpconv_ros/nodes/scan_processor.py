# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From one PointCloud2 to published labels: what the worker thread of the segment node does with each scan."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.clock import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error, read_points
from kpconv_ros.nodes.diagnostics import Statistics
from kpconv_ros.nodes.outputs import ScanOutputs, kept_labels
from kpconv_ros.nodes.pose_msg import seconds_of, stamp_of
from kpconv_ros.nodes.poses import PoseFinder, ScanPose
from kpconv_ros.nodes.segment_config import SegmentConfig
from kpconv_ros.nodes.timings import pipeline_latency
from kpconv_ros.pipelines.live_segmenter import LabelledScan, LiveSegmenter

NO_FACTS = {"pose_source": "", "pose_wait_ms": "", "spheres_per_scan": 0, "map_voxels": 0}
"""What the diagnostics tell before the first scan."""


class ScanProcessor:
    """Reads, poses, segments and publishes scans; used by one thread."""

    def __init__(
        self,
        segmenter: LiveSegmenter,
        manifest: Any,
        poses: PoseFinder,
        outputs: ScanOutputs,
        statistics: Statistics,
        clock: Clock,
        config_of_node: Callable[[], SegmentConfig],
    ) -> None:
        """Join the parts.

        Args:
            segmenter: The pipeline.
            manifest: Its model's manifest.
            poses: Where poses come from.
            outputs: Where results go.
            statistics: Counts them.
            clock: The node's clock, for the latency.
            config_of_node: Gives the parameters as they are now.
        """
        self.segmenter, self._manifest, self._poses = segmenter, manifest, poses
        self._outputs, self._statistics, self._clock, self._config_of_node = outputs, statistics, clock, config_of_node
        self._map_frame = ""
        self._beginning = 0
        self._map_stamp = 0.0
        self._map_published_at = 0.0
        self._map_is_new = False
        self._pose_wait_ms = 0.0

    def process(self, message: PointCloud2) -> None:
        """Segment one scan and publish what is listened to.

        Raises:
            PointCloud2Error: If the message contradicts itself or lacks what the model needs.
            PoseError: If the pose cannot be had.
        """
        config = self._config_of_node()
        started = time.perf_counter()
        cloud = read_points(message)
        self._check(cloud, config)
        asked = time.perf_counter()
        pose = self._poses.find(message.header)
        self._pose_wait_ms = 1e3 * (time.perf_counter() - asked)
        read_ms = 1e3 * (time.perf_counter() - started)
        scan = self._segment(cloud, config.intensity_scale, pose, message.header)
        publishing = time.perf_counter()
        kept = kept_labels(self._manifest.classes, config.classes_kept, config.classes_removed)
        self._outputs.publish_scan(message.header, cloud, scan.labels, scan.confidence, kept)
        timings_ms = dict(scan.timings_ms)
        timings_ms["preprocess"] += read_ms
        timings_ms["postprocess"] += 1e3 * (time.perf_counter() - publishing)
        timings_ms["total"] = 1e3 * (time.perf_counter() - started)
        self._finish(scan, timings_ms, pose, message.header, config)

    def publish_map_if_due(self) -> None:
        """Publish the map if it changed, ``map_period`` has passed and somebody listens."""
        now = time.monotonic()
        if now - self._map_published_at < self._config_of_node().map_period:
            return
        if not self._map_is_new or not self._outputs.has_map_listener():
            return
        header = Header(frame_id=self._map_frame, stamp=stamp_of(self._map_stamp))
        kept = kept_labels(self._manifest.classes, (), self._config_of_node().map_classes_removed)
        self._outputs.publish_map(header, self.segmenter.map_snapshot(), kept)
        self._map_published_at, self._map_is_new = now, False

    def reset(self) -> None:
        """Forget the map and its votes, and say so by an empty map to those who keep what they hear of it."""
        self.segmenter.reset()
        self._map_is_new = False
        if self._map_frame and self._outputs.has_map_listener():
            header = Header(frame_id=self._map_frame, stamp=stamp_of(self._map_stamp))
            self._outputs.publish_map(header, self.segmenter.map_snapshot(), kept_labels((), (), ()))

    def _segment(self, cloud: CloudFields, intensity_scale: float, pose: ScanPose, header: Header) -> LabelledScan:
        if pose.map_frame != self._map_frame:
            self.segmenter.reset()
            self._map_frame = pose.map_frame
        began_anew, self._beginning = pose.beginning != self._beginning, pose.beginning
        if began_anew:
            self.reset()
        if len(cloud.points) == 0:
            timings_ms = dict.fromkeys(("preprocess", "inference", "postprocess", "total"), 0.0)
            return LabelledScan(np.zeros(0, np.uint8), np.zeros(0, np.float32), timings_ms, 0, 0, began_anew)
        self._map_stamp = seconds_of(header.stamp)
        self._map_is_new = True
        scan = self.segmenter.process_cloud(cloud, pose.T_map_sensor, self._map_stamp, intensity_scale)
        return dataclasses.replace(scan, was_reset=scan.was_reset or began_anew)

    def _check(self, cloud: CloudFields, config: SegmentConfig) -> None:
        if len(cloud.points) > config.max_points:
            raise PointCloud2Error(f"got {len(cloud.points)} points, expected at most max_points = {config.max_points}")
        if cloud.intensity_name is None and "intensity" in self._manifest.features and len(cloud.points):
            names = [field.name for field in cloud.fields]
            raise PointCloud2Error(f"got fields {names}, expected an intensity, which the model needs")

    def _finish(
        self, scan: LabelledScan, timings_ms: dict[str, float], pose: ScanPose, header: Header, config: SegmentConfig
    ) -> None:
        timings_ms.update(pipeline_latency(self._clock, header.stamp))
        self._outputs.timings.publish(timings_ms)
        facts = {
            "pose_source": pose.source,
            "pose_wait_ms": f"{self._pose_wait_ms:.1f}",
            "spheres_per_scan": scan.num_spheres,
            "map_voxels": scan.num_voxels,
        }
        warnings = (f"scan by scan: {self._poses.reason_alone}",) if pose.source == "none" else ()
        self._statistics.count_processed(timings_ms, 1e3 * config.processing_limit, facts, warnings, scan.was_reset)
        self.publish_map_if_due()
