# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map in square tiles of a fixed grid: which voxels each tile has, and how many of them changed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.mapping.error import MappingError

Array = NDArray[Any]
Key = tuple[int, int]
_LAYERS = 1 << 20
MAX_HEIGHT = 10_000.0  # m above or below 0


class Tile(NamedTuple):
    """Voxels of one tile, one point each: the first that was seen."""

    voxels: Array
    """Their numbers, ``(V,)`` int64, rising."""
    points: Array
    """``(V, 3)`` float32, metres; x and y from the lower corner of the tile, z of the map frame."""
    labels: Array
    """The latest label of each that is not 0, ``(V,)`` uint8."""


class TileMap:
    """Tiles that only grow: what is no longer seen, or has left a rolling map that is inserted, stays."""

    def __init__(self, tile_size: float, voxel_size: float) -> None:
        """Make an empty map.

        Args:
            tile_size: Edge of a tile, metres.
            voxel_size: Edge of a voxel, metres; a tile has a whole number of them.

        Raises:
            MappingError: If it has not.
        """
        across = round(tile_size / voxel_size) if voxel_size > 0 else 0
        if not across or abs(across * voxel_size - tile_size) > 1e-6 * tile_size:
            raise MappingError(f"voxel_size: got {voxel_size} m, expected a whole number of them in {tile_size} m")
        self._tile_size, self._across = tile_size, across
        self.tiles: dict[Key, Tile] = {}

    def insert(self, points: Array, labels: Array) -> dict[Key, int]:
        """Add points; returns for each tile that changed how many voxels are new or have another label.

        Args:
            points: ``(N, 3)``, metres, map frame; those that are not finite, or beyond 10 km of height, are left out.
            labels: ``(N,)`` uint8; 0, unknown, replaces no label.

        Raises:
            MappingError: If the shapes do not fit.
        """
        if points.ndim != 2 or points.shape[1] != 3 or labels.shape != points.shape[:1]:
            raise MappingError(f"got points {points.shape}, labels {labels.shape}, expected (N, 3) and (N,)")
        good = np.isfinite(points).all(axis=1) & (np.abs(points[:, 2]) < MAX_HEIGHT)
        points, labels = points[good].astype(np.float64), labels[good].astype(np.uint8)
        places = np.floor(points[:, :2] / self._tile_size).astype(np.int64)
        points[:, :2] -= places * self._tile_size
        order = np.lexsort(places.T)
        ends = np.flatnonzero((np.diff(places[order], axis=0) != 0).any(axis=1)) + 1
        changed = {}
        for rows in np.split(order, ends) if len(order) else []:
            key = (int(places[rows[0], 0]), int(places[rows[0], 1]))
            count = self._merge(key, points[rows], labels[rows])
            if count:
                changed[key] = count
        return changed

    def _merge(self, key: Key, points: Array, labels: Array) -> int:
        """Add points of one tile; returns how many voxels changed."""
        new = self._voxelise(points, labels)
        old = self.tiles.get(key)
        if old is None:
            self.tiles[key] = new
            return len(new.voxels)
        place = np.searchsorted(old.voxels, new.voxels)
        is_known = old.voxels[np.minimum(place, len(old.voxels) - 1)] == new.voxels
        known, its_labels = place[is_known], new.labels[is_known]
        differs = (its_labels != 0) & (old.labels[known] != its_labels)
        old.labels[known[differs]] = its_labels[differs]
        added = ~is_known
        if added.any():
            columns = (np.insert(a, place[added], b[added], axis=0) for a, b in zip(old, new))
            self.tiles[key] = Tile(*columns)
        return int(added.sum() + differs.sum())

    def _voxelise(self, points: Array, labels: Array) -> Tile:
        cells = np.floor(points * (self._across / self._tile_size)).astype(np.int64)
        cells[:, :2] = np.clip(cells[:, :2], 0, self._across - 1)
        numbers = (cells[:, 2] + _LAYERS // 2) * self._across**2 + cells[:, 1] * self._across + cells[:, 0]
        voxels, first = np.unique(numbers, return_index=True)
        kept = points[first].astype(np.float32)
        kept[:, :2] = np.clip(kept[:, :2], 0.0, self._tile_size)  # rounding may have left the tile
        return Tile(voxels, kept, labels[first])
