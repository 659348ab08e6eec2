# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Columns of a cloud on the CPU: sorting into them, padding, and the point of each query with the greatest weight."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sort_into_columns(points, reach, cell, num_side):  # type: ignore[no-untyped-def]
    """Sort points ``(N, 3)`` into the ``num_side ** 2`` columns of the square within ``reach`` of the origin.

    Returns ``(starts, rows)``: column c holds ``rows[starts[c]:starts[c + 1]]``, rising; points outside are left out.
    """
    column_of_point = np.empty(len(points), np.int32)
    starts = np.zeros(num_side * num_side + 1, np.int64)
    for i in range(len(points)):
        x, y = np.floor((points[i, 0] + reach) / cell), np.floor((points[i, 1] + reach) / cell)
        inside = 0 <= x < num_side and 0 <= y < num_side  # never true of NaN
        column_of_point[i] = np.int32(x) * num_side + np.int32(y) if inside else -1
        if inside:
            starts[column_of_point[i] + 1] += 1
    for column in range(num_side * num_side):
        starts[column + 1] += starts[column]
    place = starts[:-1].copy()
    rows = np.empty(starts[-1], np.int64)
    for i in range(len(points)):
        if column_of_point[i] >= 0:
            rows[place[column_of_point[i]]] = i
            place[column_of_point[i]] += 1
    return starts, rows


@njit(nogil=True, cache=True)
def choose_heaviest(queries, scores, points, starts):  # type: ignore[no-untyped-def]
    """Return, for each query, the point of its column with the greatest ``score - distance^2``.

    Args:
        queries: ``(C, M, 3)`` float32.
        scores: ``(N, M)`` float32, one for each slot of the queries.
        points: ``(N, 3)`` float32, sorted by column.
        starts: ``(C + 1,)`` first point of each column; no column is empty.

    Returns:
        Rows of ``points``, ``(C, M)`` int64, the first one in a tie, and these gains, ``(C, M)`` float32.
    """
    columns, slots = queries.shape[:2]
    chosen = np.empty((columns, slots), np.int64)
    gains = np.empty((columns, slots), np.float32)
    for column in range(columns):
        for slot in range(slots):
            x, y, z = queries[column, slot]
            best, row = np.float32(-np.inf), starts[column]
            for i in range(starts[column], starts[column + 1]):
                dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                gain = scores[i, slot] - (dx * dx + dy * dy + dz * dz)
                if gain > best:
                    best, row = gain, i
            chosen[column, slot], gains[column, slot] = row, best
    return chosen, gains
