# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tile as a square of sub-tiles, each around its own middle and ground."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.tile import TILE_SIZE

Array = NDArray[Any]
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
    """Points of each sub-tile, ``(T,)``; sub-tile i times the side plus j is the i-th along x and the j-th along y."""
    grounds: NDArray[np.int64]
    """Height of the ground in steps of 0.1 m, ``(T,)``, 0 where there are no points."""


def split_tile(points: NDArray[np.float32], side: int) -> Subtiles:
    """Split the points of a tile, ``(N, 3)``, into ``side`` times ``side`` sub-tiles."""
    cells = np.minimum((points[:, :2] * (side / TILE_SIZE)).astype(np.int64), side - 1)
    subtile_of_point = cells[:, 0] * side + cells[:, 1]
    rows = np.argsort(subtile_of_point, kind="stable")
    counts = np.bincount(subtile_of_point, minlength=side * side)
    starts = np.concatenate([[0], np.cumsum(counts)])
    grounds = np.zeros(side * side, np.int64)
    for subtile in np.flatnonzero(counts):
        heights = points[rows[starts[subtile] : starts[subtile + 1]], 2]
        low = np.partition(heights, int(GROUND_SHARE * len(heights)))[int(GROUND_SHARE * len(heights))]
        grounds[subtile] = round(float(low) / GROUND_STEP)
    origins = origins_of(grounds)[subtile_of_point[rows]]
    return Subtiles((points[rows] - origins).astype(np.float32), rows, counts, grounds)


def origins_of(grounds: Array) -> NDArray[np.float32]:
    """Return middle and ground of all sub-tiles in the tile, ``(T, 3)`` metres, for grounds ``(T,)``."""
    side = math.isqrt(len(grounds))
    along = (np.arange(side) + 0.5) * (TILE_SIZE / side)
    x, y = np.repeat(along, side), np.tile(along, side)
    return np.stack([x, y, grounds * GROUND_STEP], axis=1).astype(np.float32)


def draw_rows(count: int, num_rows: int) -> NDArray[np.int64]:
    """Return ``num_rows`` of ``count`` rows, evenly spread; each one is repeated where there are too few."""
    return (np.arange(num_rows) * count) // num_rows
