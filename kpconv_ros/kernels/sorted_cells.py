# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled searches among points sorted by cell: balls, and nearest points of queries sorted the same way.

A key counts x before y before z, so the cells of a column (x, y) lie side by side, and a step of a query to the next
cell is a step of all columns around it: nothing is looked up at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit
from kpconv_ros.kernels.voxel_hash import AXIS_BITS, HALF_RANGE, pack_key

Array = NDArray[Any]
ROUNDING = 1e-6
"""Cells by which a place may lie beside the cell that its key tells, far from the origin of its frame."""


@njit(nogil=True, cache=True)
def pack_keys(points: Array, inverse_size: float, origin: Array) -> Array:
    """Return the keys ``(N,)`` int64 of ``points`` (N, 3), -1 when out of range or not finite."""
    keys = np.empty(len(points), np.int64)
    for i in range(len(points)):
        keys[i] = pack_key(
            np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2]), inverse_size, origin
        )
    return keys


@njit(nogil=True, cache=True, inline="always")
def _gap(offset: int, part: float) -> Any:
    """Return how far a cell that is ``offset`` away lies from a place at ``part`` of its own cell, in cells."""
    return max(offset - part, part - offset - 1.0, ROUNDING) - ROUNDING


@njit(nogil=True, cache=True, inline="always")
def _first_from(keys: Array, start: int, key: int) -> Any:
    """Return the first place from ``start`` on that has ``key`` or more, in steps that double."""
    step, low = 1, start - 1  # keys[low] < key
    while low + step < len(keys) and keys[low + step] < key:
        low += step
        step *= 2
    high = min(low + step, len(keys))
    while high - low > 1:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle
        else:
            high = middle
    return high


@njit(nogil=True, cache=True)
def rows_in_ball(
    center: Array, radius: float, inverse_size: float, origin: Array, keys: Array, rows: Array, points: Array
) -> tuple[Array, Array]:
    """Find the points within ``radius`` of a place.

    Args:
        center: ``(3,)`` float64, metres.
        radius: Metres.
        inverse_size: One over the edge of a cell, 1/m.
        origin: ``(3,)`` float64, cell at which keys are counted from.
        keys: ``(N,)`` int64, rising.
        rows: ``(N,)`` row of each point before they were sorted.
        points: ``(N, 3)`` float64, metres, sorted.

    Returns:
        Their rows, int64, in no order, and squared distances, float64.
    """
    middle = center * inverse_size
    reach = radius * inverse_size + ROUNDING
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    for axis in range(3):  # HALF_RANGE is the end of the keys
        low[axis] = max(min(np.floor(middle[axis] - reach) - origin[axis], HALF_RANGE), -HALF_RANGE)
        high[axis] = min(max(np.floor(middle[axis] + reach) - origin[axis], -HALF_RANGE), HALF_RANGE - 1)
    ranges = np.empty((max(high[0] - low[0] + 1, 0) * max(high[1] - low[1] + 1, 0), 2), np.int64)
    num_ranges = most = place = 0
    for x in range(low[0], high[0] + 1):
        gap_x = _gap(0, middle[0] - origin[0] - x)
        for y in range(low[1], high[1] + 1):
            gap_y = _gap(0, middle[1] - origin[1] - y)
            if gap_x * gap_x + gap_y * gap_y > reach * reach:
                continue
            column = ((x + HALF_RANGE) << (2 * AXIS_BITS)) | ((y + HALF_RANGE) << AXIS_BITS)
            place = _first_from(keys, place, column + low[2] + HALF_RANGE)
            start = place
            place = _first_from(keys, place, column + high[2] + HALF_RANGE + 1)
            ranges[num_ranges, 0], ranges[num_ranges, 1] = start, place
            num_ranges += place > start
            most += place - start
    found = np.empty(most, np.int64)
    squared = np.empty(most, np.float64)
    num_found, limit = 0, radius * radius
    for column in range(num_ranges):
        for i in range(ranges[column, 0], ranges[column, 1]):
            dx, dy, dz = points[i, 0] - center[0], points[i, 1] - center[1], points[i, 2] - center[2]
            distance = dx * dx + dy * dy + dz * dz
            found[num_found], squared[num_found] = rows[i], distance
            num_found += distance <= limit
    return found[:num_found], squared[:num_found]


@njit(nogil=True, cache=True)
def find_nearest(
    first: int, last: int, reach: int, queries: Array, query_keys: Array, inverse_size: float, keys: Array,
    rows: Array, points: Array, nearest: Array,
) -> None:  # fmt: skip
    """Find the nearest point of each of ``queries[first:last]`` among the cells up to ``reach`` away.

    Of points equally near the one with the lowest row is taken.

    Args:
        first, last: Part of the queries.
        reach: Cells.
        queries: ``(M, 3)`` float32 or float64, metres, sorted.
        query_keys: ``(M,)`` int64, rising, -1 for queries without a cell.
        inverse_size: One over the edge of a cell, 1/m.
        keys, rows, points: As in :func:`rows_in_ball`.
        nearest: Output ``(M,)``: a row, or -1 if a point beyond the cells looked at may be nearer.
    """
    width = 2 * reach + 1
    offsets = np.empty((width * width, 2), np.int64)
    for i in range(width * width):
        offsets[i, 0], offsets[i, 1] = i // width - reach, i % width - reach
    offsets = offsets[np.argsort(np.abs(offsets).sum(axis=1), kind="mergesort")]  # the own column, then those beside it
    places = np.zeros(len(offsets), np.int64)
    size, limit = 1.0 / inverse_size, ((reach - ROUNDING) / inverse_size) ** 2
    for i in range(first, last):
        x, y, z = np.float64(queries[i, 0]), np.float64(queries[i, 1]), np.float64(queries[i, 2])
        best, row = np.inf, np.int64(-1)
        if query_keys[i] >= 0:
            part_x, part_y = x * inverse_size, y * inverse_size
            part_x, part_y = part_x - np.floor(part_x), part_y - np.floor(part_y)
            for column in range(len(offsets)):
                step_x, step_y = offsets[column]
                gap_x, gap_y = size * _gap(step_x, part_x), size * _gap(step_y, part_y)
                if gap_x * gap_x + gap_y * gap_y > best:
                    continue
                key = query_keys[i] + (step_x << (2 * AXIS_BITS)) + (step_y << AXIS_BITS)
                place = _first_from(keys, places[column], key - reach)
                places[column] = place
                while place < len(keys) and keys[place] <= key + reach:
                    dx, dy, dz = points[place, 0] - x, points[place, 1] - y, points[place, 2] - z
                    distance = dx * dx + dy * dy + dz * dz
                    if distance < best or (distance == best and rows[place] < row):
                        best, row = distance, rows[place]
                    place += 1
        nearest[i] = row if best <= limit else -1
