# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling on the CPU. The torch truth stands in ``geometry.sampling``."""

import numpy as np

from kpconv_ros.kernels.compiled import njit


@njit(nogil=True, cache=True)
def pick_farthest(points, num_samples, seeds):  # type: ignore[no-untyped-def]
    """Pick ``num_samples`` rows of ``points (N, 3)``, the ``seeds`` first, one or more; ``(num_samples,)`` int64."""
    picked = np.zeros(num_samples, np.int64)
    picked[: len(seeds)] = seeds
    distances = np.full(len(points), np.inf, np.float32)
    for i in range(1, num_samples):
        x, y, z = points[picked[i - 1]]
        distances[picked[i - 1]] = -1.0  # never again, even where all that is left are copies
        best = np.float32(-1.0)
        row = 0
        for j in range(len(points)):
            dx, dy, dz = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
            distance = min(distances[j], dx * dx + dy * dy + dz * dz)
            distances[j] = distance
            if distance > best:
                best = distance
                row = j
        if i >= len(seeds):
            picked[i] = row
    return picked


@njit(nogil=True, cache=True)
def pick_nearest_to_centroids(points, cell_of_point, num_cells):  # type: ignore[no-untyped-def]
    """Pick, of each cell, the row of ``points (N, 3)`` that is nearest to the mean of the cell's: ``(C,)`` int64."""
    sums = np.zeros((num_cells, 3))
    counts = np.zeros(num_cells, np.int64)
    for i in range(len(points)):
        cell = cell_of_point[i]
        counts[cell] += 1
        for axis in range(3):
            sums[cell, axis] += points[i, axis]
    picked = np.full(num_cells, -1, np.int64)
    nearest = np.full(num_cells, np.inf)
    for i in range(len(points)):
        cell = cell_of_point[i]
        x = points[i, 0] - sums[cell, 0] / counts[cell]
        y = points[i, 1] - sums[cell, 1] / counts[cell]
        z = points[i, 2] - sums[cell, 2] / counts[cell]
        square = x * x + y * y + z * z
        if square < nearest[cell]:
            nearest[cell] = square
            picked[cell] = i
    return picked
