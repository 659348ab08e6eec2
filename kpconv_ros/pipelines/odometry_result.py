# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What odometry is told and what it answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.registration.solver import MIN_POINTS

Array = NDArray[Any]


@dataclass(frozen=True)
class OdometryConfig:
    """What a user may set."""

    sampler: str = param("random", "points taken: random, samplenet, anchors, fps, voxel, nss, planar_voxel, none")
    num_points: int = param(1024, "points registered of a scan", 32, 1_000_000, live=True)
    coarse_points: int = param(384, "of them, points of the first pass", 32, 1_000_000, live=True)
    min_range: float = param(1.0, "nearer points are left out, metres", 0.0, 100.0, live=True)
    max_range: float = param(60.0, "farther points are left out, metres", 1.0, 1000.0, live=True)
    map_voxel_size: float = param(0.5, "the map keeps one point a voxel, metres", 0.01, 10.0)
    map_radius: float = param(70.0, "what lies farther from the sensor leaves the map, metres", 1.0, 2000.0)
    keyframe_distance: float = param(7.0, "a scan enters the map after this way, metres", 0.0, 1000.0, live=True)
    keyframe_angle: float = param(0.35, "or after this turn, radians", 0.0, 3.2, live=True)
    keyframe_agreement: float = param(0.75, "or when fewer of its points lie on the map, share", 0.0, 1.0, live=True)
    search_distance: float = param(
        2.0, "reach of the first pass, metres; three times it at an unknown speed", 0.1, 50.0
    )
    fine_distance: float = param(0.6, "reach of the last pass, metres", 0.05, 50.0)
    min_points: int = param(
        200, "a scan with fewer points in range is not registered", MIN_POINTS, 1_000_000, live=True
    )
    min_agreement: float = param(0.5, "pose not believed if fewer points lie on the map, share", 0.0, 1.0, live=True)
    min_information: float = param(0.03, "a motion with less than this share is not fixed", 0.0, 1.0, live=True)
    max_speed: float = param(60.0, "faster motion is not believed, metres a second", 0.1, 1000.0, live=True)
    max_turn_rate: float = param(6.0, "faster turning is not believed, radians a second", 0.1, 100.0, live=True)
    max_gap: float = param(0.5, "a longer time without a scan is reported as a gap, seconds", 0.01, 60.0, live=True)
    restart_after: float = param(
        2.0, "time without a believed pose until the map starts anew, seconds", 0.0, 600.0, live=True
    )
    held_speed: float = param(1.0, "growth of a held pose's deviation beyond its speed, metres a second", 0.0, 100.0)
    held_turn_rate: float = param(0.2, "the same of its rotation, radians a second", 0.0, 10.0)
    num_threads: int = param(1, "threads of the solver", 1, 256)
    seed: int = param(0, "of the sampler", 0, 2**31 - 1)


class OdometryStatus(enum.Enum):
    """What a pose is worth."""

    STARTED = "started"
    """First scan of a map; the pose is its origin by definition."""
    TRACKING = "tracking"
    """Registered with the map and believed."""
    DEGENERATE = "degenerate"
    """Believed, but for motions that the scan does not fix, which are predicted; the covariance says which."""
    LOST = "lost"
    """Not believed: the last good pose is held, with a covariance that grows."""
    RESTARTED = "restarted"
    """Lost for so long that the map began anew at the held pose, with its covariance."""


@dataclass(frozen=True)
class OdometryResult:
    """The pose at the stamp of a scan."""

    T_odom_sensor: Array
    """``(4, 4)``, sensor in the frame of the first scan."""
    twist: Array
    """``(6,)``, linear [m/s] then angular [rad/s] velocity, sensor frame; zero while lost."""
    covariance: Array
    """Of the pose, ``(6, 6)``: translation [m^2] then rotation [rad^2], about the axes of the odometry frame. It is
    relative to the map, the drift of which it does not hold."""
    status: OdometryStatus
    """Whether to believe the pose."""
    reason: str
    """Why it is not TRACKING, or what else to know; empty if nothing."""
    sampled: Array
    """Rows of the scan that were registered, ``(m,)`` int64, in progressive order."""
    fitness: float
    """Share of the scan (512 random points) that lies on the map's planes, 0..1; 0 if nothing was registered."""
    conditioning: float
    """Least share of information about any motion, 0..1; 0 if nothing was registered."""
    map_points: int
    """Points in the map."""
    was_reset: bool
    """Whether time jumped back, so that everything started anew."""
    timings_ms: dict[str, float]
    """Milliseconds by stage: prepare, register (with the sampler), map, total."""

    @property
    def is_believed(self) -> bool:
        """Whether the scan was placed, fully or but for some motions."""
        return self.status not in (OdometryStatus.LOST, OdometryStatus.RESTARTED)
