# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Millions of points that stand still, sorted by cell: the balls and nearest points of many queries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.kernels import sorted_cells as kernel
from kpconv_ros.kernels.threads import run_over_rows
from kpconv_ros.kernels.voxel_hash import HALF_RANGE

Array = NDArray[Any]
NEAR, FAR = 1, 2
"""Cells looked at around a query, then around those that need more: where the own cell has a point, FAR is enough."""


class SortedCells:
    """An index: cells of a tenth of the radius are best for balls, those of about one point for nearest points."""

    def __init__(self, points: Array, cell_size: float) -> None:
        """Sort a copy of the points.

        Args:
            points: ``(N, 3)`` finite, metres.
            cell_size: Edge of a cell, metres.

        Raises:
            ValueError: If a point is not finite, or they spread over more than 2^21 cells on an axis.
        """
        self._inverse_size = 1.0 / cell_size
        ends = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(3), np.zeros(3))
        self._origin = np.floor((ends[0] / 2 + ends[1] / 2) * self._inverse_size).astype(np.float64)
        keys = kernel.pack_keys(points, self._inverse_size, self._origin)
        if len(keys) and keys.min() < 0:
            extent = ends[1] - ends[0]
            raise ValueError(
                f"points: expected up to {2 * HALF_RANGE} cells of {cell_size} m on an axis, got {extent} m"
            )
        self._rows = np.argsort(keys)
        self._keys = keys[self._rows]
        self._points = np.asarray(points[self._rows], np.float64)

    def rows_in_ball(self, center: Array, radius: float) -> tuple[Array, Array]:
        """Return the rows of the points within ``radius`` metres of ``center`` (3,), rising, and squared distances."""
        rows, squared = kernel.rows_in_ball(
            np.asarray(center, np.float64), float(radius), self._inverse_size, self._origin,
            self._keys, self._rows, self._points,
        )  # fmt: skip
        order = np.argsort(rows)
        return rows[order], squared[order]

    def nearest(self, queries: Array) -> Array:
        """Return the row of the point nearest to each query, -1 for queries that are not finite.

        Of points equally near the one with the lowest row is taken, if they are up to two cells away.

        Args:
            queries: ``(M, 3)``, metres.

        Returns:
            ``(M,)`` int64.

        Raises:
            ValueError: If there are queries but no points.
        """
        if len(queries) and not len(self._points):
            raise ValueError(f"points: expected some for {len(queries)} queries, got none")
        keys = kernel.pack_keys(queries, self._inverse_size, self._origin)
        order = np.argsort(keys)
        queries, keys = np.take(queries, order, axis=0), keys[order]
        found = self._search(NEAR, queries, keys)
        lost = np.flatnonzero(found < 0)
        found[lost] = self._search(FAR, queries[lost], keys[lost])
        lost = lost[found[lost] < 0]
        lost = lost[np.isfinite(queries[lost]).all(axis=1)]
        if len(lost):  # far from all points
            found[lost] = self._rows[cKDTree(self._points).query(queries[lost])[1]]
        nearest = np.empty(len(queries), np.int64)
        nearest[order] = found
        return nearest

    def _search(self, reach: int, queries: Array, keys: Array) -> Array:
        """Return the rows ``(M,)`` of the points nearest to sorted queries, -1 where they may be out of reach."""
        nearest = np.empty(len(queries), np.int64)

        def search(first: int, last: int) -> None:
            kernel.find_nearest(
                first, last, reach, queries, keys, self._inverse_size, self._keys, self._rows, self._points, nearest
            )

        run_over_rows(search, len(queries))
        return nearest
