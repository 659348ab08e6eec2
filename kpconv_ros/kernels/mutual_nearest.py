# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nearest points between the clouds of a batch, both ways in one pass: for many small clouds, where trees cost more."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True, fastmath=True)
def find_mutual_nearest(one, other, other_of_one, one_of_other):  # type: ignore[no-untyped-def]
    """Write the row of the nearest point of the other cloud for each point, the first of equal ones.

    Args:
        one: ``(B, n, 3)`` float32, finite.
        other: ``(B, m, 3)`` float32, finite.
        other_of_one: ``(B, n)`` int64, filled.
        one_of_other: ``(B, m)`` int64, filled.
    """
    num, most = one.shape[1], other.shape[1]
    columns = np.empty((3, most), np.float32)
    squares, nearest, row_of = np.empty(most, np.float32), np.empty(most, np.float32), np.empty(most, np.int32)
    for cloud in range(len(one)):
        columns[:] = other[cloud].T
        nearest[:] = np.float32(np.inf)
        for i in range(num):
            x, y, z = one[cloud, i, 0], one[cloud, i, 1], one[cloud, i, 2]
            # Separate loops, because only such are vectorised.
            for j in range(most):
                dx, dy, dz = columns[0, j] - x, columns[1, j] - y, columns[2, j] - z
                squares[j] = dx * dx + dy * dy + dz * dz
            least = squares[0]
            for j in range(most):
                least = min(least, squares[j])
            for j in range(most):
                is_nearer = squares[j] < nearest[j]
                nearest[j] = squares[j] if is_nearer else nearest[j]
                row_of[j] = i if is_nearer else row_of[j]
            for j in range(most):
                if squares[j] == least:
                    other_of_one[cloud, i] = j
                    break
        for j in range(most):
            one_of_other[cloud, j] = row_of[j]


def mutual_nearest(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows of :func:`find_mutual_nearest`, ``(B, n)`` and ``(B, m)`` int64."""
    rows = np.zeros(one.shape[:2], np.int64), np.zeros(other.shape[:2], np.int64)
    find_mutual_nearest(one, other, *rows)
    return rows
