# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``view``: what the other nodes publish, live in a browser.

It only listens. Of every topic it keeps the latest message, and a worker draws these at a rate of its own: what it
looks at is never made to wait for it. Raw clouds are asked for only where nobody publishes labelled ones.
"""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32

from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error, read_points
from kpconv_ros.nodes import outputs, register_outputs
from kpconv_ros.nodes.latest_slot import Worker
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.pose_msg import PoseError
from kpconv_ros.nodes.poses import PoseConfig, PoseFinder
from kpconv_ros.nodes.qos import AdaptiveSubscription, latched_qos, stream_qos
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.nodes.view_diagnostics import Bandwidth, nodes_in, table_of
from kpconv_ros.nodes.view_topics import TOPICS
from kpconv_ros.viewing.config import ViewConfig
from kpconv_ros.viewing.error import ViewError

TIMINGS = {"segment": outputs.TIMINGS, "register": register_outputs.TIMINGS}
MAPS = ("map", "received")
LOOK_PERIOD = 1.0  # s between two looks at who publishes labels
LABELS_PATIENCE = 5.0  # s without a publisher of labels after which raw clouds are asked for
CLICK_PATIENCE = 2.0  # s that a click waits for the drawing in hand
LOG_PERIOD = 5.0  # s


class ViewNode(Node):
    """Draws the latest of everything."""

    def __init__(self) -> None:
        """Serve the page and subscribe.

        Raises:
            ParameterError: If a parameter is unknown or wrong.
            ViewError: If the page cannot be served.
            ImportError: If rerun-sdk is not installed.
        """
        self._closers: list[Callable[[], None]] = []
        super().__init__("view")
        self.config = declare_config(self, ViewConfig)
        pose_config = declare_config(self, PoseConfig)
        check_no_unknown_parameters(self)
        self._latest: dict[str, Any] = {}
        self._numbers: dict[str, float] = {}
        self._diagnostics: dict[str, Any] = {}
        self._bandwidth = Bandwidth()
        self._map_drawn_at = dict.fromkeys(MAPS, -np.inf)
        self._labels_seen_at = time.monotonic()
        self._points: AdaptiveSubscription | None = None
        self._serve()
        self._worker: Worker[bool] = Worker(self._draw, self._complain)
        self._closers.append(self._worker.stop)
        self._poses = PoseFinder(self, pose_config, TOPICS["odometry"])
        self._subscribe()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self.config.rate, self._draw_soon, clock=steady)
        self.create_timer(LOOK_PERIOD, self._follow_publishers, clock=steady)

    def destroy_node(self) -> None:
        """End the page and the drawing before the node goes."""
        while self._closers:
            self._closers.pop()()
        super().destroy_node()

    def _serve(self) -> None:
        try:
            from kpconv_ros.viewing.page import PageServer, check_ports
            from kpconv_ros.viewing.scene import Scene
        except ModuleNotFoundError as error:
            raise ImportError(f"{error}; pip install -r requirements-evaluation.txt brings it") from error
        address, port = self.config.address, self.config.port
        check_ports(address, (port, port + 1, port + 2))
        self._scene = Scene(self.config)
        self._closers.append(self._scene.close)
        page = PageServer(address, port, self._scene.classes, self._set_hidden, self._redraw)
        self._closers.append(page.close)
        url = f"http://{'localhost' if address in ('127.0.0.1', '0.0.0.0') else address}:{port}"
        self.get_logger().info(f"live view on {url}")
        if self.config.open_browser and not webbrowser.open(url):
            self.get_logger().warning(f"no browser was found; open {url}")

    def _subscribe(self) -> None:
        self._labels = AdaptiveSubscription(self, PointCloud2, TOPICS["labels"], self._keep("labels"), depth=1)
        for name in MAPS:
            self.create_subscription(PointCloud2, TOPICS[name], self._keep(name), latched_qos())
        self.create_subscription(Path, TOPICS["path"], self._keep("path"), latched_qos())
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, stream_qos(depth=20))
        for node, timings in TIMINGS.items():
            for timing in timings:
                callback = partial(self._on_number, f"latency/{node}/{timing}")
                self.create_subscription(Float32, f"{node}/debug/{timing}_ms", callback, stream_qos())
        try:
            label_info = outputs.label_info_class()
        except ImportError as error:
            self.get_logger().warning(f"classes will be shown by their numbers: {error}")
            return
        self.create_subscription(label_info, TOPICS["label_info"], self._keep("label_info"), latched_qos())

    def listen_to_points(self, wanted: bool) -> None:
        """Listen to raw clouds, or no more."""
        if wanted and self._points is None:
            self._points = AdaptiveSubscription(self, PointCloud2, TOPICS["points"], self._keep("points"), depth=1)
        elif not wanted and self._points is not None:
            self._points.destroy()
            self._points = None

    # --- in the executor's thread

    def _keep(self, name: str) -> Callable[[Any], None]:
        return partial(self._latest.__setitem__, name)

    def _on_number(self, entity: str, message: Float32) -> None:
        self._numbers[entity] = message.data

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        not_drawn = self._latest.get("diagnostics", {})
        self._latest["diagnostics"] = {**not_drawn, **nodes_in(message, time.monotonic())}

    def _draw_soon(self) -> None:
        if self._latest or self._numbers:
            self._worker.slot.put(True)

    def _follow_publishers(self) -> None:
        now = time.monotonic()
        if self.count_publishers(self._labels.topic_name):
            self._labels_seen_at = now
        self.listen_to_points(now - self._labels_seen_at > LABELS_PATIENCE)

    # --- in the worker's thread

    def _draw(self, _: bool) -> None:
        for name in list(self._latest):
            if name in MAPS and time.monotonic() - self._map_drawn_at[name] < self.config.map_period:
                continue
            try:
                self._draw_message(name, self._latest.pop(name))
            except (PointCloud2Error, PoseError, ViewError) as error:
                self._complain(error, name)
        numbers, self._numbers = self._numbers, {}
        for entity, value in numbers.items():
            self._scene.draw_number(entity, value)

    def _draw_message(self, name: str, message: Any) -> None:
        if name in ("labels", "points"):
            self._draw_scan(message)
        elif name in MAPS:
            cloud = read_points(message)
            self._scene.draw_map(name, cloud.xyz, labels_in(cloud), message.header.frame_id)
            self._map_drawn_at[name] = time.monotonic()
        elif name == "path":
            places = [pose.pose.position for pose in message.poses]
            positions = np.array([(place.x, place.y, place.z) for place in places]).reshape(-1, 3)
            self._scene.draw_path(positions, message.header.frame_id)
        elif name == "label_info":
            names = dict(zip(message.labels, message.names))
            colors = dict(zip(message.labels, zip(message.red, message.green, message.blue)))
            self._scene.set_classes(names, colors)
        else:
            self._draw_diagnostics(message)

    def _draw_scan(self, message: PointCloud2) -> None:
        cloud, pose = read_points(message), self._poses.find(message.header)
        self._scene.draw_scan(cloud.xyz, labels_in(cloud), pose.T_map_sensor, pose.map_frame)

    def _draw_diagnostics(self, found: dict[str, Any]) -> None:
        self._diagnostics.update(found)
        self._scene.draw_text(table_of(self._diagnostics))
        for node, status in found.items():
            for entity, value in self._bandwidth.curves(node, status).items():
                self._scene.draw_number(entity, value)

    def _redraw(self) -> None:
        """A browser opened the page, in a thread of the page's."""
        self._worker.call(self._scene.redraw)

    def _set_hidden(self, label: int, hidden: bool) -> None:
        """A click on the legend, in a thread of the page's."""
        wait([self._worker.call(partial(self._scene.set_hidden, label, hidden))], CLICK_PATIENCE)

    def _complain(self, error: Exception, name: str = "drawing") -> None:
        if self.context.ok():
            self.get_logger().warning(f"{name}: {error}", throttle_duration_sec=LOG_PERIOD)


def labels_in(cloud: CloudFields) -> np.ndarray[Any, Any] | None:
    """The field ``label`` of a cloud, ``(N,)``; None where there is none."""
    return np.asarray(cloud.points["label"]) if "label" in (cloud.points.dtype.names or ()) else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(ViewNode, argv)


if __name__ == "__main__":
    sys.exit(main())
