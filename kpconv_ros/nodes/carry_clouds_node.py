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
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import MultiArrayDimension, UInt8MultiArray

from kpconv_ros.codec.draco_coder import encode_cloud
from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.mapping.token_bucket import TokenBucket
from kpconv_ros.nodes.link import Link, link_qos
from kpconv_ros.nodes.parameters import check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.qos import AdaptiveSubscription, stream_qos
from kpconv_ros.nodes.spinning import spin_node

CODECS = ("raw", "draco")
TOPIC = "/carry_clouds/clouds"
CHUNK = 1200  # bytes of a paced message
CHUNK_COST = CHUNK + 210  # with headers
PACE_PERIOD = 0.02  # [s]


@dataclass(frozen=True)
class CarryCloudsConfig:
    """Which end this is, and what goes over the link."""

    output: str = param("", "at the receiving end: file to write at the end (.json); empty: this end sends")
    codec: str = param("raw", "raw (the bytes of the PointCloud2) or draco")
    step: float = param(0.02, "positions are rounded to this by draco [m]", 0.001, 1.0)
    reliable: bool = param(False, "whether DDS repeats what is lost")
    paced_rate: float = param(0.0, "bit/s below which whole scans go in small messages, the next one when the last has "
                              "left; 0: every scan as one message", 0.0)  # fmt: skip
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
        self._chunks: deque[UInt8MultiArray] = deque()
        self._parts: dict[int, list[UInt8MultiArray]] = {}
        qos: QoSProfile = stream_qos(reliable=True, depth=1) if self.config.reliable else link_qos()
        if self.config.output:
            self._input: Any = self._link.subscribe(UInt8MultiArray, TOPIC, self._on_cloud, qos)
        else:
            self._publisher = self._link.publisher(UInt8MultiArray, TOPIC, qos)
            if self.config.paced_rate:
                self._bucket = TokenBucket(self.config.paced_rate, 2 * CHUNK_COST, time.monotonic())
                self.create_timer(PACE_PERIOD, self._pace)
            self._input = AdaptiveSubscription(self, PointCloud2, "~/input/points", self._send)

    def destroy_node(self) -> None:
        """Leave the link, and write what arrived."""
        self._input.destroy()
        self._link.destroy()
        if self.config.output:
            Path(self.config.output).write_text(json.dumps(self._arrived), encoding="utf-8")
        super().destroy_node()

    def _send(self, cloud: PointCloud2) -> None:
        if self._chunks:
            return  # the last one is still on its way
        data = cloud.data
        if self.config.codec == "draco":
            data = array("B", encode_cloud(read_points(cloud).xyz, self.config.step))
        stamp, size = int(time.time() * 1e3) % 2**32, CHUNK if self.config.paced_rate else len(data)
        self._chunks.extend(chunk_message(stamp, len(data), data[i : i + size]) for i in range(0, len(data), size))
        if not self.config.paced_rate:
            self._publisher.publish(self._chunks.popleft())

    def _pace(self) -> None:
        while self._chunks and self._bucket.take(CHUNK_COST, time.monotonic()):
            self._publisher.publish(self._chunks.popleft())

    def _on_cloud(self, message: UInt8MultiArray) -> None:
        stamp, size = message.layout.data_offset, message.layout.dim[0].size
        parts = self._parts.setdefault(stamp, [])
        parts.append(message)
        if sum(len(part.data) for part in parts) == size:
            self._arrived.append({"bytes": size, "age_s": (int(time.time() * 1e3) - stamp) % 2**32 / 1e3})


def chunk_message(stamp_ms: int, size: int, data: Any) -> UInt8MultiArray:
    """A part of a cloud of ``size`` bytes that was published at a time."""
    message = UInt8MultiArray(data=data)
    message.layout.data_offset = stamp_ms
    message.layout.dim = [MultiArrayDimension(size=size)]
    return message


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    return spin_node(CarryCloudsNode, argv)


if __name__ == "__main__":
    sys.exit(main())
