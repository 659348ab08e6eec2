# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbours on the CPU: points sorted into hashed cells. The torch truth stands in ``geometry.neighbors``.

Queries are taken cell by cell, so the 27 cells around them are looked up once for all, and the supports of a cell lie
side by side in memory.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit
from kpconv_ros.kernels.grid import find_bounds, find_slot, hash_cells, pack_cell
from kpconv_ros.kernels.threads import run_over_rows

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
MOST_STEPS = 2.0**62
"""Cells along an axis that can be counted. Beyond 2^21 of them far cells share a key, and distances tell."""


class Cells(NamedTuple):
    """Points of one cloud sorted by hashed cell."""

    keys: NDArray[np.int64]
    cells: Ints
    shift: int
    starts: Ints
    """First sorted point of each cell, ``(C + 1,)``."""
    order: Ints
    """Point of each sorted place, ``(N,)``."""
    points: Floats
    """Sorted positions, ``(N, 3)``, metres."""


@njit(nogil=True, cache=True)
def _sort_by_cell(points, cell_of_point, num_cells):  # type: ignore[no-untyped-def]
    starts = np.zeros(num_cells + 1, np.int32)
    for i in range(len(points)):
        starts[cell_of_point[i] + 1] += 1
    for cell in range(num_cells):
        starts[cell + 1] += starts[cell]
    place = starts[:-1].copy()
    order = np.empty(len(points), np.int32)
    ordered = np.empty((len(points), 3), np.float32)
    for i in range(len(points)):
        to = place[cell_of_point[i]]
        place[cell_of_point[i]] += 1
        order[to] = i
        for axis in range(3):
            ordered[to, axis] = points[i, axis]
    return starts, order, ordered


def _find_corner(cell_size: float, *clouds: Floats) -> NDArray[np.float64]:
    """Return the lowest corner of clouds, ``(3,)`` metres, from which their cells are counted.

    Raises:
        ValueError: If a coordinate is not finite, or the cells are too many to be counted.
    """
    bounds = np.array([find_bounds(cloud) for cloud in clouds])
    low: NDArray[np.float64] = bounds[:, 0].min(axis=0)
    high = bounds[:, 1].max(axis=0)
    if not ((high - low) / cell_size < MOST_STEPS).all():
        raise ValueError(
            f"points: expected finite ones within 2^62 cells of {cell_size} m, got {low.tolist()} to {high.tolist()}"
        )
    return np.asarray(low)


def sort_into_cells(points: Floats, low: NDArray[np.float64], cell_size: float) -> Cells:
    """Sort one cloud into cells counted from the corner ``low``."""
    keys, cells, shift, cell_of_point, num_cells = hash_cells(points, low, 1.0 / cell_size)
    return Cells(keys, cells, shift, *_sort_by_cell(points, cell_of_point, num_cells))


@njit(nogil=True, cache=True, inline="always")
def _collect_ranges(x, y, z, reach, keys, cells, shift, starts, ranges):  # type: ignore[no-untyped-def]
    """Write the sorted ranges of the cells within ``reach`` of cell (x, y, z); return how many are occupied."""
    found = 0
    for cx in range(x - reach, x + reach + 1):
        for cy in range(y - reach, y + reach + 1):
            for cz in range(z - reach, z + reach + 1):
                slot = find_slot(keys, shift, pack_cell(cx, cy, cz))
                if keys[slot] != -1:
                    ranges[found, 0] = starts[cells[slot]]
                    ranges[found, 1] = starts[cells[slot] + 1]
                    found += 1
    return found


@njit(nogil=True, cache=True)
def _search_radius(  # type: ignore[no-untyped-def]
    first, last, queries, query_starts, low, inverse_cell, radius, keys, cells, shift, starts, order, supports
):
    """Find all pairs for the query cells ``first..last``; return (counts of the queries, columns, pairs)."""
    begin = query_starts[first]
    counts = np.zeros(query_starts[last] - begin, np.int32)
    columns = np.empty(32 * len(counts) + 1024, np.int32)
    ranges = np.empty((27, 2), np.int32)
    limit = np.float32(radius * radius)
    num = 0
    for group in range(first, last):
        head = query_starts[group]
        x = np.int64((queries[head, 0] - low[0]) * inverse_cell)
        y = np.int64((queries[head, 1] - low[1]) * inverse_cell)
        z = np.int64((queries[head, 2] - low[2]) * inverse_cell)
        found = _collect_ranges(x, y, z, 1, keys, cells, shift, starts, ranges)
        most = 0
        for r in range(found):
            most += ranges[r, 1] - ranges[r, 0]
        need = num + most * (query_starts[group + 1] - head)
        if need > len(columns):
            grown = np.empty(2 * need, np.int32)
            grown[:num] = columns[:num]
            columns = grown
        for q in range(head, query_starts[group + 1]):
            qx, qy, qz = queries[q, 0], queries[q, 1], queries[q, 2]
            before = num
            for r in range(found):
                for s in range(ranges[r, 0], ranges[r, 1]):
                    dx, dy, dz = supports[s, 0] - qx, supports[s, 1] - qy, supports[s, 2] - qz
                    columns[num] = order[s]
                    num += dx * dx + dy * dy + dz * dz <= limit
            counts[q - begin] = num - before
    return counts, columns, num


@njit(nogil=True, cache=True)
def _scatter_rows(first, last, counts, columns, order, offset, row_starts, out):  # type: ignore[no-untyped-def]
    """Copy the columns of the sorted queries ``first..last`` to their rows, adding ``offset``."""
    at = 0
    for q in range(first, last):
        to = row_starts[order[q]]
        for i in range(counts[q - first]):
            out[to + i] = columns[at + i] + offset
        at += counts[q - first]


def search_radius(queries: Floats, supports: Floats, radius: float) -> tuple[Ints, Ints]:
    """Find all supports within ``radius`` of each query of one cloud.

    Returns:
        Row starts ``(M + 1,)`` and columns ``(E,)`` of the neighbour lists, int32, in no order within a row.

    Raises:
        ValueError: If a coordinate is not finite.
    """
    row_starts = np.zeros(len(queries) + 1, np.int32)
    if not len(queries) or not len(supports):
        return row_starts, np.empty(0, np.int32)
    low = _find_corner(radius, supports) if queries is supports else _find_corner(radius, supports, queries)
    cells = sort_into_cells(supports, low, radius)
    groups = cells if queries is supports else sort_into_cells(queries, low, radius)

    def search(first: int, last: int) -> tuple[int, Ints, Ints, int]:
        found = _search_radius(first, last, groups.points, groups.starts, low, 1.0 / radius, radius, *cells)
        return int(groups.starts[first]), *found

    parts = run_over_rows(search, len(groups.starts) - 1)
    for begin, counts, _, _ in parts:
        row_starts[groups.order[begin : begin + len(counts)] + 1] = counts
    np.cumsum(row_starts, out=row_starts)
    out = np.empty(row_starts[-1], np.int32)

    for begin, counts, columns, _ in parts:
        _scatter_rows(begin, begin + len(counts), counts, columns, groups.order, 0, row_starts, out)
    return row_starts, out


@njit(nogil=True, cache=True)
def _nearest_rows(first, last, queries, low, cell, reach_limit, keys, cells, shift, starts, order, supports, out):  # type: ignore[no-untyped-def]
    """Find the nearest support of the queries ``first..last``, cells in growing cubes; -1 if none is in reach."""
    for q in range(first, last):
        qx, qy, qz = queries[q, 0], queries[q, 1], queries[q, 2]
        x, y, z = (
            np.int64(np.floor((qx - low[0]) / cell)),
            np.int64(np.floor((qy - low[1]) / cell)),
            np.int64(np.floor((qz - low[2]) / cell)),
        )
        best, nearest = np.float32(np.inf), -1
        for reach in range(reach_limit + 1):
            if nearest >= 0 and best <= np.float32(((reach - 1) * cell) ** 2):
                break
            for cx in range(x - reach, x + reach + 1):
                for cy in range(y - reach, y + reach + 1):
                    on_side = abs(cx - x) == reach or abs(cy - y) == reach
                    step = 1 if on_side or reach == 0 else 2 * reach
                    for cz in range(z - reach, z + reach + 1, step):
                        slot = find_slot(keys, shift, pack_cell(cx, cy, cz))
                        if keys[slot] == -1:
                            continue
                        for s in range(starts[cells[slot]], starts[cells[slot] + 1]):
                            dx, dy, dz = supports[s, 0] - qx, supports[s, 1] - qy, supports[s, 2] - qz
                            d2 = dx * dx + dy * dy + dz * dz
                            if d2 < best or (d2 == best and order[s] < nearest):
                                best, nearest = d2, order[s]
        out[q] = nearest if best <= np.float32((reach_limit * cell) ** 2) else -1


def search_nearest(queries: Floats, supports: Floats, cell_size: float, reach: int = 4) -> Ints:
    """Find the nearest support of each query of one cloud, ``(M,)``; -1 where none lies within ``reach`` cells."""
    low = _find_corner(cell_size, supports)
    cells = sort_into_cells(supports, low, cell_size)
    out = np.empty(len(queries), np.int32)

    def search(first: int, last: int) -> None:
        _nearest_rows(first, last, queries, low, cell_size, reach, *cells, out)

    run_over_rows(search, len(queries))
    return out
