# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a scan took, on ``~/debug/NAME_ms``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float32

from kpconv_ros.nodes.pose_msg import seconds_of
from kpconv_ros.nodes.qos import has_listener, stream_qos

LONGEST_LATENCY = 60.0  # s; a stamp older than this is of another clock (an old bag)


class TimingOutputs:
    """Publishers of timings. Nothing is published to nobody."""

    def __init__(self, node: LifecycleNode, names: Sequence[str]) -> None:
        """Create a publisher of ``node`` for each name."""
        self._node = node
        self._publishers: dict[str, Any] = {
            name: node.create_lifecycle_publisher(Float32, f"~/debug/{name}_ms", stream_qos()) for name in names
        }

    def publish(self, timings_ms: Mapping[str, float]) -> None:
        """Publish the timings that are known, milliseconds."""
        for name, publisher in self._publishers.items():
            if name in timings_ms and has_listener(publisher):
                publisher.publish(Float32(data=float(timings_ms[name])))

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)


def pipeline_latency(clock: Clock, stamp: Time) -> dict[str, float]:
    """``pipeline_latency``: milliseconds from a scan's stamp to now; nothing where the clocks are not the same."""
    latency = 1e-9 * clock.now().nanoseconds - seconds_of(stamp)
    return {"pipeline_latency": 1e3 * latency} if 0.0 <= latency < LONGEST_LATENCY else {}
