# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``record_map``: writes down when which part of a map was published, and where an odometry was meanwhile."""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.qos import AdaptiveSubscription, latched_qos
from kpconv_ros.nodes.spinning import spin_node


@dataclass(frozen=True)
class RecordMapConfig:
    """What to write."""

    output: str = param("", "file to write at the end (.npz)")
    diagnosed: str = param(
        "", "node whose last diagnostics of each session are written to a .json beside it; empty: none"
    )
    tile_size: float = param(20.0, "edge of the parts into which the map is cut [m]", 1.0, 1000.0)

    def __post_init__(self) -> None:
        """Check that there is a file."""
        if not self.output.endswith(".npz"):
            raise ConfigError(f"output: got '{self.output}', expected a file name ending in .npz")


class RecordMapNode(Node):
    """Keeps every version of every part of the map; the file ``.started`` beside it tells of the first odometry."""

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        super().__init__("record_map")
        self.config = declare_config(self, RecordMapConfig)
        check_no_unknown_parameters(self)
        self._checksums: dict[tuple[int, int], int] = {}
        self._versions: list[tuple[float, tuple[int, int], Any, Any]] = []
        self._poses: list[tuple[float, float, float, float]] = []
        self._maps = self.create_subscription(PointCloud2, "~/input/map", self._on_map, latched_qos())
        self._diagnosed: dict[str, dict[str, str]] = {}
        if self.config.diagnosed:
            self._diagnostics = self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._odometry = AdaptiveSubscription(self, Odometry, "~/input/odometry", self._on_odometry)

    def destroy_node(self) -> None:
        """Write the file before the node goes."""
        lengths = [len(points) for _, _, points, _ in self._versions]
        points = [points for _, _, points, _ in self._versions]
        np.savez(
            Path(self.config.output),
            times=np.array([at for at, _, _, _ in self._versions]),
            keys=np.array([key for _, key, _, _ in self._versions], np.int64).reshape(-1, 2),
            lengths=np.array(lengths, np.int64),
            points=np.concatenate(points) if points else np.zeros((0, 3), np.float32),
            labels=np.concatenate([labels for _, _, _, labels in self._versions]) if points else np.zeros(0, np.uint8),
            poses=np.array(self._poses).reshape(-1, 4),
        )
        if self.config.diagnosed:
            text = json.dumps(self._diagnosed, indent=1)
            Path(self.config.output).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        super().destroy_node()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            if status.name.split(":")[0].strip("/") == self.config.diagnosed and values.get("session"):
                self._diagnosed[values["session"]] = values

    def _on_map(self, message: PointCloud2) -> None:
        now, cloud = time.time(), read_points(message)
        labels = cloud.points["label"] if len(cloud.xyz) else np.zeros(0, np.uint8)
        keys = np.floor((cloud.xyz[:, :2].astype(np.float64)) / self.config.tile_size).astype(np.int64)
        order = np.lexsort(keys.T)
        ends = np.flatnonzero((np.diff(keys[order], axis=0) != 0).any(axis=1)) + 1
        for rows in np.split(order, ends) if len(order) else []:
            key = (int(keys[rows[0], 0]), int(keys[rows[0], 1]))
            checksum = zlib.crc32(cloud.xyz[rows].tobytes())
            if self._checksums.get(key) != checksum:
                self._checksums[key] = checksum
                self._versions.append((now, key, cloud.xyz[rows], labels[rows]))

    def _on_odometry(self, message: Odometry) -> None:
        if not self._poses:
            Path(self.config.output).with_suffix(".started").touch()
        place = message.pose.pose.position
        self._poses.append((time.time(), place.x, place.y, place.z))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    return spin_node(RecordMapNode, argv)


if __name__ == "__main__":
    sys.exit(main())
