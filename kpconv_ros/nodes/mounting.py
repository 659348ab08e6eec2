# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensor is on the robot: in the clouds' own frame, by parameters, or from TF. Never a silent identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rclpy.node import Node
from rclpy.time import Time

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.nodes.pose_msg import Matrix, PoseError, matrix_of_xyz_rpy
from kpconv_ros.nodes.tf_buffer import TfBuffer, has_tf


@dataclass(frozen=True)
class MountingConfig:
    """Frames of the robot."""

    base_frame: str = param("", "frame whose odometry is published, such as base_link; empty: that of the clouds")
    sensor_frame: str = param("", "frame of the clouds, if the extrinsic is given; clouds of other frames are refused")
    extrinsic_xyz: tuple[float, float, float] = param((0.0, 0.0, 0.0), "sensor in base_frame: x, y, z [m]")
    extrinsic_rpy: tuple[float, float, float] = param((0.0, 0.0, 0.0), "sensor in it: roll, pitch, yaw [rad]")
    tf_timeout: float = param(0.1, "how long a scan waits for TF to tell where the sensor is [s]", 0.0, 2.0)

    def __post_init__(self) -> None:
        """Check that an extrinsic has a base."""
        if not self.base_frame and any((*self.extrinsic_xyz, *self.extrinsic_rpy)):
            raise ConfigError("base_frame: got nothing, expected the frame that extrinsic_xyz and extrinsic_rpy are in")


class Mounted(NamedTuple):
    """A sensor on its robot."""

    base_frame: str
    T_base_sensor: Matrix
    """``(4, 4)``."""


class Mounting:
    """Tells where the sensor is."""

    def __init__(self, node: Node, config: MountingConfig) -> None:
        """Listen to TF where it may be needed and is installed."""
        self._config = config
        self._T_base_sensor = matrix_of_xyz_rpy(config.extrinsic_xyz, config.extrinsic_rpy)
        self._is_given = bool(config.sensor_frame) or not np.array_equal(self._T_base_sensor, np.eye(4))
        needs_tf = bool(config.base_frame) and not self._is_given
        self._tf = TfBuffer(node) if needs_tf and has_tf() else None

    def find(self, sensor_frame: str) -> Mounted:
        """Where the sensor with this frame is.

        Raises:
            PoseError: If that is not known; the text says what to set.
        """
        config = self._config
        base_frame = config.base_frame or sensor_frame
        if self._is_given and sensor_frame == (config.sensor_frame or sensor_frame):
            return Mounted(base_frame, self._T_base_sensor)
        if self._is_given:
            raise PoseError(f"got a cloud in frame '{sensor_frame}', expected '{config.sensor_frame}' (sensor_frame)")
        if sensor_frame == base_frame:
            return Mounted(base_frame, np.eye(4))
        if self._tf is None:
            raise PoseError(
                f"got a cloud in frame '{sensor_frame}', expected '{base_frame}': tf2_ros is not installed; set "
                "sensor_frame, extrinsic_xyz and extrinsic_rpy to say where the sensor is"
            )
        return Mounted(base_frame, self._tf.find(base_frame, sensor_frame, Time(), config.tf_timeout))

    def close(self) -> None:
        """Listen to TF no more."""
        if self._tf is not None:
            self._tf.close()
