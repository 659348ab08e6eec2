# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``encode``: a labelled map or labelled scans in, tiles for a thin link out, never above a rate of bits.

Life cycle, input and diagnostics are those of `kpconv_ros.nodes.scan_node`; the method is in
`kpconv_ros.pipelines.map_encoder`.
"""

from __future__ import annotations

import random
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2

from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error, read_points
from kpconv_ros.nodes.encode_config import EncodeConfig
from kpconv_ros.nodes.link import Link, LinkInput
from kpconv_ros.nodes.link_messages import link_classes
from kpconv_ros.nodes.parameters import LiveConfig
from kpconv_ros.nodes.pose_msg import seconds_of
from kpconv_ros.nodes.poses import PoseConfig, PoseFinder
from kpconv_ros.nodes.qos import has_listener
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.scan_node import LOG_PERIOD, ScanNode, Work
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.pipelines.map_encoder import MapEncoder, MapEncoderConfig
from kpconv_ros.pipelines.tile_codec import TileEncodingConfig, make_codec

NO_FACTS = {"tiles": 0, "session": "", "backlog": "", "sent_kb": 0, "encoded": 0, "tile_bytes": "", "coders": ""}
SEND_PERIOD = 0.025  # s between two looks at what may be sent
JOIN_PERIOD = 1.0  # s in which the middleware introduces a new receiver, and the link is full of that
WAITING_SCANS = 10  # while tiles are encoded; what one scan saw, the next may not
TIME_JUMP = 1.0  # s backwards that begin a new map


class EncodeNode(ScanNode[EncodeConfig]):
    """Lifecycle node around a `MapEncoder`."""

    work_text = "sending"
    reset_text = "the map is empty, and a new session has begun"

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters, and start when ``autostart`` is set.

        Args:
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        self._encoder: MapEncoder | None = None
        self._poses: PoseFinder | None = None
        self._link: Link | None = None
        self._requests: LinkInput | None = None
        self._beginning = 0
        self._listeners, self._joined_at = 0, 0.0
        super().__init__("encode", EncodeConfig, NO_FACTS, **node_arguments)
        self._pose_settings = LiveConfig(self, PoseConfig)
        self._codec_settings = LiveConfig(self, TileEncodingConfig)
        self._pipeline_settings = LiveConfig(self, MapEncoderConfig, self._configure_pipeline)
        self._send_timer = self.create_timer(
            SEND_PERIOD, self._send_soon, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self.begin()

    def load(self) -> None:
        """Join the link and make the pipeline ready."""
        config = self._settings.config
        self.input_is_kept = config.input == "map"
        self.input_topic = "~/input/map" if self.input_is_kept else "~/input/points"
        self._classes, self._codec = link_classes(), make_codec(self._codec_settings.config)
        self._link = Link(self, config.link_domain)
        self._latents = self._link.publisher(self._classes.tile, "~/output/latents")
        self._begin_map()
        pipeline = self._pipeline_settings.config
        self.get_logger().info(f"{pipeline.rate:g} bit/s; tiles of {', '.join(map(str, pipeline.levels))} bytes")

    def unload(self) -> None:
        """Leave the link."""
        if self._link is not None:
            self._link.destroy()
        self._link, self._encoder = None, None

    def start_work(self) -> Work:
        """Listen to poses and requests."""
        assert self._link is not None
        if self._settings.config.input == "scans":
            self._poses = PoseFinder(self, self._pose_settings.config)
        self._requests = self._link.subscribe(self._classes.request, "~/input/requests", self._on_request)
        capacity = 1 if self.input_is_kept else WAITING_SCANS
        return Work(self._process, lambda: None, self._begin_map, capacity=capacity)

    def end_work(self) -> None:
        """Listen no more."""
        for source in (self._poses, self._requests):
            if source is not None:
                source.close() if isinstance(source, PoseFinder) else source.destroy()
        self._poses, self._requests = None, None

    def facts(self) -> dict[str, object]:
        """Link, cap and listeners."""
        listeners = self._latents.get_subscription_count() if self._link is not None else 0
        cap = self._pipeline_settings.config.rate / 1000
        return {"link_domain": self._settings.config.link_domain, "cap_kbit_s": cap, "listeners": listeners}

    def warnings(self) -> tuple[str, ...]:
        """Whether nobody hears."""
        return () if self._link is None or has_listener(self._latents) else ("no receiver was found",)

    def destroy_node(self) -> None:
        """Leave the link, whose thread must end before the process does."""
        self._stop()
        if self._link is not None:
            self._link.destroy()
        super().destroy_node()

    # --- in the worker's thread

    def _begin_map(self) -> None:
        self._session = random.getrandbits(32)
        self._encoder = MapEncoder(self._pipeline_settings.config, time.monotonic(), self._codec)
        self._stamp, self._frame = 0.0, ""

    def _process(self, message: PointCloud2) -> None:
        """Add a cloud to the map."""
        started = time.perf_counter()
        cloud = read_points(message)
        config = self._settings.config
        if len(cloud.xyz) > config.max_points:
            raise PointCloud2Error(f"got {len(cloud.xyz)} points, expected at most max_points = {config.max_points}")
        labels = labels_of(cloud)
        points, position, frame, beginning = self._place(cloud, message)
        stamp = seconds_of(message.header.stamp)
        assert self._encoder is not None
        was_reset = stamp < self._stamp - TIME_JUMP or (frame, beginning) != (self._frame or frame, self._beginning)
        if was_reset:
            self._begin_map()
        self._stamp, self._frame, self._beginning = stamp, frame, beginning
        if len(points):
            insert = self._encoder.insert if self._poses is None else self._encoder.insert_scan
            insert(points, labels, position, frame, time.monotonic())
        timings_ms = {"total": 1e3 * (time.perf_counter() - started)}
        limit_ms = 1e3 * config.processing_limit
        facts = {"session": f"{self._session:08x}", **facts_of(self._encoder)}
        self.statistics.count_processed(timings_ms, limit_ms, facts, was_reset=was_reset)

    def _place(self, cloud: CloudFields, message: PointCloud2) -> tuple[Any, Any, str, int]:
        """Points in the map frame, where the robot is (in the middle of a map that rolls), the frame, its beginning."""
        frame = str(message.header.frame_id)
        if self._poses is None:
            return cloud.xyz, cloud.xyz.mean(axis=0) if len(cloud.xyz) else np.zeros(3), frame, 0
        pose = self._poses.find(message.header)
        if pose.T_map_sensor is None:
            raise PointCloud2Error(f"got a scan without a pose ({self._poses.reason_alone}), expected one for the map")
        rotation, position = pose.T_map_sensor[:3, :3], pose.T_map_sensor[:3, 3]
        return cloud.xyz @ rotation.T + position, position, pose.map_frame, pose.beginning

    def _send(self) -> None:
        """Send what the rate allows."""
        encoder = self._encoder
        while encoder is not None and self.context.ok():
            data = encoder.next_message(time.monotonic())
            if data is None:
                return
            self._latents.publish(self._classes.tile(session=self._session, data=array("B", data)))

    def _take_request(self, request: Any) -> None:
        if self._encoder is None or request.session != self._session:
            return
        numbers = [int(number) for number in request.tiles]
        keys = list(zip(numbers[::2], numbers[1::2]))
        num_absent = int(request.num_absent)
        self._encoder.request(keys[:num_absent], keys[num_absent:], time.monotonic())
        if not keys:
            self._encoder.announce_all()

    def _forget_map(self) -> None:
        """Begin anew, if anything is there."""
        if self._encoder is not None and self._encoder.num_tiles():
            self._begin_map()

    # --- in the executor's and the link's threads

    def _on_cloud(self, message: PointCloud2) -> None:
        """An empty map tells that its frame begins anew, which no newer map may cover up."""
        if self._settings.config.input == "map" and not message.width * message.height and self.worker is not None:
            self.worker.slot.clear()
            self._do(self._forget_map)
        super()._on_cloud(message)

    def _send_soon(self) -> None:
        if self.worker is not None and self._settings.config.enabled and self._has_settled_listener():
            self._do(self._send)

    def _has_settled_listener(self) -> bool:
        listeners, now = int(self._latents.get_subscription_count()), time.monotonic()
        if listeners > self._listeners:
            self._joined_at = now
        self._listeners = listeners
        return listeners > 0 and now - self._joined_at >= JOIN_PERIOD

    def _on_request(self, request: Any) -> None:
        self._do(lambda: self._take_request(request))

    def _do(self, job: Any) -> None:
        if self.worker is not None:
            self.worker.call(job).add_done_callback(self._report)

    def _report(self, done: Any) -> None:
        error = done.exception()
        if error is not None and self.context.ok():
            text = f"{type(error).__name__}: {error}"
            self.statistics.note_error(text, refused_scan=False)
            self.get_logger().error(f"cannot send: {text}", throttle_duration_sec=LOG_PERIOD)

    def _configure_pipeline(self, config: MapEncoderConfig) -> None:
        if self._encoder is not None:
            self._encoder.config = config


def labels_of(cloud: CloudFields) -> Any:
    """The field ``label`` of a cloud, ``(N,)`` uint8; zeros where there is none."""
    names = cloud.points.dtype.names or ()
    if "label" not in names:
        return np.zeros(len(cloud.xyz), np.uint8)
    return np.clip(cloud.points["label"], 0, 255).astype(np.uint8)


def facts_of(encoder: MapEncoder) -> dict[str, object]:
    """What the diagnostics tell of what was sent."""
    tiles, num_bytes = encoder.backlog()
    sent = list(encoder.sent.values())
    facts: dict[str, Any] = {
        "tiles": encoder.num_tiles(),
        "backlog": f"{tiles} tiles, {num_bytes} bytes",
        "sent_kb": round(encoder.num_bytes / 1000, 1),
        "encoded": encoder.num_encoded,
    }
    for level, (codes, num_bytes) in sorted(encoder.sent_of_level.items()):
        facts[f"level_{level}"] = f"{codes} codes, {num_bytes} bytes"
        if distortions := encoder.distortions[level]:
            middle, worst = np.percentile(distortions, [50, 95])
            facts[f"level_{level}"] += f", {middle:.3f} m (95 %: {worst:.3f})"
    if sent:
        sizes = [tile.num_bytes for tile in sent]
        facts["tile_bytes"] = f"{np.median(sizes):.0f} (most {max(sizes)})"
        facts["coders"] = ", ".join(sorted({tile.coder for tile in sent}))
    return facts


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(EncodeNode, argv)


if __name__ == "__main__":
    sys.exit(main())
