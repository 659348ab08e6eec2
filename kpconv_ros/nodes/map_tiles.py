# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two robots find each other: ``~/output/map_tile``, ``~/input/map_tile`` and the service ``~/register_map``.

Encoding and registration take a thread of their own, so neither scans nor callbacks wait for them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future as RosFuture
from std_msgs.msg import Header

from kpconv_ros.nodes.pointcloud2_msg import message_bytes
from kpconv_ros.nodes.pose_msg import Matrix, pose_of_matrix
from kpconv_ros.nodes.qos import has_listener, latched_qos
from kpconv_ros.pipelines.map_registration import MapRegistrar, MapRegistrarConfig
from kpconv_ros.registration.map_tile import unpack_tile
from kpconv_ros.registration.pair_covariance import measure_pair_covariance

INPUT_TOPIC = "~/input/map_tile"
MAX_MESSAGE_BYTES = 4096
BYTES_BESIDE_DATA = 64  # of a serialised MapTile without its names
TILE_POINTS = 212  # leave 176 bytes to the names of frame and node


class MapView(NamedTuple):
    """A map as it is at a moment."""

    points: Matrix
    """``(N, 3)``, metres, odometry frame."""
    viewpoint: Matrix
    """``(3,)``, where the sensor is."""
    radius: float
    """How far the map reaches, metres."""
    header: Header
    """Stamp of the last scan in it, and the odometry frame."""


class TileExchange:
    """Publishes the own map as a tile, keeps the last one of another robot, and registers the two when asked."""

    def __init__(
        self, node: LifecycleNode, config: MapRegistrarConfig, period: float, view_map: Callable[[], MapView]
    ) -> None:
        """Create publisher, subscription and service.

        Args:
            node: The node that has them.
            config: How maps are sampled and registered.
            period: Time between two tiles, seconds.
            view_map: Gives the map, called in the thread of the tiles; raises RuntimeError when there is none.

        Raises:
            ImportError: If the package's messages were not built.
        """
        importlib.import_module("open3d")  # takes seconds, in which no scan could be placed
        self._messages = tile_classes()
        keypoints = replace(config.keypoints, max_points=min(config.keypoints.max_points, TILE_POINTS))
        self._registrar = MapRegistrar(replace(config, keypoints=keypoints))
        self._node, self._period, self._view_map = node, period, view_map
        self._same_distance = config.search.same_distance
        self._heard: Any = None
        self._published_at, self._published_stamp = 0.0, None
        self._thread = ThreadPoolExecutor(1, "kpconv_tiles")
        self._pending: Future[None] | None = None
        self._publisher = node.create_lifecycle_publisher(self._messages.tile, "~/output/map_tile", latched_qos())
        self._subscription = node.create_subscription(self._messages.tile, INPUT_TOPIC, self._on_tile, latched_qos())
        # In a group of its own: a request that is being worked on would hold up all other callbacks of its group.
        group = MutuallyExclusiveCallbackGroup()
        service_class = self._messages.service
        self.service = node.create_service(service_class, "~/register_map", self._on_register, callback_group=group)

    def destroy(self) -> None:
        """Remove publisher and subscription and end the thread; the node removes the service."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._node.destroy_lifecycle_publisher(self._publisher)
        self._node.destroy_subscription(self._subscription)

    def publish_if_due(self, stamp: Any) -> None:
        """Have the map published if ``period`` seconds have passed, it has changed and somebody listens.

        Args:
            stamp: Of the last scan in the map; None when there is none.
        """
        now = time.monotonic()
        is_busy = self._pending is not None and not self._pending.done()
        if stamp is None or stamp == self._published_stamp or is_busy or now - self._published_at < self._period:
            return
        if has_listener(self._publisher):
            self._published_at, self._published_stamp = now, stamp
            self._pending = self._thread.submit(self._publish)

    def _publish(self) -> None:
        try:
            self._publisher.publish(self._own_tile())
        except (RuntimeError, ValueError) as error:  # a place without anything salient, or a node that ends
            self._node.get_logger().warning(f"no map tile: {error}", throttle_duration_sec=5.0)

    def _own_tile(self) -> Any:
        view = self._view_map()
        data = self._registrar.encode(view.points, view.viewpoint)
        return tile_message(self._messages.tile, data, view, self._node.get_fully_qualified_name())

    def _on_tile(self, message: Any) -> None:
        self._heard = message

    async def _on_register(self, request: Any, response: Any) -> Any:
        """Register in the thread of the tiles while the executor goes on."""
        found: RosFuture[Any] = RosFuture(executor=self._node.executor)
        found.add_done_callback(lambda done: None)  # without one the executor is not woken
        running = self._thread.submit(self._register, request.tile, response)
        running.add_done_callback(lambda done: found.set_result(done.result()))
        return await found

    def _register(self, tile: Any, response: Any) -> Any:
        try:
            self._fill(response, tile if len(tile.data) else self._heard)
        except Exception as error:  # a damaged tile, or no map yet: the answer tells
            response.success, response.message = False, str(error)
            self._node.get_logger().error(f"register_map: {error}")
        return response

    def _fill(self, response: Any, tile: Any) -> None:
        if tile is None:
            topic = self._subscription.topic_name
            raise ValueError(f"got a request without a tile, expected one in it or heard on {topic}")
        other, own = bytes(tile.data), self._own_tile()
        found = self._registrar.register(source=other, target=bytes(own.data)).found
        points = [unpack_tile(data).points for data in (other, bytes(own.data))]
        pairs = measure_pair_covariance(points[0], points[1], found.T_target_source, self._same_distance)
        text = f"{pairs.num_pairs} of {len(points[0])} points lie on this map, {found.rmse:.2f} m apart"
        if not found.is_believed:
            raise ValueError(f"not found: only {text}")
        response.success, response.message = True, text
        response.header, response.child_frame_id = own.header, tile.header.frame_id
        response.transform.pose = pose_of_matrix(found.T_target_source)
        response.transform.covariance = pairs.covariance.ravel()
        response.fitness, response.num_inliers = float(found.overlap), pairs.num_pairs


class TileClasses(NamedTuple):
    """The generated classes."""

    tile: Any
    service: Any


def tile_classes() -> TileClasses:
    """The message MapTile and the service RegisterMap.

    Raises:
        ImportError: If the package's messages were not built.
    """
    try:
        from kpconv_ros.msg import MapTile
        from kpconv_ros.srv import RegisterMap
    except ImportError as error:
        raise ImportError("the messages of kpconv_ros are not built; run 'make build' (colcon build)") from error
    return TileClasses(MapTile, RegisterMap)


def tile_message(tile_class: Any, data: bytes, view: MapView, sender: str) -> Any:
    """A MapTile message of an encoded map.

    Raises:
        ValueError: If it would be larger than 4 kB because of its names.
    """
    size = len(data) + len(view.header.frame_id.encode()) + len(sender.encode()) + BYTES_BESIDE_DATA
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"got a tile of {size} bytes, expected at most {MAX_MESSAGE_BYTES}: shorten names or points")
    message = tile_class(header=view.header, sender=sender, radius=float(view.radius))
    message.num_points = len(unpack_tile(data).points)
    message.data = message_bytes(np.frombuffer(data, np.uint8))
    return message
