# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labelled map of a simulated drive, as a perfect segmentation would publish it: rolling, kept for late joiners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.codec.tile import TILE_SIZE
from kpconv_ros.config_io import param
from kpconv_ros.data.simulator import SimulatedScan
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, pack_columns
from kpconv_ros.nodes.qos import latched_qos

Array = NDArray[Any]
TOPIC = "lidar/true_map"


@dataclass(frozen=True)
class TrueMapConfig:
    """What the true map keeps."""

    map_period: float = param(0.0, "Seconds of the drive between two true maps; 0: none is made", 0.0, 60.0)
    map_radius: float = param(100.0, "Tiles farther than this from the lidar leave the true map, metres", 20.0, 2000.0)
    map_range: float = param(40.0, "Points farther than this from the lidar do not enter it, metres", 1.0, 1000.0)
    map_voxel: float = param(0.2, "One point of each such voxel is kept, a part of 20 m without remainder, metres",
                             0.02, 2.0)  # fmt: skip


class TrueMap:
    """Grows by scans, and is published every ``map_period``."""

    def __init__(self, node: Node, config: TrueMapConfig, frame_id: str) -> None:
        """Begin with an empty map.

        Args:
            node: Publishes it.
            config: What is kept.
            frame_id: The map frame.

        Raises:
            MappingError: If the voxels do not fit into a tile.
        """
        self._config, self._frame_id = config, frame_id
        self._map = TileMap(TILE_SIZE, config.map_voxel)
        self._publisher = node.create_publisher(PointCloud2, TOPIC, latched_qos())
        self._published_at = -np.inf

    def add(self, scan: SimulatedScan, drive_time: float, stamp: Time) -> None:
        """Add a scan, and publish if it is time.

        Args:
            scan: With its pose.
            drive_time: When it was taken, seconds into the drive.
            stamp: The same as a stamp.
        """
        if not self._config.map_period:
            return
        near = np.linalg.norm(scan.points[:, :2], axis=1) <= self._config.map_range
        points = scan.points[near] @ scan.T_map_sensor[:3, :3].T + scan.T_map_sensor[:3, 3]
        self._map.insert(points, scan.labels[near].astype(np.uint8))
        if drive_time - self._published_at >= self._config.map_period - 1e-6:
            self._published_at = drive_time
            self._leave_behind(scan.T_map_sensor[:3, 3])
            self._publisher.publish(self._message(stamp))

    def _leave_behind(self, position: Array) -> None:
        for key in list(self._map.tiles):
            middle = (np.array(key) + 0.5) * TILE_SIZE
            if np.linalg.norm(middle - position[:2]) > self._config.map_radius:
                del self._map.tiles[key]

    def _message(self, stamp: Time) -> PointCloud2:
        tiles = self._map.tiles.items()
        points = [tile.points + np.array([*key, 0]) * TILE_SIZE for key, tile in tiles]
        x, y, z = np.concatenate(points).astype(np.float32).T
        columns = pack_columns(x=x, y=y, z=z, label=np.concatenate([tile.labels for _, tile in tiles]))
        return cloud_message(columns, Header(stamp=stamp, frame_id=self._frame_id), is_dense=True)
