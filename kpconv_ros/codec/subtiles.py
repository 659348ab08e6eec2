# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tile as a square of sub-tiles, each around its own middle and ground."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.tile import TILE_SIZE

Array = NDArray[Any]
SIDE = 4
"""Sub-tiles along an edge of a tile."""
SUBTILE_SIZE = TILE_SIZE / SIDE
"""Edge of a sub-tile, metres."""
NUM_SUBTILES = SIDE * SIDE
GROUND_STEP = 0.1
"""Heights of the ground are multiples of it, metres."""
GROUND_SHARE = 0.05
"""So many of the points lie below what is called the ground, most of them by noise."""


class Subtiles(NamedTuple):
    """The points of a tile by sub-tile."""

    points: NDArray[np.float32]
    """``(N, 3)`` metres from the middle and the ground of their sub-tile, one sub-tile after the other."""
    rows: NDArray[np.int64]
    """Which point of the tile each one is, ``(N,)``."""
    counts: NDArray[np.int64]
    """Points of each sub-tile, ``(16,)``; sub-tile 4 i + j covers x from 5 i and y from 5 j on."""
    grounds: NDArray[np.int64]
    """Height of the ground in steps of 0.1 m, ``(16,)``, 0 where there are no points."""


def split_tile(points: NDArray[np.float32]) -> Subtiles:
    """Split the points of a tile, ``(N, 3)``."""
    cells = np.minimum((points[:, :2] / SUBTILE_SIZE).astype(np.int64), SIDE - 1)
    subtile_of_point = cells[:, 0] * SIDE + cells[:, 1]
    rows = np.argsort(subtile_of_point, kind="stable")
    counts = np.bincount(subtile_of_point, minlength=NUM_SUBTILES)
    starts = np.concatenate([[0], np.cumsum(counts)])
    grounds = np.zeros(NUM_SUBTILES, np.int64)
    for subtile in np.flatnonzero(counts):
        heights = points[rows[starts[subtile] : starts[subtile + 1]], 2]
        low = np.partition(heights, int(GROUND_SHARE * len(heights)))[int(GROUND_SHARE * len(heights))]
        grounds[subtile] = round(float(low) / GROUND_STEP)
    origins = origins_of(grounds)[subtile_of_point[rows]]
    return Subtiles((points[rows] - origins).astype(np.float32), rows, counts, grounds)


def origins_of(grounds: Array) -> NDArray[np.float32]:
    """Return middle and ground of the sub-tiles in the tile, ``(16, 3)`` metres."""
    along = (np.arange(SIDE) + 0.5) * SUBTILE_SIZE
    x, y = np.repeat(along, SIDE), np.tile(along, SIDE)
    return np.stack([x, y, grounds * GROUND_STEP], axis=1).astype(np.float32)


def draw_rows(count: int, num_rows: int) -> NDArray[np.int64]:
    """Return ``num_rows`` of ``count`` rows, evenly spread; each one is repeated where there are too few."""
    return (np.arange(num_rows) * count) // num_rows
