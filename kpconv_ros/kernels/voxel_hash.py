# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled open-addressing hash table of voxels.

The table holds rows of the voxel arrays (int32, -1 is empty); the 63-bit key of a voxel lies beside its other columns,
so that a probe touches the memory which the update needs anyway. One core inserts a scan of 120,000 points in a few
milliseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit

Array = NDArray[Any]

AXIS_BITS = 21
HALF_RANGE = 1 << (AXIS_BITS - 1)
"""Cells from the origin to the end of an axis: 2^20, or 105 km at 0.1 m."""
FIRST_POTENTIAL = 1e-3
"""Upper end of the start value of a potential; it only breaks ties (the official code draws U(0, 1e-3))."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT_MIX = np.uint64(31)
_SHIFT_UNIT = np.uint64(40)
_WORD = np.uint64(64)


@njit(nogil=True, cache=True, inline="always")
def pack_key(x: float, y: float, z: float, inverse_size: float, origin: Array) -> Any:
    """Pack the cell of a position, relative to ``origin`` (3,) in cells, into 63 bits; -1 when out of range or NaN."""
    cell_x = np.floor(x * inverse_size) - origin[0]
    cell_y = np.floor(y * inverse_size) - origin[1]
    cell_z = np.floor(z * inverse_size) - origin[2]
    inside = abs(cell_x) < HALF_RANGE and abs(cell_y) < HALF_RANGE and abs(cell_z) < HALF_RANGE
    if not inside:  # also taken by NaN and infinity, for which every comparison above is false
        return np.int64(-1)
    key_x = np.int64(cell_x) + HALF_RANGE
    key_y = np.int64(cell_y) + HALF_RANGE
    key_z = np.int64(cell_z) + HALF_RANGE
    return (key_x << (2 * AXIS_BITS)) | (key_y << AXIS_BITS) | key_z


@njit(nogil=True, cache=True, inline="always")
def slot_of_key(key: int, shift: int) -> Any:
    """Fibonacci hashing: the upper bits of the key times 2^64 over the golden ratio."""
    return np.int64((np.uint64(key) * _GOLDEN) >> np.uint64(shift))


@njit(nogil=True, cache=True, inline="always")
def unit_of_key(key: int) -> Any:
    """Return a repeatable pseudo-random number in [0, 1) for a key."""
    mixed = (np.uint64(key) ^ (np.uint64(key) >> _SHIFT_MIX)) * _MIX
    mixed = (mixed ^ (mixed >> _SHIFT_MIX)) * _GOLDEN
    return np.float64(mixed >> _SHIFT_UNIT) / 16777216.0


@njit(nogil=True, cache=True)
def insert_points(
    points: Array, intensity: Array, sensor: Array, stamp: float, scan: int, inverse_size: float, origin: Array,
    max_count: float, table: Array, shift: int, num_voxels: int, keys: Array, means: Array, mean_intensity: Array,
    mean_range: Array, counts: Array, potential: Array, last_seen: Array, last_scan: Array, voxel_of_point: Array,
    seen: Array,
) -> tuple[int, int]:  # fmt: skip
    """Add points to the running means of their voxels, making new voxels at the end of the columns.

    The count of a voxel is capped when a scan first touches it, so within a scan every point weighs the same whatever
    the order, and over time the mean follows the surface.

    Args:
        points: ``(N, 3)`` float32 or float64, metres, map frame.
        intensity: ``(N,)`` float32.
        sensor: ``(3,)`` float64, where the sensor was, metres, map frame.
        stamp: Time of the scan, seconds.
        scan: Number of the scan, different for each call.
        inverse_size: One over the voxel size, 1/m.
        origin: ``(3,)`` float64, cell at which keys are counted from.
        max_count: Largest weight of what was seen in earlier scans.
        table: ``(T,)`` int32, T a power of two above the final number of voxels.
        shift: 64 - log2(T).
        num_voxels: Rows of the columns in use.
        keys, means, mean_intensity, mean_range, counts, potential, last_seen, last_scan: Columns with room for N
            more rows.
        voxel_of_point: Output ``(N,)`` int64; -1 for points without a finite position in range.
        seen: Output ``(N,)`` int64; its first entries become the rows that this scan touched.

    Returns:
        Number of voxels now, and number of rows in ``seen``.
    """
    mask = table.shape[0] - 1
    num_seen = 0
    previous_key, row = np.int64(-1), np.int64(-1)
    for i in range(points.shape[0]):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        key = pack_key(x, y, z, inverse_size, origin)
        if key < 0:
            voxel_of_point[i] = -1
            continue
        if key != previous_key:
            previous_key = key
            slot = slot_of_key(key, shift)
            row = np.int64(table[slot])
            while row >= 0 and keys[row] != key:
                slot = (slot + 1) & mask
                row = np.int64(table[slot])
            if row < 0:
                row = np.int64(num_voxels)
                num_voxels += 1
                table[slot] = row
                keys[row] = key
                means[row, 0], means[row, 1], means[row, 2] = x, y, z
                mean_intensity[row] = 0.0
                mean_range[row] = 0.0
                counts[row] = 0.0
                potential[row] = FIRST_POTENTIAL * unit_of_key(key)
                last_scan[row] = -1
            if last_scan[row] != scan:
                last_scan[row] = scan
                last_seen[row] = stamp
                counts[row] = min(counts[row], max_count)
                seen[num_seen] = row
                num_seen += 1
        voxel_of_point[i] = row
        counts[row] += 1.0
        weight = 1.0 / counts[row]
        means[row, 0] += (x - means[row, 0]) * weight
        means[row, 1] += (y - means[row, 1]) * weight
        means[row, 2] += (z - means[row, 2]) * weight
        mean_intensity[row] += (intensity[i] - mean_intensity[row]) * weight
        away = np.sqrt((x - sensor[0]) ** 2 + (y - sensor[1]) ** 2 + (z - sensor[2]) ** 2)
        mean_range[row] += (away - mean_range[row]) * weight
    return num_voxels, num_seen


@njit(nogil=True, cache=True)
def find_voxels(
    points: Array, inverse_size: float, origin: Array, table: Array, shift: int, keys: Array, voxel_of_point: Array
) -> None:
    """Write the row of the voxel in which each point ``(N, 3)`` lies, -1 where there is none."""
    mask = table.shape[0] - 1
    for i in range(points.shape[0]):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        key = pack_key(x, y, z, inverse_size, origin)
        row = np.int64(-1)
        if key >= 0:
            slot = slot_of_key(key, shift)
            row = np.int64(table[slot])
            while row >= 0 and keys[row] != key:
                slot = (slot + 1) & mask
                row = np.int64(table[slot])
        voxel_of_point[i] = row


@njit(nogil=True, cache=True)
def fill_table(table: Array, shift: int, keys: Array, num_voxels: int) -> None:
    """Build the table anew from the first ``num_voxels`` keys, which are unique."""
    mask = table.shape[0] - 1
    table[:] = -1
    for row in range(num_voxels):
        slot = slot_of_key(keys[row], shift)
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = row


@njit(nogil=True, cache=True)
def move_keys(keys: Array, num_voxels: int, shift_x: int, shift_y: int, shift_z: int) -> None:
    """Count the first ``num_voxels`` keys from an origin moved by (shift_x, shift_y, shift_z) cells."""
    moved = (np.int64(shift_x) << (2 * AXIS_BITS)) + (np.int64(shift_y) << AXIS_BITS) + np.int64(shift_z)
    for row in range(num_voxels):
        keys[row] -= moved


@njit(nogil=True, cache=True)
def rows_in_ball(points: Array, center: Array, radius: float) -> tuple[Array, Array]:
    """Return the rows of ``points`` (V, 3) within ``radius`` of ``center`` (3,), rising, and squared distances."""
    rows = np.empty(points.shape[0], np.int64)
    squared = np.empty(points.shape[0], np.float64)
    limit, num_rows = radius * radius, 0
    for row in range(points.shape[0]):
        x, y, z = points[row, 0] - center[0], points[row, 1] - center[1], points[row, 2] - center[2]
        distance = x * x + y * y + z * z
        if distance <= limit:
            rows[num_rows] = row
            squared[num_rows] = distance
            num_rows += 1
    return rows[:num_rows].copy(), squared[:num_rows].copy()
