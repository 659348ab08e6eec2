# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rings of a spinning lidar, found from where its points lie: what one with fewer rings would have seen.

Note:
    Readers do not keep the ring of a point. Its elevation, seen from the sensor, is cut into as many even steps as the
    lidar has rings; where these are not evenly spaced, or the sensor was tilted against the map, a step is a band of
    about a ring.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
OUTLIERS = 0.1  # percent of the points of a scan that may lie above or below its rings


def elevations_of_points(points: Floats, sensor: Floats) -> Floats:
    """Return the elevation of points ``(N, 3)`` seen from ``sensor`` (3,), ``(N,)``, radians."""
    offsets = points - sensor
    return np.asarray(np.arctan2(offsets[:, 2], np.hypot(offsets[:, 0], offsets[:, 1])), np.float32)


def elevation_limits(points: Floats, sensor: Floats) -> tuple[float, float]:
    """Return the elevation of the lowest and of the highest ring of a scan ``(N, 3)``, radians; 0 if it is empty."""
    if not len(points):
        return 0.0, 0.0
    low, high = np.percentile(elevations_of_points(points, sensor), [OUTLIERS, 100 - OUTLIERS])
    return float(low), float(high)


def rings_of_points(points: Floats, sensor: Floats, limits: tuple[float, float], num_rings: int) -> NDArray[np.int64]:
    """Return the ring of each point, ``(N,)``, 0 is the lowest.

    Args:
        points: ``(N, 3)``, metres; any part of a scan.
        sensor: Where the scan was taken, ``(3,)``, metres, same frame.
        limits: :func:`elevation_limits` of the whole scan.
        num_rings: Of the lidar.
    """
    low, high = limits
    step = max(high - low, 1e-6) / max(num_rings - 1, 1)
    rings = np.rint((elevations_of_points(points, sensor) - low) / step)
    return np.asarray(np.clip(rings, 0, num_rings - 1), np.int64)
