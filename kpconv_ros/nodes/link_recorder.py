# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recorder keeps of a thin link: every message, the map that went in, and the one that came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from kpconv_ros.codec.tile import TILE_SIZE
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.nodes.link import link_qos
from kpconv_ros.nodes.link_messages import link_classes
from kpconv_ros.nodes.qos import latched_qos
from kpconv_ros.nodes.record_node import MAP_TOPIC

if TYPE_CHECKING:
    from rclpy.subscription import MessageInfo

LATENTS_TOPIC = "encode/output/latents"
DECODED_TOPIC = "decode/output/map"


class LinkRecorder:
    """Listens for a recorder node."""

    def __init__(self, node: Node, map_voxel: float | None) -> None:
        """Subscribe.

        Args:
            node: The recorder.
            map_voxel: Of the maps that the sender is given one point of each such voxel is kept, metres; None: it is
                given scans, to which nobody listens here.

        Raises:
            ImportError: If the package's messages were not built.
        """
        self._node = node
        self._messages: list[tuple[int, bytes]] = []
        self._decoded: PointCloud2 | None = None
        self._map_voxel = map_voxel or 0.0
        self._given = None if map_voxel is None else TileMap(TILE_SIZE, map_voxel)
        node.create_subscription(link_classes().tile, LATENTS_TOPIC, self._on_message, link_qos())
        node.create_subscription(PointCloud2, DECODED_TOPIC, self._on_decoded, latched_qos())
        if self._given is not None:
            node.create_subscription(PointCloud2, MAP_TOPIC, self._on_map, latched_qos())

    def is_ready(self) -> bool:
        """Whether sender and receiver listen too."""
        topics = [LATENTS_TOPIC] if self._given is None else [LATENTS_TOPIC, MAP_TOPIC]
        return all(self._node.count_subscribers(topic) > 1 for topic in topics)

    def arrays(self) -> dict[str, Any]:
        """All that was heard, as arrays by name; times in nanoseconds."""
        points, labels = _columns_of(self._decoded)
        arrays = {
            "link_times": np.array([at for at, _ in self._messages], np.int64),
            "link_lengths": np.array([len(data) for _, data in self._messages], np.int64),
            "link_data": np.frombuffer(b"".join(data for _, data in self._messages), np.uint8),
            "decoded_points": points,
            "decoded_labels": labels,
        }
        if self._given is not None:
            tiles = [(np.array([*key, 0]) * TILE_SIZE, tile) for key, tile in self._given.tiles.items()]
            points = [tile.points + corner for corner, tile in tiles]
            arrays["given_points"] = np.concatenate([np.zeros((0, 3)), *points])
            arrays["given_labels"] = np.concatenate([np.zeros(0, np.uint8), *(tile.labels for _, tile in tiles)])
        return arrays

    def _on_message(self, message: Any, info: MessageInfo) -> None:
        self._messages.append((int(info["source_timestamp"]), bytes(message.data)))

    def _on_decoded(self, message: PointCloud2) -> None:
        self._decoded = message

    def _on_map(self, message: PointCloud2) -> None:
        points, labels = _columns_of(message)
        if not len(points):  # its maker began anew
            self._given = TileMap(TILE_SIZE, self._map_voxel)
        elif self._given is not None:
            self._given.insert(points, labels)


def _columns_of(message: PointCloud2 | None) -> tuple[Any, Any]:
    """Points ``(N, 3)`` and labels ``(N,)`` uint8 of a labelled cloud; none of None."""
    if message is None or not message.width * message.height:
        return np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    cloud = read_points(message)
    return cloud.xyz, np.array(cloud.points["label"], np.uint8)
