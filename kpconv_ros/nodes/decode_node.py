# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``decode``: tiles from a thin link in, a labelled map out, and requests for what is missing.

Life cycle and diagnostics are those of `kpconv_ros.nodes.scan_node`; the method is in
`kpconv_ros.pipelines.map_decoder`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.nodes.encode_config import DecodeConfig
from kpconv_ros.nodes.link import Link
from kpconv_ros.nodes.link_messages import link_classes
from kpconv_ros.nodes.parameters import LiveConfig
from kpconv_ros.nodes.pointcloud2_msg import packed_message
from kpconv_ros.nodes.qos import Input, has_listener, latched_qos
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.scan_node import LOG_PERIOD, ScanNode, Work
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.pipelines.map_decoder import MapDecoder, MapDecoderConfig
from kpconv_ros.pipelines.tile_codec import TileCodecConfig, make_codec

NO_FACTS = {"tiles": 0, "session": "", "absent": 0, "outdated": 0, "packets_refused": 0}
CHECK_PERIOD = 0.1  # s between two looks at what is due


class DecodeNode(ScanNode[DecodeConfig]):
    """Lifecycle node around a `MapDecoder`."""

    work_text = "receiving"
    reset_text = "the map is empty"
    input_topic = "~/input/latents"

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters, and start when ``autostart`` is set.

        Args:
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        self._decoder: MapDecoder | None = None
        self._link: Link | None = None
        self._map_is_new = False
        self._map_published_at = self._requested_at = 0.0
        super().__init__("decode", DecodeConfig, NO_FACTS, **node_arguments)
        self._codec_settings = LiveConfig(self, TileCodecConfig)
        self._pipeline_settings = LiveConfig(self, MapDecoderConfig)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._check_timer = self.create_timer(CHECK_PERIOD, self._check_soon, clock=steady)
        self.begin()

    def load(self) -> None:
        """Join the link; create the publisher of the map."""
        self._classes = link_classes()
        self._decoder = MapDecoder(self._pipeline_settings.config, make_codec(self._codec_settings.config))
        self._link = Link(self, self._settings.config.link_domain)
        self._requests = self._link.publisher(self._classes.request, "~/output/requests")
        self._map = self.create_lifecycle_publisher(PointCloud2, "~/output/map", latched_qos())

    def unload(self) -> None:
        """Leave the link."""
        if self._link is not None:
            self._link.destroy()
            self.destroy_lifecycle_publisher(self._map)
        self._link, self._decoder = None, None

    def start_work(self) -> Work:
        """Nothing but the input is listened to."""
        return Work(self._receive, lambda: None, self._reset)

    def end_work(self) -> None:
        """Nothing to end."""

    def listen(self) -> Input:
        """Subscribe to the link; no message is dropped for a newer one."""
        assert self._link is not None
        return self._link.subscribe(self._classes.tile, self.input_topic, self._on_tiles)

    def facts(self) -> dict[str, object]:
        """The domain of the link."""
        return {"link_domain": self._settings.config.link_domain}

    def warnings(self) -> tuple[str, ...]:
        """Whether nothing comes any more."""
        last = self.statistics.snapshot().last_received_at
        silence = time.monotonic() - last
        is_silent = last and silence > self._settings.config.silence_limit
        return (f"no message for {silence:.0f} s",) if is_silent else ()

    def destroy_node(self) -> None:
        """Leave the link, whose thread must end before the process does."""
        self._stop()
        if self._link is not None:
            self._link.destroy()
        super().destroy_node()

    # --- in the worker's thread

    def _receive(self, message: Any) -> None:
        """Take the packets of a message."""
        decoder = self._decoder
        if decoder is None:
            return
        started = time.perf_counter()
        reception = decoder.receive(int(message.session), bytes(message.data), time.monotonic())
        self._map_is_new |= reception.num_tiles > 0
        for error in reception.errors:
            self.statistics.note_error(error)
            self.get_logger().error(f"packet refused: {error}", throttle_duration_sec=LOG_PERIOD)
        absent, outdated = decoder.count_missing()
        facts = {
            "tiles": decoder.num_tiles(),
            "session": "" if decoder.session is None else f"{decoder.session:08x}",
            "absent": absent,
            "outdated": outdated,
            "packets_refused": decoder.num_refused,
        }
        timings_ms = {"total": 1e3 * (time.perf_counter() - started)}
        self.statistics.count_processed(timings_ms, 1e3 * self._settings.config.processing_limit, facts)

    def _check(self) -> None:
        """Publish the map and ask for what is missing, when it is time."""
        decoder, config, now = self._decoder, self._settings.config, time.monotonic()
        if decoder is None or not self.context.ok():
            return
        if now - self._requested_at >= config.request_period:
            self._requested_at = now
            self._request(decoder, now)
        is_due = now - self._map_published_at >= config.map_period
        if is_due and self._map_is_new and decoder.frame and has_listener(self._map):
            self._map_published_at, self._map_is_new = now, False
            points, labels = decoder.points()
            header = Header(frame_id=decoder.frame, stamp=self.get_clock().now().to_msg())
            self._map.publish(packed_message(pack_xyz(points, label=labels), header, True))

    def _request(self, decoder: MapDecoder, now: float) -> None:
        missing = decoder.missing(now)
        keys = [*missing.absent, *missing.lost]
        if keys or missing.everything:
            tiles = [number for key in keys for number in key]
            request = self._classes.request(session=decoder.session, num_absent=len(missing.absent), tiles=tiles)
            self._requests.publish(request)

    def _reset(self) -> None:
        if self._decoder is not None:
            self._decoder.reset()

    # --- in the executor's and the link's threads

    def _on_tiles(self, message: Any) -> None:
        self.statistics.count_received()
        if self._settings.config.enabled:
            self._do(lambda: self._receive(message))

    def _check_soon(self) -> None:
        self._do(self._check)

    def _do(self, job: Any) -> None:
        if self.worker is not None:
            self.worker.call(job).add_done_callback(self._report)

    def _report(self, done: Any) -> None:
        error = done.exception()
        if error is not None and self.context.ok():
            text = f"{type(error).__name__}: {error}"
            self.statistics.note_error(text)
            self.get_logger().error(f"cannot decode: {text}", throttle_duration_sec=LOG_PERIOD)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(DecodeNode, argv)


if __name__ == "__main__":
    sys.exit(main())
