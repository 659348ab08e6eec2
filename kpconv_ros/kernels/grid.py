# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Voxel grids on the CPU: an open-addressing hash of cells. The torch truth stands in ``geometry.voxel_grid``."""

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit

AXIS_BITS = 21
MAX_CELLS = 1 << AXIS_BITS  # cells along an axis
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True, inline="always")
def pack_cell(x: int, y: int, z: int) -> np.int64:
    """Pack the last 21 bits of three cell coordinates into one key.

    Cells that lie whole multiples of 2^21 apart share it: who searches looks at distances, who numbers cells keeps
    below `MAX_CELLS`.
    """
    last = np.int64(MAX_CELLS - 1)
    return ((np.int64(x) & last) << 42) | ((np.int64(y) & last) << 21) | (np.int64(z) & last)


@njit(nogil=True, cache=True, inline="always")
def find_slot(table: NDArray[np.int64], shift: int, key: np.int64) -> np.int64:
    """Return the slot that holds ``key``, or the empty slot (-1) where it belongs."""
    mask = len(table) - 1
    slot = np.int64((np.uint64(key) * _MULTIPLIER) >> np.uint64(shift))
    while table[slot] != key and table[slot] != -1:
        slot = (slot + 1) & mask
    return slot


@njit(nogil=True, cache=True)
def find_bounds(points):  # type: ignore[no-untyped-def]
    """Return the corners ``(2, 3)`` float64 of the box around ``points (N, 3)``; NaN if a coordinate is not finite.

    NumPy and torch reduce three narrow columns several times slower.
    """
    low_x, low_y, low_z = np.inf, np.inf, np.inf
    high_x, high_y, high_z = -np.inf, -np.inf, -np.inf
    spoilt = 0.0  # x - x is NaN unless x is finite
    for i in range(len(points)):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        low_x, low_y, low_z = min(low_x, x), min(low_y, y), min(low_z, z)
        high_x, high_y, high_z = max(high_x, x), max(high_y, y), max(high_z, z)
        spoilt += (x - x) + (y - y) + (z - z)
    return np.array(((low_x, low_y, low_z), (high_x, high_y, high_z))) + spoilt


@njit(nogil=True, cache=True)
def hash_cells(points, low, inverse_cell):  # type: ignore[no-untyped-def]
    """Number the occupied cells of one cloud in order of first appearance.

    Returns ``(table_keys, table_cells, shift, cell_of_point, num_cells)``; cells count from ``low``, up and down.
    """
    bits = 4
    while (1 << bits) < 2 * len(points):
        bits += 1
    shift = 64 - bits
    keys = np.full(1 << bits, -1, np.int64)
    cells = np.empty(1 << bits, np.int32)
    cell_of_point = np.empty(len(points), np.int32)
    num_cells = 0
    for i in range(len(points)):
        x = np.int64(np.floor((points[i, 0] - low[0]) * inverse_cell))
        y = np.int64(np.floor((points[i, 1] - low[1]) * inverse_cell))
        z = np.int64(np.floor((points[i, 2] - low[2]) * inverse_cell))
        key = pack_cell(x, y, z)
        slot = find_slot(keys, shift, key)
        if keys[slot] == -1:
            keys[slot] = key
            cells[slot] = num_cells
            num_cells += 1
        cell_of_point[i] = cells[slot]
    return keys, cells, shift, cell_of_point, num_cells


@njit(nogil=True, cache=True)
def mean_by_voxel(values, voxel_of_point, num_voxels):  # type: ignore[no-untyped-def]
    """Average the rows ``(N, C)`` that share a voxel, in float64: ``(V, C)`` float32."""
    channels = values.shape[1]
    sums = np.zeros((num_voxels, channels), np.float64)
    counts = np.zeros(num_voxels, np.int32)
    for i in range(len(values)):
        voxel = voxel_of_point[i]
        counts[voxel] += 1
        for c in range(channels):
            sums[voxel, c] += values[i, c]
    means = np.empty((num_voxels, channels), np.float32)
    for voxel in range(num_voxels):
        for c in range(channels):
            means[voxel, c] = sums[voxel, c] / counts[voxel]
    return means


@njit(nogil=True, cache=True)
def majority_by_voxel(labels, voxel_of_point, num_voxels, num_labels):  # type: ignore[no-untyped-def]
    """Return the most frequent label of each voxel, ``(V,)`` int64; a tie goes to the smaller label."""
    counts = np.zeros((num_voxels, num_labels), np.int32)
    for i in range(len(labels)):
        counts[voxel_of_point[i], labels[i]] += 1
    best = np.zeros(num_voxels, np.int64)
    for voxel in range(num_voxels):
        for label in range(1, num_labels):
            if counts[voxel, label] > counts[voxel, best[voxel]]:
                best[voxel] = label
    return best
