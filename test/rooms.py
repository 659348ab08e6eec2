# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rooms with exact walls, and corridors, as a lidar that stands in them sees them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def sample_room(count: int, seed: int, noise: float = 0.0, corridor: bool = False) -> Array:
    """Draw points of floor, walls and a box about the origin, (count, 3) m.

    Args:
        count: Points.
        seed: Of the draw.
        noise: Standard deviation of every coordinate, metres.
        corridor: Without end walls and box, so that nothing fixes a motion along x.
    """
    rng = np.random.default_rng(seed)
    half = np.array([20.0, 6.0, 3.0])
    points = rng.uniform(-half, half, (count, 3))
    points[:, 2] = rng.uniform(-1.5, 3.0, count)
    surface = rng.integers(0, 3 if corridor else 6, count)
    points[surface == 0, 2] = -1.5
    points[surface == 1, 1] = -half[1]
    points[surface == 2, 1] = half[1]
    points[surface == 3, 0] = -half[0]
    points[surface == 4, 0] = half[0]
    box = surface == 5
    points[box] = rng.uniform([4.0, -1.0, -1.5], [6.0, 1.0, 0.5], (int(box.sum()), 3))
    points[box, 0] = 4.0
    return (points + rng.normal(0.0, noise, points.shape)).astype(np.float32)
