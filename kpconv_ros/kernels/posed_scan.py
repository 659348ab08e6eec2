# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled move of a scan into the map frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def move_scan(points: Array, transform: Array, max_range: float) -> Array:
    """Transform points ``(N, 3)`` by ``transform`` (4, 4) in float64; those beyond ``max_range`` metres become NaN."""
    moved = np.empty((points.shape[0], 3), np.float64)
    limit = max_range * max_range
    for i in range(points.shape[0]):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        is_near = x * x + y * y + z * z <= limit  # false for NaN and infinity
        for axis in range(3):
            row = transform[axis]
            moved[i, axis] = row[0] * x + row[1] * y + row[2] * z + row[3] if is_near else np.nan
    return moved
