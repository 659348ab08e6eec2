# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the register node beside those of its frames and its pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.point_times import UNITS
from kpconv_ros.nodes.scan_node import ScanNodeConfig


@dataclass(frozen=True)
class RegisterConfig(ScanNodeConfig):
    """What the node hears and publishes."""

    odom_frame: str = param("odom", "frame in which the odometry is given; its origin is the base at the first scan")
    publish_held: bool = param(True, "publish the last good pose, with its grown covariance, while lost", live=True)
    publish_tf: bool = param(True, "also send the pose as TF, where tf2_ros is installed")
    invert_tf: bool = param(False, "send base_frame -> odom_frame, where base_frame has another parent already")
    time_field: str = param(
        "", "field with the times of the points; empty: t, time, timestamp, offset_time and the like"
    )
    time_unit: str = param("auto", "its unit: auto, s, ms, us or ns")
    path_spacing: float = param(0.5, "way between two poses of ~/output/path [m]", 0.0, 1000.0, live=True)
    path_length: int = param(2000, "most poses in it; the oldest go", 1, 1_000_000)
    path_period: float = param(1.0, "time between two paths [s]", 0.0, 3600.0, live=True)
    tile_period: float = param(5.0, "time between two tiles of the map on ~/output/map_tile [s]", 0.0, 3600.0)
    silence_limit: float = param(
        1.0, "time without a cloud after which the diagnostics warn [s]", 0.1, 3600.0, live=True
    )

    def __post_init__(self) -> None:
        """Check the unit and the frame."""
        super().__post_init__()
        if self.time_unit not in UNITS:
            raise ConfigError(f"time_unit: got '{self.time_unit}', expected one of {', '.join(UNITS)}")
        if not self.odom_frame:
            raise ConfigError("odom_frame: got nothing, expected the name of a frame")
