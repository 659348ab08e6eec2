# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The map around the sensor that odometry registers with: one point a voxel, of the scans of a few key places."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.registration.solver import SolverConfig, Target
from kpconv_ros.registration.surface import hash_points

Array = NDArray[Any]


class LocalMap:
    """Points in the odometry frame, thinned to one a voxel; the first that was seen stays."""

    def __init__(self, voxel_size: float, radius: float, solver: SolverConfig) -> None:
        """Make an empty map.

        Args:
            voxel_size: Edge of a voxel, metres.
            radius: What lies farther from the sensor is dropped at the next insertion, metres.
            solver: How planes are laid through the points.
        """
        self.voxel_size, self.radius, self.solver = voxel_size, radius, solver
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.points: Array = np.empty((0, 3))
        """``(M, 3)`` float64, metres, odometry frame."""
        self.target: Target | None = None
        """The points, ready for registration; None when there are too few."""

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.points)

    def insert(self, points: Array, T_odom_sensor: Array, min_points: int) -> None:  # noqa: N803
        """Add a scan.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame, finite.
            T_odom_sensor: Pose of the sensor, ``(4, 4)``.
            min_points: Fewer points in the map make no target.
        """
        cloud = torch.from_numpy(points)
        thinned = grid_subsample(cloud, torch.tensor([len(cloud)]), self.voxel_size).points.numpy()
        joined = np.concatenate([self.points, transform_points(T_odom_sensor, thinned)])
        joined = joined[np.square(joined - T_odom_sensor[:3, 3]).sum(1) <= self.radius**2]
        (*_, cell_of_point, num_cells), _ = hash_points(joined, self.voxel_size)
        first = np.empty(num_cells, np.int64)
        first[cell_of_point[::-1]] = np.arange(
            len(joined) - 1, -1, -1
        )  # of equal cells the last written, so the oldest
        self.points = joined[first]
        self.target = Target(self.points, self.solver) if len(self.points) >= min_points else None
