# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms heard on /tf and /tf_static, where tf2_ros is installed."""

from __future__ import annotations

import importlib
import importlib.util
import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from kpconv_ros.nodes.pose_msg import Matrix, PoseError, matrix_of_pose

POLL_PERIOD = 0.004  # s
CACHE_TIME = 10.0  # s


def has_tf() -> bool:
    """Whether tf2_ros is installed."""
    return importlib.util.find_spec("tf2_ros") is not None


class TfBuffer:
    """Listens to TF; asked by the worker while the executor goes on receiving."""

    def __init__(self, node: Node) -> None:
        """Listen.

        Raises:
            PoseError: If tf2_ros is not installed.
        """
        try:
            tf2_ros = importlib.import_module("tf2_ros")
        except ImportError as error:
            raise PoseError("tf2_ros is not installed") from error
        self._buffer: Any = tf2_ros.Buffer(cache_time=Duration(seconds=CACHE_TIME))
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def knows(self, frame: str) -> bool:
        """Whether a frame was heard of."""
        return bool(self._buffer.can_transform(frame, frame, Time()))

    def find(self, parent: str, child: str, stamp: Time, timeout: float) -> Matrix:
        """``T_parent_child`` at a time, waiting up to ``timeout`` seconds for it.

        Raises:
            PoseError: If TF cannot tell.
        """
        deadline = time.monotonic() + timeout  # not the node's clock: simulated time may stand still
        while not self._buffer.can_transform(parent, child, stamp) and time.monotonic() < deadline:
            time.sleep(POLL_PERIOD)
        try:
            transform = self._buffer.lookup_transform(parent, child, stamp).transform
        except Exception as error:  # the exceptions of tf2 have no common class of their own
            raise PoseError(f"TF from '{child}' to '{parent}': {error}") from error
        return matrix_of_pose(transform.translation, transform.rotation)

    def close(self) -> None:
        """Listen no more."""
        self._listener.unregister()
