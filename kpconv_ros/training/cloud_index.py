# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the points of a large cloud are: cutting a sphere, or picking its centre, need not look at all of them."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kpconv_ros.data.clips import Clip

INDEXED_POINTS = 200_000
"""Scans with fewer points are looked through faster than an index of each would be built."""


def index_clips(clips: Sequence[Clip], radius: float) -> list[list["CloudIndex | None"]]:
    """Return the index of each scan of each clip for spheres of ``radius`` metres, None for small scans."""

    def index(clip: Clip, scan: int) -> CloudIndex | None:
        points, labels = clip.points[scan], clip.labels[scan]
        return CloudIndex(points, labels, radius / 2) if len(points) > INDEXED_POINTS else None

    return [[index(clip, scan) for scan in range(len(clip.labels))] for clip in clips]


class CloudIndex:
    """Rows of a cloud by column of space, square in x and y, and by label."""

    def __init__(self, points: NDArray[np.float32], labels: NDArray[np.uint8], cell: float) -> None:
        """Sort the rows.

        Args:
            points: ``(N, 3)``, metres, at least one.
            labels: ``(N,)``, 0 is unlabelled.
            cell: Edge of a column, metres.
        """
        self._low = points[:, :2].min(axis=0).astype(np.float64)
        self._cell = cell
        columns = np.floor((points[:, :2] - self._low) / cell).astype(np.int64)
        self._most = columns.max(axis=0)
        keys = columns[:, 1] * (self._most[0] + 1) + columns[:, 0]
        self._rows = np.argsort(keys, kind="stable").astype(np.int32)
        self._keys, first = np.unique(keys[self._rows], return_index=True)
        self._first = np.append(first, len(points))
        self._rows_by_label = np.argsort(labels, kind="stable").astype(np.int32)
        self._first_of_label = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=256))])

    def rows_near(self, center: NDArray[np.floating], reach: float) -> NDArray[np.int32]:
        """Return the rows of all points within ``reach`` metres of a place ``(3,)``, and of some around, in order."""
        middle = center[:2].astype(np.float64) - self._low
        reach = reach * 1.001  # the exact distance may be rounded
        left, bottom = np.maximum(np.floor((middle - reach) / self._cell), 0).astype(np.int64)
        right, top = np.minimum(np.floor((middle + reach) / self._cell), self._most).astype(np.int64)
        if left > right:
            return self._rows[:0]
        lines = np.arange(bottom, top + 1) * (self._most[0] + 1)
        starts = self._first[np.searchsorted(self._keys, lines + left)]
        ends = self._first[np.searchsorted(self._keys, lines + right, side="right")]
        found = [self._rows[start:end] for start, end in zip(starts, ends)]
        return np.sort(np.concatenate([*found, self._rows[:0]]))

    def draw_row(self, generator: Generator, label: int | None) -> int:
        """Draw one of the rows of a label, or of all labels but 0 if it is None; there must be one."""
        low, high = (1, 256) if label is None else (label, label + 1)
        place = generator.integers(self._first_of_label[low], self._first_of_label[high])
        return int(self._rows_by_label[place])
