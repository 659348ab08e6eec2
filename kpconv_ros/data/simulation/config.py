# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be set of the simulated street and lidar."""

from dataclasses import dataclass

from kpconv_ros.config_io import param


@dataclass(frozen=True)
class SimulatorConfig:
    """The lidar, the vehicle that carries it, and how full the street is; a seed draws the street itself."""

    rings: int = param(32, "Number of rings", 1, 256)
    azimuth_steps: int = param(980, "Columns of one turn; with 32 rings about 28,800 points return", 8, 8192)
    elevation_low: float = param(-0.42, "Elevation of the lowest ring, radians", -1.5, 1.5)
    elevation_high: float = param(0.16, "Elevation of the highest ring, radians", -1.5, 1.5)
    rate: float = param(10.0, "Turns a second, Hz", 0.1, 100.0)
    min_range: float = param(1.0, "Nearest return, metres", 0.0, 10.0)
    max_range: float = param(80.0, "Farthest return, metres", 5.0, 85.0)
    range_noise: float = param(0.015, "Standard deviation of the range, metres", 0.0, 0.5)
    dropouts: float = param(0.02, "Fraction of returns lost at random; dark and far surfaces lose more", 0.0, 1.0)
    motion_distortion: bool = param(False, "Whether the sensor moves while it turns, which bends the cloud")
    sensor_height: float = param(1.9, "Height of the sensor above the ground, metres", 0.5, 5.0)
    ego_speed: float = param(5.0, "Speed of the sensor along the street, metres a second", 0.0, 30.0)
    parked_cars: float = param(0.45, "Mean fraction of the parking places that are taken", 0.0, 1.0)
    vehicles: float = param(1.0, "Density of moving vehicles relative to the default", 0.0, 5.0)
    people: float = param(1.0, "Density of people relative to the default", 0.0, 5.0)
    plants: float = param(1.0, "Density of trees, bushes and hedges relative to the default", 0.0, 5.0)
