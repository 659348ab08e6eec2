# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes through the points around each occupied cell of a grid. The NumPy truth stands in ``test/reference``."""

import math

import numpy as np
from numba import njit

from kpconv_ros.kernels.grid import find_slot

_MIN_POINTS = 5  # fewer say nothing of a plane


@njit(nogil=True, cache=True)
def sum_moments(points, cell_of_point, num_cells, low):  # type: ignore[no-untyped-def]
    """Sum 1, x, y, z, xx, xy, xz, yy, yz, zz of the points of each cell, counted from ``low``: ``(C, 10)`` float64."""
    moments = np.zeros((num_cells, 10))
    for i in range(len(points)):
        x, y, z = points[i, 0] - low[0], points[i, 1] - low[1], points[i, 2] - low[2]
        row = moments[cell_of_point[i]]
        row[0] += 1.0
        row[1] += x
        row[2] += y
        row[3] += z
        row[4] += x * x
        row[5] += x * y
        row[6] += x * z
        row[7] += y * y
        row[8] += y * z
        row[9] += z * z
    return moments


@njit(nogil=True, cache=True, inline="always")
def _eigenvalues(xx, xy, xz, yy, yz, zz):  # type: ignore[no-untyped-def]
    """Return the eigenvalues of a symmetric matrix, rising; Smith, "Eigenvalues of a symmetric 3 x 3 matrix", 1961."""
    mean = (xx + yy + zz) / 3.0
    off = xy * xy + xz * xz + yz * yz
    spread = math.sqrt(((xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2.0 * off) / 6.0)
    if spread <= 1e-12 * (mean + 1e-300):
        return mean, mean, mean
    a, b, c = (xx - mean) / spread, (yy - mean) / spread, (zz - mean) / spread
    d, e, f = xy / spread, xz / spread, yz / spread
    half = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e))
    angle = math.acos(min(1.0, max(-1.0, half))) / 3.0
    high = mean + 2.0 * spread * math.cos(angle)
    low = mean + 2.0 * spread * math.cos(angle + 2.0 * math.pi / 3.0)
    return low, 3.0 * mean - high - low, high


@njit(nogil=True, cache=True, inline="always")
def _eigenvector(xx, xy, xz, yy, yz, zz, value):  # type: ignore[no-untyped-def]
    """Return the unit vector that the matrix scales by ``value``: the longest cross product of rows of A - value I."""
    xx, yy, zz = xx - value, yy - value, zz - value
    best, nx, ny, nz = 0.0, 0.0, 0.0, 1.0
    for pair in range(3):
        if pair == 0:
            x, y, z = xy * yz - xz * yy, xz * xy - xx * yz, xx * yy - xy * xy
        elif pair == 1:
            x, y, z = xy * zz - xz * yz, xz * xz - xx * zz, xx * yz - xy * xz
        else:
            x, y, z = yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz
        square = x * x + y * y + z * z
        if square > best:
            best, nx, ny, nz = square, x, y, z
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@njit(nogil=True, cache=True)
def sum_neighbors(moments, keys, cells, shift):  # type: ignore[no-untyped-def]
    """Add to the moments of each cell those of the 26 around it, ``(C, 10)``; each pair of cells is met once."""
    totals = moments.copy()
    for slot in range(len(keys)):
        if keys[slot] == -1:
            continue
        a = cells[slot]
        for place in range(14, 27):  # the later half of the 27, whose middle is 13
            dx, dy, dz = place // 9 - 1, place // 3 % 3 - 1, place % 3 - 1
            near = find_slot(keys, shift, keys[slot] + (dx << 42) + (dy << 21) + dz)
            if keys[near] != -1:
                b = cells[near]
                for k in range(10):
                    totals[a, k] += moments[b, k]
                    totals[b, k] += moments[a, k]
    return totals


@njit(nogil=True, cache=True)
def fit_planes(totals, low):  # type: ignore[no-untyped-def]
    """Fit a plane to the points whose moments are summed in each row ``(C, 10)``, counted from ``low (3,)``.

    Returns ``(C, 5)`` float32: normal on the side of the origin, surface variation l0 / (l0 + l1 + l2) and planarity
    (l1 - l0) / l2 of rising eigenvalues; a row of too few points has a zero normal, variation 1/3 and planarity 0.
    """
    planes = np.zeros((len(totals), 5), np.float32)
    planes[:, 3] = 1.0 / 3.0
    for cell in range(len(totals)):
        total = totals[cell]
        count = total[0]
        if count < _MIN_POINTS:
            continue
        x, y, z = total[1] / count, total[2] / count, total[3] / count
        xx, xy, xz = total[4] / count - x * x, total[5] / count - x * y, total[6] / count - x * z
        yy, yz, zz = total[7] / count - y * y, total[8] / count - y * z, total[9] / count - z * z
        l0, l1, l2 = _eigenvalues(xx, xy, xz, yy, yz, zz)
        if not l2 > 1e-12:
            continue
        plane = planes[cell]
        nx, ny, nz = _eigenvector(xx, xy, xz, yy, yz, zz, l0)
        side = -1.0 if nx * (x + low[0]) + ny * (y + low[1]) + nz * (z + low[2]) > 0 else 1.0
        plane[0], plane[1], plane[2] = side * nx, side * ny, side * nz
        l0 = max(l0, 0.0)
        plane[3] = l0 / (l0 + l1 + l2)
        plane[4] = max(l1 - l0, 0.0) / l2
    return planes
