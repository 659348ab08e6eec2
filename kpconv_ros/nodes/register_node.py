# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``register``: PointCloud2 in, odometry out, from a few hundred points of each scan.

Life cycle, input and diagnostics are those of `kpconv_ros.nodes.scan_node`. What is done with a scan is in
`kpconv_ros.nodes.scan_follower`, the method in `kpconv_ros.pipelines.odometry`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from kpconv_ros.nodes.map_tiles import MapView, TileExchange
from kpconv_ros.nodes.mounting import Mounting, MountingConfig
from kpconv_ros.nodes.parameters import LiveConfig
from kpconv_ros.nodes.register_config import RegisterConfig
from kpconv_ros.nodes.register_outputs import RegisterOutputs
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.scan_follower import NO_FACTS, ScanFollower
from kpconv_ros.nodes.scan_node import ScanNode, Work
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.pipelines.map_registration import MapRegistrarConfig
from kpconv_ros.pipelines.odometry import Odometry
from kpconv_ros.pipelines.odometry_result import OdometryConfig


class RegisterNode(ScanNode[RegisterConfig]):
    """Lifecycle node around an `Odometry`."""

    work_text = "registering"
    reset_text = "the next scan begins a new odometry frame"

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters, and start when ``autostart`` is set.

        Args:
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        self._odometry: Odometry | None = None
        self._outputs: RegisterOutputs | None = None
        self._mounting: Mounting | None = None
        self._tiles: TileExchange | None = None
        self._follower: ScanFollower | None = None
        super().__init__("register", RegisterConfig, NO_FACTS, **node_arguments)
        self._mounting_settings = LiveConfig(self, MountingConfig)
        self._pipeline_settings = LiveConfig(self, OdometryConfig, self._configure_pipeline)
        self._tile_settings = LiveConfig(self, MapRegistrarConfig)
        self.begin()

    def load(self) -> None:
        """Make the pipeline ready; create publishers and services."""
        config = self._pipeline_settings.config
        self._odometry = Odometry(config)
        self._odometry.warm_up()
        self._outputs = RegisterOutputs(self, self._settings.config)
        period = self._settings.config.tile_period
        self._tiles = TileExchange(self, self._tile_settings.config, period, self._view_map)
        self.node_services.append(self._tiles.service)
        self.get_logger().info(f"{config.num_points} points by sampler {config.sampler}; TF {self._outputs.tf_text}")

    def unload(self) -> None:
        """Free the pipeline."""
        if self._outputs is not None:
            self._outputs.destroy()
        if self._tiles is not None:
            self._tiles.destroy()
        self._outputs, self._odometry, self._tiles = None, None, None

    def start_work(self) -> Work:
        """Find out where the sensor is mounted; begin without a map."""
        assert self._odometry is not None and self._outputs is not None and self._tiles is not None
        self._mounting = Mounting(self, self._mounting_settings.config)
        follower = self._follower = ScanFollower(
            self._odometry,
            self._mounting,
            self._outputs,
            self._tiles,
            self.statistics,
            self.get_clock(),
            lambda: self._settings.config,
        )
        follower.reset()
        return Work(follower.process, follower.publish_if_due, follower.reset, follower.check_frame)

    def end_work(self) -> None:
        """Listen to TF no more."""
        if self._mounting is not None:
            self._mounting.close()
        self._mounting, self._follower = None, None

    def facts(self) -> dict[str, object]:
        """The sampler, and whether TF is published."""
        config = self._pipeline_settings.config
        return {
            "sampler": f"{config.sampler}, {config.num_points} points",
            "tf": self._outputs.tf_text if self._outputs else "not published",
        }

    def warnings(self) -> tuple[str, ...]:
        """Whether clouds have ceased to come."""
        last = self.statistics.snapshot().last_received_at
        silence = time.monotonic() - last
        return (f"no cloud for {silence:.1f} s",) if last and silence > self._settings.config.silence_limit else ()

    def _view_map(self) -> MapView:
        if self._follower is None:
            raise RuntimeError("not active")
        return self._follower.view_map()

    def _configure_pipeline(self, config: OdometryConfig) -> None:
        if self._odometry is not None:
            self._odometry.configure(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(RegisterNode, argv)


if __name__ == "__main__":
    sys.exit(main())
