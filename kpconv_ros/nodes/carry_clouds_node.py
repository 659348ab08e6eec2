# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``carry_clouds``: scans over a thin link as they are, or by Draco; what map transmission is compared with.

One end sends, the other counts what arrives whole. Stamps are of the wall clock, so both ends are on one machine.
"""

from __future__ import annotations

import json
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import UInt8MultiArray

from kpconv_ros.codec.draco_coder import encode_cloud
from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.nodes.link import Link, link_qos
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.qos import AdaptiveSubscription, stream_qos
from kpconv_ros.nodes.spinning import spin_node

CODECS = ("raw", "draco")
TOPIC = "/carry_clouds/clouds"


@dataclass(frozen=True)
class CarryCloudsConfig:
    """Which end this is, and what goes over the link."""

    output: str = param("", "at the receiving end: file to write at the end (.json); empty: this end sends")
    codec: str = param("raw", "raw (the bytes of the PointCloud2) or draco")
    step: float = param(0.02, "positions are rounded to this by draco [m]", 0.001, 1.0)
    reliable: bool = param(False, "whether DDS repeats what is lost")
    link_domain: int = param(-1, "DDS domain of the link; -1: that of the node", -1, 101)

    def __post_init__(self) -> None:
        """Check the codec."""
        if self.codec not in CODECS:
            raise ConfigError(f"codec: got '{self.codec}', expected one of {', '.join(CODECS)}")


class CarryCloudsNode(Node):
    """One end of the comparison."""

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        super().__init__("carry_clouds")
        self.config = declare_config(self, CarryCloudsConfig)
        check_no_unknown_parameters(self)
        self._link = Link(self, self.config.link_domain)
        self._arrived: list[dict[str, float]] = []
        qos: QoSProfile = stream_qos(reliable=True, depth=1) if self.config.reliable else link_qos()
        if self.config.output:
            self._input: Any = self._link.subscribe(UInt8MultiArray, TOPIC, self._on_cloud, qos)
        else:
            self._publisher = self._link.publisher(UInt8MultiArray, TOPIC, qos)
            self._input = AdaptiveSubscription(self, PointCloud2, "~/input/points", self._send)

    def destroy_node(self) -> None:
        """Leave the link, and write what arrived."""
        self._input.destroy()
        self._link.destroy()
        if self.config.output:
            Path(self.config.output).write_text(json.dumps(self._arrived), encoding="utf-8")
        super().destroy_node()

    def _send(self, cloud: PointCloud2) -> None:
        message = UInt8MultiArray()
        message.layout.data_offset = int(time.time() * 1e3) % 2**32
        message.data = cloud.data
        if self.config.codec == "draco":
            message.data = array("B", encode_cloud(read_points(cloud).xyz, self.config.step))
        self._publisher.publish(message)

    def _on_cloud(self, message: UInt8MultiArray) -> None:
        age_ms = (int(time.time() * 1e3) - message.layout.data_offset) % 2**32
        self._arrived.append({"bytes": len(message.data), "age_s": age_ms / 1e3})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    return spin_node(CarryCloudsNode, argv)


if __name__ == "__main__":
    sys.exit(main())
