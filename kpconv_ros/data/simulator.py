# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A spinning lidar that drives along a procedural street: labelled, posed scans for demos, tests and training."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from kpconv_ros.data.simulation.classes import SIM_CLASSES, SIM_COLORS
from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.ground import Ground, ground_height
from kpconv_ros.data.simulation.lidar import measure_intensity, ray_directions, select_returns
from kpconv_ros.data.simulation.ray_casting import cast_scan, list_sectors
from kpconv_ros.data.simulation.shapes import merge
from kpconv_ros.data.simulation.street import Street
from kpconv_ros.data.simulation.street_layout import StreetLayout
from kpconv_ros.data.simulation.traffic import Traffic

__all__ = ["SIM_CLASSES", "SIM_COLORS", "SimulatedScan", "Simulator", "SimulatorConfig"]


class SimulatedScan(NamedTuple):
    """One turn of the lidar; only rays that return."""

    points: NDArray[np.float32]
    """Positions in the sensor frame, (N, 3) m."""
    intensity: NDArray[np.float32]
    """(N,) 0..1."""
    ring: NDArray[np.uint16]
    """Ring of each point, lowest is 0, (N,)."""
    time: NDArray[np.float32]
    """Seconds after the stamp, (N,)."""
    labels: NDArray[np.uint8]
    """Index into ``SIM_CLASSES``, (N,)."""
    T_map_sensor: NDArray[np.float64]
    """Pose of the sensor at the stamp, (4, 4)."""
    stamp: float
    """Start of the turn, seconds since the start of the drive."""


class Simulator:
    """Scans of one street. Every scan depends on config, seed and stamp alone."""

    def __init__(self, config: SimulatorConfig | None = None, seed: int = 0) -> None:
        """Draw the street of ``seed``.

        Raises:
            ValueError: If the highest ring is not above the lowest, or the seed is negative.
        """
        self.config = config or SimulatorConfig()
        if self.config.rings > 1 and self.config.elevation_high <= self.config.elevation_low:
            got = f"{self.config.elevation_low} to {self.config.elevation_high}"
            raise ValueError(f"got elevations {got} rad, expected elevation_high above elevation_low")
        if seed < 0:
            raise ValueError(f"got seed {seed}, expected 0 or more")
        self.seed = seed
        self._layout = StreetLayout(self.config, seed)
        self._street = Street(self._layout)
        self._traffic = Traffic(self.config, self._layout, seed)
        self._directions = ray_directions(self.config)  # (S, R, 3)

    def scan(self, stamp: float) -> SimulatedScan:
        """The turn that begins ``stamp`` seconds after the start of the drive."""
        x = self._layout.ego_x(stamp)
        still, ground = self._street.around(x)
        shapes = merge([still, self._traffic.at(stamp, x, ground)])
        poses = self._poses_of_turn(stamp, ground)  # (S, 4, 4)
        margin = self.config.ego_speed / self.config.rate if self.config.motion_distortion else 0.0
        sectors = list_sectors(shapes, poses[0, 0, 3], poses[0, 1, 3], self.config.max_range, margin)
        hits = cast_scan(poses, self._directions, self.config.max_range, sectors, ground)

        rng = self._noise(stamp)
        intensity = measure_intensity(hits, rng)
        ranges = hits.range + rng.normal(0.0, self.config.range_noise, len(hits.range))
        kept = np.flatnonzero(select_returns(hits, self.config, rng))
        column, ring = np.divmod(kept, self.config.rings)
        return SimulatedScan(
            points=(self._directions.reshape(-1, 3)[kept] * ranges[kept, None]).astype(np.float32),
            intensity=intensity[kept].astype(np.float32),
            ring=ring.astype(np.uint16),
            time=(column / (self.config.azimuth_steps * self.config.rate)).astype(np.float32),
            labels=hits.label[kept],
            T_map_sensor=self._pose(stamp, ground),
            stamp=stamp,
        )

    def _noise(self, stamp: float) -> Generator:
        return default_rng([self.seed, 8, round(stamp * 1e6) & 0xFFFFFFFFFFFF])

    def _pose(self, stamp: float, ground: Ground) -> NDArray[np.float64]:
        """T_map_sensor at a time: heading along the path, pitch along the road, and the height of the sensor."""
        x, step = self._layout.ego_x(stamp), 1.0
        y, ahead, behind = self._layout.ego_y(x), self._layout.ego_y(x + step), self._layout.ego_y(x - step)
        rise = ground_height(x + step, ahead, ground) - ground_height(x - step, behind, ground)
        forward = np.array([2.0 * step, ahead - behind, rise])
        forward /= np.linalg.norm(forward)
        left = np.cross([0.0, 0.0, 1.0], forward)
        left /= np.linalg.norm(left)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([forward, left, np.cross(forward, left)], axis=1)
        pose[:3, 3] = [x, y, ground_height(x, y, ground) + self.config.sensor_height]
        return pose

    def _poses_of_turn(self, stamp: float, ground: Ground) -> NDArray[np.float64]:
        """Pose at each column, (S, 4, 4); all equal unless motion distortion is on."""
        steps = self.config.azimuth_steps
        if not self.config.motion_distortion:
            return np.repeat(self._pose(stamp, ground)[None], steps, axis=0)
        first, last = self._pose(stamp, ground), self._pose(stamp + 1.0 / self.config.rate, ground)
        poses = np.repeat(first[None], steps, axis=0)
        poses[:, :3, 3] += (np.arange(steps) / steps)[:, None] * (last[:3, 3] - first[:3, 3])
        return poses
