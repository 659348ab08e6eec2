# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled passes over all points of a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def keep_in_range(points: Array, min_range: float, max_range: float) -> tuple[Array, Array]:
    """Keep the points that are finite and between two distances from the origin.

    Args:
        points: ``(N, 3)``.
        min_range: Metres.
        max_range: Metres.

    Returns:
        The points kept, ``(n, 3)``, and their rows, rising, ``(n,)`` int64.
    """
    kept, rows = np.empty_like(points), np.empty(len(points), np.int64)
    low, high, count = min_range * min_range, max_range * max_range, 0
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        square = x * x + y * y + z * z
        if low <= square <= high:  # false for NaN and infinity
            kept[count, 0], kept[count, 1], kept[count, 2] = x, y, z
            rows[count] = i
            count += 1
    return kept[:count], rows[:count]


@njit(nogil=True, cache=True)
def move_by_time(points: Array, times: Array, start: float, step: float, motions: Array) -> Array:
    """Move each point by the motion of its time, interpolated between those of a table.

    Args:
        points: ``(N, 3)`` float32.
        times: ``(N,)``, seconds.
        start: Time of the first motion, seconds.
        step: Between two motions, seconds.
        motions: ``(K, 4, 4)``, K at least 2; they are so close that linear interpolation of matrices will do.

    Returns:
        ``(N, 3)`` float32.
    """
    moved = np.empty((len(points), 3), np.float32)
    last = len(motions) - 2
    for i in range(len(points)):
        at = (times[i] - start) / step
        first = int(min(max(at, 0.0), float(last)))
        share = at - first
        before, after = motions[first], motions[first + 1]
        for axis in range(3):
            value = 0.0
            for k in range(3):
                value += (before[axis, k] + share * (after[axis, k] - before[axis, k])) * points[i, k]
            moved[i, axis] = value + before[axis, 3] + share * (after[axis, 3] - before[axis, 3])
    return moved
